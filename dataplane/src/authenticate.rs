//! Who sent this request: AWS Signature Version 4 in the header or in the query, one of them, over every header that
//! counts. Everything here is decided from the request, the pushed documents and the time.

mod form;
mod header;
mod query;

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sigv4::{CanonicalRequest, ChunkSigner, Credential};
use wire::{AccessKey, AccessKeyStatus, Rule};

use crate::error::{Code, S3Error, Whose};
use crate::request::S3Request;
use crate::tenants::{Lookup, Shared, Tenant, Tenants};
use crate::timestamp;

pub use self::form::{authenticate_form, refuse_other_mechanisms};

/// How far a client's clock may be off.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationTimeStamp>
const MAX_SKEW: TimeDelta = TimeDelta::minutes(15);

/// What the client signed of the body.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadHash {
    Unsigned,
    /// Lower-case hexadecimal SHA-256 of the whole body.
    Sha256(String),
    /// `aws-chunked`; `signed` chunks, or plain ones; with a trailer, or without.
    Chunked {
        signed: bool,
        trailer: bool,
    },
}

pub struct Identity {
    pub tenant: Arc<Tenant>,
    /// Empty for a stranger, who reads a public bucket.
    pub access_key_id: Arc<str>,
    pub payload: PayloadHash,
    /// Continues the request's signature over its chunks.
    pub chunks: Option<ChunkSigner>,
}

impl Identity {
    /// Somebody without a signature, in this tenant's public bucket.
    pub fn stranger(tenant: Arc<Tenant>) -> Self {
        Identity {
            tenant,
            access_key_id: "".into(),
            payload: PayloadHash::Unsigned,
            chunks: None,
        }
    }

    pub fn is_anonymous(&self) -> bool {
        self.access_key_id.is_empty()
    }

    /// The key's present document; `None` cannot happen while the tenant is borrowed, and denies.
    pub fn access_key(&self) -> Option<&AccessKey> {
        self.tenant.access_key(&self.access_key_id)
    }
}

/// The claims of a request, before any of them is believed.
struct Claim<'a> {
    credential: Credential<'a>,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
    timestamp: &'a str,
    payload: &'a str,
    /// How long it may be used, for presigned requests and forms.
    expires: Option<TimeDelta>,
    /// The code for what is wrong with its form.
    malformed: Code,
}

/// Whose key a claim names, before its signature is compared.
struct Holder {
    tenant: Arc<Tenant>,
    signing_key: [u8; 32],
}

pub fn authenticate(
    request: &S3Request,
    tenants: &Tenants,
    shared: &Shared,
    now: DateTime<Utc>,
) -> Result<Identity, S3Error> {
    let claim = claim(request)?;
    let Holder {
        tenant,
        signing_key,
    } = holder(&claim, tenants, shared, now)?;
    check_signed_headers(request, &claim)
        .map_err(|refusal| refusal.by(Rule::SignedHeaders))
        .and_then(|()| check_signature(request, &claim, &signing_key))
        .map_err(|refusal| refusal.attributed(|| whose(&tenant, &claim, request)))?;
    let payload = payload_hash(claim.payload)?;
    let chunks = matches!(payload, PayloadHash::Chunked { signed: true, .. }).then(|| {
        let scope = claim.credential.scope.clone();
        ChunkSigner::new(
            signing_key,
            claim.timestamp.to_owned(),
            scope,
            claim.signature.to_owned(),
        )
    });
    Ok(Identity {
        access_key_id: claim.credential.access_key_id.into(),
        tenant,
        payload,
        chunks,
    })
}

