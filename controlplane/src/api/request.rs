//! Gives every request an id, a span in the log, and its [`Origin`].

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use tracing::Instrument;
use uuid::Uuid;

use crate::Origin;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_USER_AGENT: usize = 300;

pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().simple().to_string();
    let origin = Origin {
        address: request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip()),
        user_agent: request
            .headers()
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        request_id: Some(id.clone()),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // Of a customer's request that a node passes on: the id that the customer was told.
    let s3_request_id = tracing::field::Empty;
    // Of a customer's request to the API.
    let tenant = tracing::field::Empty;
    let span = tracing::info_span!("api", request_id = %id, s3_request_id, %method, %path, tenant);
    request.extensions_mut().insert(origin);
    async move {
        let mut response = next.run(request).await;
        tracing::info!(status = response.status().as_u16(), "answered");
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
    .instrument(span)
    .await
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
