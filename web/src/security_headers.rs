//! The headers that keep a browser from being turned against its user, on every response without exception.
//! A page that wants to be cached says so itself; all others are not stored.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};

use crate::App;

/// Everything from this origin, nothing inline, no frame, no base.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    font-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

/// `same-origin` rather than `no-referrer`: with the latter browsers send `Origin: null` along with forms, and
/// [`crate::forgery`] could not tell ours from others. <https://fetch.spec.whatwg.org/#append-a-request-origin-header>
const ALWAYS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Pages of buckets also send files to the data plane, by script or by form, and show images from there.
fn with_data_plane(app: &App) -> Option<HeaderValue> {
    let origin = app.cp.config().s3_origin()?;
    let mut policy = CONTENT_SECURITY_POLICY.to_owned();
    for directive in ["img-src 'self'", "connect-src 'self'", "form-action 'self'"] {
        policy = policy.replace(directive, &format!("{directive} {origin}"));
    }
    HeaderValue::from_str(&policy).ok()
}

/// The page about billing has forms whose answer sends the browser on to Stripe, which browsers take for a form's target.
/// Source: <https://www.w3.org/TR/CSP3/#directive-form-action>
fn with_stripe(app: &App) -> Option<HeaderValue> {
    let stripe = app.cp.config().stripe.as_ref()?;
    let own = match stripe.api_base.as_str() {
        "https://api.stripe.com" => "",
        elsewhere => elsewhere,
    };
    let pages =
        format!("form-action 'self' https://checkout.stripe.com https://billing.stripe.com {own}");
    let policy = CONTENT_SECURITY_POLICY.replace("form-action 'self'", pages.trim_end());
    HeaderValue::from_str(&policy).ok()
}

pub async fn set(State(app): State<App>, request: Request, next: Next) -> Response {
    let of_buckets = request.uri().path().starts_with("/buckets/");
    // Also where a form is shown again.
    let of_billing = request.uri().path().starts_with("/billing");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if of_buckets && let Some(policy) = with_data_plane(&app) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if of_billing && let Some(policy) = with_stripe(&app) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if app.is_https() {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