/// The key that a claim names, if it may be used here and now.
fn holder(
    claim: &Claim<'_>,
    tenants: &Tenants,
    shared: &Shared,
    now: DateTime<Utc>,
) -> Result<Holder, S3Error> {
    check_scope(claim, &shared.settings.region)?;
    check_time(claim, now)?;
    let tenant = match tenants.lookup(claim.credential.access_key_id) {
        Lookup::Found(tenant) => tenant,
        Lookup::Unknown => return Err(unknown_key(claim)),
        Lookup::Pending => return Err(not_ready()),
    };
    let key = tenant
        .access_key(claim.credential.access_key_id)
        .ok_or_else(|| unknown_key(claim))?;
    let rule = match key.status {
        AccessKeyStatus::Active if key.expires_at.is_some_and(|at| at <= now) => {
            Some(Rule::KeyExpired)
        }
        AccessKeyStatus::Active => None,
        AccessKeyStatus::Revoked | AccessKeyStatus::Unknown => Some(Rule::KeyRevoked),
    };
    if let Some(rule) = rule {
        let whose = || Whose::new(&tenant, &key.access_key_id, None);
        return Err(unknown_key(claim).by(rule).attributed(whose));
    }
    let scope = &claim.credential.scope;
    let signing_key = *timestamp::read_day(&scope.date)
        .and_then(|day| key.signing_keys.on(day))
        .ok_or_else(|| {
            S3Error::with(
                Code::ServiceUnavailable,
                "This node has no signing key for that day.",
            )
        })?;
    Ok(Holder {
        tenant,
        signing_key,
    })
}

fn whose(tenant: &Tenant, claim: &Claim<'_>, request: &S3Request) -> Whose {
    let bucket = request.bucket.as_deref();
    Whose::new(tenant, claim.credential.access_key_id, bucket)
}

/// Whether the request does not even claim to be somebody's.
pub fn is_unsigned(request: &S3Request) -> bool {
    !request.has_header("authorization")
        && ![
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Signature",
            "AWSAccessKeyId",
            "Signature",
        ]
        .iter()
        .any(|name| request.query.has(name))
}

pub fn not_ready() -> S3Error {
    S3Error::with(
        Code::ServiceUnavailable,
        "This node has not received its configuration yet.",
    )
    .retry_after(1)
}

fn unknown_key(claim: &Claim<'_>) -> S3Error {
    S3Error::new(Code::InvalidAccessKeyId).detail("AWSAccessKeyId", claim.credential.access_key_id)
}

fn claim(request: &S3Request) -> Result<Claim<'_>, S3Error> {
    let in_header = request.header("authorization")?;
    let in_query = query::is_signed(request);
    if request.query.has("AWSAccessKeyId") || request.query.has("Signature") {
        return Err(unsupported());
    }
    match (in_header, in_query) {
        (Some(_), true) => Err(S3Error::with(
            Code::InvalidArgument,
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should be specified.",
        )),
        (Some(value), false) => header::claim(request, value),
        (None, true) => query::claim(request),
        (None, false) => Err(Code::AccessDenied.into()),
    }
}

fn unsupported() -> S3Error {
    S3Error::with(
        Code::InvalidRequest,
        "The authorization mechanism that you have provided is not supported. Please use AWS4-HMAC-SHA256 (signature_version = s3v4 in the AWS CLI and boto3).",
    )
}

fn malformed(claim: &Claim<'_>, message: String) -> S3Error {
    S3Error::with(claim.malformed, message)
}

fn check_scope(claim: &Claim<'_>, region: &str) -> Result<(), S3Error> {
    let scope = &claim.credential.scope;
    if scope.region != region {
        let message = format!(
            "The region '{}' is wrong; expecting '{region}'",
            scope.region
        );
        return Err(malformed(claim, message).detail("Region", region));
    }
    if scope.service != "s3" {
        return Err(malformed(
            claim,
            format!("The service '{}' is wrong; expecting 's3'", scope.service),
        ));
    }
    Ok(())
}

