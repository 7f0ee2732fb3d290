//! Gives every request an id, a span in the log, and its [`Origin`].

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use tracing::Instrument;
use uuid::Uuid;

use crate::{ControlPlane, Origin};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_USER_AGENT: usize = 300;

pub(super) async fn identify(
    State(cp): State<ControlPlane>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = Uuid::new_v4().simple().to_string();
    let origin = Origin {
        address: request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| {
                let trusted = &cp.config().trusted_proxies;
                client_address(info.0.ip(), request.headers(), trusted)
            }),
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

/// The last address on the way that is no trusted proxy's. What stands before it in `X-Forwarded-For` is only claimed.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").into_iter();
    let lines: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
    }
    client
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_who_came() {
        let mut headers = HeaderMap::new();
        let claimed = "198.51.100.9, 203.0.113.7, 10.0.0.2";
        headers.insert("x-forwarded-for", HeaderValue::from_static(claimed));
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network")];
        let found = |peer: &str, trusted: &[IpNet]| {
            let peer = peer.parse().expect("an address");
            client_address(peer, &headers, trusted).to_string()
        };
        assert_eq!(found("10.0.0.1", &trusted), "203.0.113.7");
        assert_eq!(found("::ffff:10.0.0.1", &trusted), "203.0.113.7");
        assert_eq!(found("192.0.2.1", &trusted), "192.0.2.1");
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
    }
}
