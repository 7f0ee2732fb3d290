//! Refusals and breakdowns as pages: 404, 405, 413, 500 and the rest, in the design of all others.
//! A failure page shows the request id and one sentence, never what happened inside.

use std::any::Any;

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use controlplane::Error;
use controlplane::accounts::Session;
use http::{HeaderValue, StatusCode, header};

use crate::pages::{Here, Shell};
use crate::request_id::RequestId;

/// What a handler answers when it cannot show its page.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    detail: Option<String>,
    retry_after_seconds: Option<u64>,
}

/// The sentence for the page, on its way to [`render`].
#[derive(Clone)]
struct Detail(String);

impl Failure {
    pub fn new(status: StatusCode, detail: &str) -> Self {
        Self {
            detail: Some(detail.to_owned()),
            ..Self::from(status)
        }
    }
}

impl From<StatusCode> for Failure {
    fn from(status: StatusCode) -> Self {
        Self {
            status,
            detail: None,
            retry_after_seconds: None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Error::Internal(source) = &error {
            tracing::error!(error = format!("{source:#}"), "a page could not be made");
        }
        let retry_after_seconds = match error {
            Error::TooManyRequests {
                retry_after_seconds,
            } => Some(retry_after_seconds),
            _ => None,
        };
        // Their sentences were written for people.
        let detail = match &error {
            Error::BadRequest(_) | Error::Forbidden(_) => Some(error.message()),
            _ => None,
        };
        Self {
            status: error.status(),
            detail,
            retry_after_seconds,
        }
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a template could not be rendered");
        Self::from(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_seconds {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(detail) = self.detail {
            response.extensions_mut().insert(Detail(detail));
        }
        response
    }
}

/// Renders a page that succeeded, or a form that is shown again.
pub fn page(template: &impl Template) -> Result<Response, Failure> {
    Ok(Html(template.render()?).into_response())
}

pub async fn no_such_page() -> Failure {
    Failure::from(StatusCode::NOT_FOUND)
}

/// The answer for a request whose handler panicked.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("of an unknown kind"), "panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[derive(Template)]
#[template(path = "pages/failure.html")]
struct FailurePage<'a> {
    status: u16,
    headline: &'a str,
    detail: &'a str,
    show_request_id: bool,
    request_id: &'a str,
    /// An operator looks at somebody's dashboard, where this is not one of the operators' own pages.
    looked_at: Option<Shell<'a>>,
    /// Where the reader is at home.
    home: (&'a str, &'a str),
}

/// Middleware: gives every refusal that is not a page yet its page, whoever made it (a handler, an extractor, the router).
pub async fn render(request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().cloned();
    let of_operators = request.uri().path().starts_with("/admin");
    let response = next.run(request).await;
    let status = response.status();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let (headline, fallback) = words(status);
    let detail = parts.extensions.get::<Detail>();
    let template = FailurePage {
        status: status.as_u16(),
        headline,
        detail: detail.map_or(fallback, |detail| &detail.0),
        show_request_id: status.is_server_error(),
        request_id: request_id.as_ref().map_or("", RequestId::as_str),
        looked_at: parts
            .extensions
            .get::<Session>()
            .map(|session| Shell::new(session, Here::Overview)),
        home: match of_operators {
            true => ("/admin", "Operators’ area"),
            false => ("/dashboard", "Dashboard"),
        },
    };
    let body = template.render().unwrap_or_else(|_| headline.to_owned());
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    Response::from_parts(parts, Body::from(body))
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        403 => ("Not allowed", "You may not do that."),
        404 => (
            "Page not found",
            "There is nothing at this address, or it is not yours.",
        ),
        405 => (
            "That does not work here",
            "This address exists, but not for that kind of request.",
        ),
        409 => (
            "That was already done",
            "Something has changed in the meantime. Go back and look again.",
        ),
        413 => ("Too much at once", "The form is larger than we accept."),
        429 => ("Too many attempts", "Wait a little, then try again."),
        503 => (
            "Not available at the moment",
            "A part that this page needs does not answer. Your objects are served all the same; try again shortly.",
        ),
        400..=499 => (
            "We could not read that",
            "The request was not in a form that this address accepts.",
        ),
        _ => (
            "Something went wrong on our side",
            "It has been written down. Trying again may help.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn open(path: &str) -> (StatusCode, String) {
        async fn broken() -> Result<(), Failure> {
            Err(Error::from(sqlx::Error::Protocol("the database said".to_owned())).into())
        }
        async fn panics() {
            panic!("an inside story")
        }
        let router = Router::new()
            .route("/fine", get(async || "fine"))
            .route("/broken", get(broken))
            .route("/panics", get(panics))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked))
            .layer(from_fn(render))
            .layer(from_fn(crate::request_id::assign));
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        let status = response.status();
        let id = response.headers()["x-request-id"].clone();
        let body = response.into_body().collect().await.expect("a body");
        let body = String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8");
        if status.is_server_error() {
            assert!(body.contains(id.to_str().expect("ASCII")), "{body}");
        }
        (status, body)
    }

    #[tokio::test]
    async fn a_breakdown_shows_the_request_id_and_nothing_inside() {
        for path in ["/broken", "/panics"] {
            let (status, body) = open(path).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(body.contains("Something went wrong"));
            assert!(!body.contains("database said"));
            assert!(!body.contains("inside story"));
        }
        assert_eq!(open("/fine").await, (StatusCode::OK, "fine".to_owned()));
    }
}