fn check_time(claim: &Claim<'_>, now: DateTime<Utc>) -> Result<(), S3Error> {
    let Some(signed_at) = timestamp::read(claim.timestamp) else {
        return Err(match claim.expires {
            Some(_) => S3Error::with(
                claim.malformed,
                "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\".",
            ),
            None => S3Error::with(
                Code::AccessDenied,
                "AWS authentication requires a valid x-amz-date header.",
            ),
        });
    };
    if !claim.timestamp.starts_with(&*claim.credential.scope.date) {
        let date = &claim.credential.scope.date;
        return Err(malformed(
            claim,
            format!("The credential's date '{date}' is not the date of the request."),
        ));
    }
    let skewed = || {
        S3Error::new(Code::RequestTimeTooSkewed)
            .detail("RequestTime", claim.timestamp)
            .detail("ServerTime", now.format("%Y-%m-%dT%H:%M:%SZ").to_string())
            .detail(
                "MaxAllowedSkewMilliseconds",
                MAX_SKEW.num_milliseconds().to_string(),
            )
    };
    match claim.expires {
        None if (now - signed_at).abs() > MAX_SKEW => Err(skewed()),
        Some(_) if signed_at - now > MAX_SKEW => Err(S3Error::with(
            Code::AccessDenied,
            "Request is not valid yet",
        )),
        Some(expires) if signed_at + expires < now => {
            Err(
                S3Error::with(Code::AccessDenied, "Request has expired").detail(
                    "Expires",
                    (signed_at + expires)
                        .format("%Y-%m-%dT%H:%M:%SZ")
                        .to_string(),
                ),
            )
        }
        _ => Ok(()),
    }
}

/// `host` and every `x-amz-*` header must be signed: what is not signed was perhaps not the client's.
fn check_signed_headers(request: &S3Request, claim: &Claim<'_>) -> Result<(), S3Error> {
    let signed = |name: &str| claim.signed_headers.contains(&name);
    let unsigned = || {
        S3Error::with(
            Code::AccessDenied,
            "There were headers present in the request which were not signed",
        )
    };
    if !signed("host") || request.host.is_empty() {
        return Err(S3Error::with(
            Code::AccessDenied,
            "The host header must be signed.",
        ));
    }
    for name in request.headers.keys() {
        let name = name.as_str();
        let counts = name.starts_with("x-amz-")
            && !(name == "x-amz-content-sha256" && claim.expires.is_some());
        if counts && !signed(name) {
            return Err(unsigned().detail("HeadersNotSigned", name));
        }
    }
    Ok(())
}

fn check_signature(
    request: &S3Request,
    claim: &Claim<'_>,
    signing_key: &[u8; 32],
) -> Result<(), S3Error> {
    let query = match claim.expires {
        None => Cow::from(request.query.pairs()),
        Some(_) => request
            .query
            .pairs()
            .iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .cloned()
            .collect(),
    };
    let mut headers: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    if !request.has_header("host") {
        headers.push(("host", request.host.as_bytes()));
    }
    let encoded = sigv4::uri_encode(request.path.as_bytes(), false);
    let canonical = |path| CanonicalRequest {
        method: request.method.as_str(),
        path,
        query: &query,
        headers: &headers,
        signed_headers: &claim.signed_headers,
        payload_hash: claim.payload,
    };
    let string_to_sign = |path| {
        sigv4::string_to_sign(
            claim.timestamp,
            &claim.credential.scope,
            &canonical(path).hash(),
        )
    };
    let matches = |path| {
        sigv4::signatures_equal(
            &sigv4::signature(signing_key, &string_to_sign(path)),
            claim.signature,
        )
    };
    // Some clients sign the path as they send it, with other characters encoded than AWS's rules say.
    // Both spellings decode to the one path that is authorised.
    if matches(&encoded) || (request.raw_path != encoded && matches(&request.raw_path)) {
        return Ok(());
    }
    Err(S3Error::new(Code::SignatureDoesNotMatch)
        .by(Rule::Signature)
        .detail("AWSAccessKeyId", claim.credential.access_key_id)
        .detail("StringToSign", string_to_sign(&encoded))
        .detail("SignatureProvided", claim.signature)
        .detail(
            "CanonicalRequest",
            String::from_utf8_lossy(&canonical(&encoded).canonical()),
        ))
}

fn payload_hash(text: &str) -> Result<PayloadHash, S3Error> {
    Ok(match text {
        "UNSIGNED-PAYLOAD" => PayloadHash::Unsigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => PayloadHash::Chunked {
            signed: true,
            trailer: false,
        },
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => PayloadHash::Chunked {
            signed: true,
            trailer: true,
        },
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => PayloadHash::Chunked {
            signed: false,
            trailer: true,
        },
        hash if hash.len() == 64
            && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) =>
        {
            PayloadHash::Sha256(hash.to_owned())
        }
        _ => {
            return Err(S3Error::with(
                Code::InvalidArgument,
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            ));
        }
    })
}

#[cfg(test)]
mod tests;
