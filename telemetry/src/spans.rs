//! The spans, and W3C trace context between processes (<https://www.w3.org/TR/trace-context/>). A span holds what is named
//! here: never a key, a query string, a header or anything else that a client has made up.
//!
//! Whether a request is traced is drawn here, before there is a span. Who comes from outside says which trace the request
//! belongs to, and nothing else: neither its `sampled` flag nor its choice of a trace id makes us sample.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{CHANCE, TARGET};

/// The header of W3C trace context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Which span of which trace something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

#[derive(Debug)]
pub struct Unreadable;

impl FromStr for Traceparent {
    type Err = Unreadable;

    /// `VERSION-TRACE-SPAN-FLAGS`; of a later version, the first four parts.
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = text.split('-');
        let mut part = |length| {
            parts
                .next()
                .filter(|part| is_hex(part, length))
                .ok_or(Unreadable)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(Unreadable);
        }
        let trace = TraceId::from_hex(trace).map_err(|_| Unreadable)?;
        let span = SpanId::from_hex(span).map_err(|_| Unreadable)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| Unreadable)?;
        if trace == TraceId::INVALID || span == SpanId::INVALID {
            return Err(Unreadable);
        }
        Ok(Traceparent {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

impl Traceparent {
    /// As the parent of a span of ours.
    fn context(self) -> Context {
        let state = TraceState::default();
        let flags = TraceFlags::SAMPLED;
        let span = SpanContext::new(self.trace, self.span, flags, true, state);
        Context::new().with_remote_span_context(span)
    }
}

/// Whether anything is traced in this process.
pub fn is_on() -> bool {
    CHANCE.get().is_some()
}

fn is_sampled() -> bool {
    CHANCE
        .get()
        .is_some_and(|chance| chance.takes(rand::random()))
}

/// A request as it comes in; a disabled span where it is not sampled.
pub fn request(headers: &HeaderMap, its_method: &Method) -> Span {
    if !is_sampled() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method(its_method),
        http.response.status_code = Empty,
        http.route = Empty,
        http.request.body.size = Empty,
        http.response.body.size = Empty,
        error.type = Empty,
        vaultaire.request_id = Empty,
        vaultaire.tenant_id = Empty,
    );
    let mut given = headers.get_all(TRACEPARENT).iter();
    // Two of them are as good as none.
    if let (Some(one), None) = (given.next(), given.next())
        && let Some(parent) = one.to_str().ok().and_then(|text| text.parse().ok())
    {
        join(&span, parent);
    }
    span
}

fn join(span: &Span, parent: Traceparent) {
    // It has just been made, so it can have one.
    let _ = span.set_parent(parent.context());
}

/// What a [`request`] is called, whenever that is known.
pub fn name(span: &Span, name: impl Into<Cow<'static, str>>) {
    if !span.is_disabled() {
        span.context().span().update_name(name);
    }
}

/// The answer of a [`request`].
pub fn status(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// What a span is about has failed; `why` is a name of ours.
pub fn failed(span: &Span, why: &'static str) {
    span.record("error.type", why);
    span.record("otel.status_code", "ERROR");
}

/// A request that we send on behalf of the one that is served; a disabled span where that is not traced.
pub fn outbound(name: &'static str, its_method: &Method) -> Span {
    if !is_traced() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        "outbound",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method(its_method),
        http.response.status_code = Empty,
        error.type = Empty,
        vaultaire.engine = Empty,
    )
}

/// A round of a background task that has something to do.
pub fn job(name: &'static str) -> Span {
    if !is_sampled() {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        parent: None,
        "job",
        otel.name = name,
        otel.kind = "internal",
    )
}

/// A node applying what a control plane has pushed, which decided whether this is traced.
pub fn apply(parent: Traceparent, revision: i64) -> Span {
    if !is_on() || !parent.sampled {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "apply",
        otel.name = "apply",
        otel.kind = "consumer",
        otel.status_code = Empty,
        error.type = Empty,
        vaultaire.revision = revision,
        vaultaire.tenant_id = Empty,
    );
    join(&span, parent);
    span
}

fn is_traced() -> bool {
    is_on() && Context::current().span().span_context().is_valid()
}

/// What the running code belongs to, where that is traced.
pub fn cause() -> Option<Traceparent> {
    if !is_on() {
        return None;
    }
    let context = Context::current();
    of(context.span().span_context())
}

fn of(span: &SpanContext) -> Option<Traceparent> {
    span.is_valid().then(|| Traceparent {
        trace: span.trace_id(),
        span: span.span_id(),
        sampled: true,
    })
}

/// Tells the other side which span asked it. A disabled one adds nothing.
pub fn tell(span: &Span, headers: &mut HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    let parent = of(context.span().span_context());
    if let Some(value) = parent.and_then(|it| HeaderValue::try_from(it.to_string()).ok()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// A method as an attribute: whatever else a client makes up is `_OTHER`
/// (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).
pub fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_back() {
        let read: Traceparent = GOOD.parse().unwrap();
        assert_eq!(read.to_string(), GOOD);
        let unsampled: Traceparent = GOOD.replace("-01", "-00").parse().unwrap();
        assert!(read.sampled && !unsampled.sampled);
        let later = GOOD.replacen("00-", "cc-", 1) + "-more";
        assert_eq!(later.parse::<Traceparent>().unwrap(), read);
    }

    #[test]
    fn what_is_no_traceparent_is_not_read() {
        for bad in [
            String::new(),
            GOOD[1..].to_owned(),
            GOOD.to_uppercase(),
            GOOD.to_owned() + "-more",
            GOOD.replacen("00-", "ff-", 1),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("-01", "-zz"),
            GOOD.replace("4b", "é"),
        ] {
            assert!(bad.parse::<Traceparent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_traced_before_it_is_started() {
        assert!(!is_on());
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(request(&headers, &Method::GET).is_disabled());
        assert!(outbound("engine", &Method::GET).is_disabled());
        assert!(job("mail").is_disabled());
        assert!(apply(GOOD.parse().unwrap(), 1).is_disabled());
        assert!(cause().is_none());
        let mut none = HeaderMap::new();
        tell(&Span::current(), &mut none);
        assert!(none.is_empty());
    }
}
