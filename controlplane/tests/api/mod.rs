//! The customers' API through the real router: who may what, and what is answered, compared with its own description.

mod document;
mod idempotency;
mod input;
mod limits;
mod paging;
mod tokens;
mod walk;

use axum::Router;
use axum::body::Body;
use controlplane::accounts::{Caller, SignedIn};
use controlplane::api_tokens::{self, NewApiToken, TokenScope};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::plane::Plane;
use document::Document;

/// A control plane, its router, and what the router says of itself.
struct Api {
    plane: Plane,
    router: Router,
    document: Document,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn text(&self, field: &str) -> String {
        let text = self.body[field].as_str();
        text.unwrap_or_else(|| panic!("no {field} in {}", self.body))
            .to_owned()
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default()
    }
}

impl Api {
    async fn start() -> Self {
        let plane = Plane::start().await;
        let router = plane.cp.api();
        let document = Document::of(&router).await;
        Self {
            plane,
            router,
            document,
        }
    }

    async fn stop(self) {
        self.plane.stop().await;
    }

    /// A token of the member's, by the same function as the dashboard's.
    async fn token(&self, of: &SignedIn, scopes: &[TokenScope]) -> String {
        let by = Caller::from(&of.session);
        let mut tx = self.plane.cp.begin_tenant(by.tenant_id).await.unwrap();
        let new = NewApiToken {
            name: "test".to_owned(),
            scopes: scopes.to_vec(),
            expires_at: None,
        };
        let made = api_tokens::create(&mut tx, &self.plane.cp, &by, new).await;
        tx.commit().await.unwrap();
        made.unwrap().token.to_string()
    }

    /// One request; whatever is answered must be as the description says.
    async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        self.ask_with(method, path, token, body, &[]).await
    }

    async fn ask_with(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = body.map(|body| body.to_string());
        let answer = self.raw(&method, path, token, body, headers).await;
        self.document.holds(&method, path, &answer);
        answer
    }

    /// A request that may be anything.
    async fn raw(
        &self,
        method: &Method,
        path: &str,
        token: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or(Body::empty(), Body::from);
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }
}
