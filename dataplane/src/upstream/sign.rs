//! A request to an engine, built from parts that were decided here, and signed whole.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use sigv4::{CanonicalRequest, CredentialScope};

use super::{EngineBody, EngineRequest};
use crate::error::{Code, S3Error};
use crate::timestamp;

/// Longer than most paths with their queries, in bytes.
const TARGET: usize = 256;

static X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
static X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Every header that goes is signed. The request stays as it is: it may have to be signed again.
pub fn sign(
    request: &EngineRequest<'_>,
    host: &HeaderValue,
    body: EngineBody,
    now: DateTime<Utc>,
) -> Result<http::Request<EngineBody>, S3Error> {
    let engine = request.engine;
    let signing_key = engine.signing_keys.on(now.date_naive()).ok_or_else(|| {
        tracing::error!(
            engine = engine.id,
            "no signing key for the engine and today"
        );
        S3Error::new(Code::ServiceUnavailable)
    })?;
    let mut target = String::with_capacity(TARGET);
    target.push('/');
    target.push_str(request.bucket);
    if let Some(key) = &request.key {
        target.push('/');
        target.push_str(&sigv4::uri_encode(key.as_bytes(), false));
    }
    let path = target.len();
    for (i, (name, value)) in request.query.iter().enumerate() {
        target.push(if i == 0 { '?' } else { '&' });
        target.push_str(&sigv4::uri_encode(name.as_bytes(), true));
        target.push('=');
        target.push_str(&sigv4::uri_encode(value.as_bytes(), true));
    }
    let timestamp = timestamp::write(now);

    let invalid = |_| S3Error::new(Code::InvalidArgument);
    let given = &request.headers.0;
    let mut headers = HeaderMap::with_capacity(given.len() + 4);
    headers.extend(
        given
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    headers.append(HOST, host.clone());
    let date = HeaderValue::from_str(&timestamp).map_err(invalid)?;
    headers.append(&X_AMZ_DATE, date);
    let hash = match &request.payload_hash {
        Cow::Borrowed(hash) => HeaderValue::from_static(hash),
        Cow::Owned(hash) => HeaderValue::from_str(hash).map_err(invalid)?,
    };
    headers.append(&X_AMZ_CONTENT_SHA256, hash);
    let values: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let canonical = CanonicalRequest {
        method: request.method.as_str(),
        path: target.get(..path).unwrap_or_default(),
        query: &request.query,
        headers: &values,
        signed_headers: &[],
        payload_hash: &request.payload_hash,
    };
    let scope = CredentialScope {
        date: timestamp::day_of(&timestamp).into(),
        region: engine.region.as_str().into(),
        service: "s3".into(),
    };
    let authorization = sigv4::authorization_header(
        &engine.access_key_id,
        signing_key,
        &timestamp,
        &scope,
        &canonical,
    );
    let authorization = HeaderValue::try_from(authorization).map_err(invalid)?;
    headers.append(AUTHORIZATION, authorization);
    let target = PathAndQuery::from_maybe_shared(Bytes::from(target))
        .map_err(|_| S3Error::new(Code::InvalidURI))?;

    let mut signed = http::Request::new(body);
    *signed.method_mut() = request.method.clone();
    *signed.uri_mut() = Uri::from(target);
    *signed.headers_mut() = headers;
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn what_is_sent_is_signed_and_encoded_once() {
        use crate::tenants::tests::{key, settings};
        let now = DateTime::parse_from_rfc3339("2026-01-02T03:04:05Z")
            .unwrap()
            .to_utc();
        let mut settings = settings(1);
        let host = HeaderValue::from_static("127.0.0.1:1234");
        settings.engines[0].signing_keys = key("E", &[now.date_naive()]).signing_keys;
        let request = EngineRequest::new(&settings.engines[0], Method::GET, "vt-1")
            .key("a b//%2e/é".into())
            .query("prefix", "x/&y");
        let signed = sign(&request, &host, EngineBody::Empty, now).unwrap();
        assert_eq!(
            signed.uri().to_string(),
            "/vt-1/a%20b//%252e/%C3%A9?prefix=x%2F%26y"
        );
        assert_eq!(signed.headers()["host"], "127.0.0.1:1234");
        let authorization = signed.headers()["authorization"].to_str().unwrap();
        assert!(
            authorization.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date,"),
            "{authorization}"
        );
        let stale = EngineRequest::new(&settings.engines[0], Method::GET, "vt-1");
        let later = now + chrono::TimeDelta::days(1);
        assert_eq!(
            sign(&stale, &host, EngineBody::Empty, later)
                .err()
                .map(|e| e.code),
            Some(Code::ServiceUnavailable)
        );
    }
}
