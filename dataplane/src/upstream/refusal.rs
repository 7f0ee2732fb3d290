//! What an engine says when it refuses, as the customer may hear it.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};

use super::{Denial, EngineAnswer};
use crate::error::{Code, EngineVersion, S3Error};
use crate::xml;

const MAX_ERROR_DOCUMENT: usize = 64 * 1024;

pub async fn refusal(
    response: Response<EngineAnswer>,
    head_only: bool,
    denial: Denial,
    stall: Duration,
) -> S3Error {
    let version = version(response.headers());
    // A server that fails may have failed late; one that has no time, or does not know the thing, has not begun.
    let undone = response.status() != StatusCode::INTERNAL_SERVER_ERROR
        && response.status() != StatusCode::BAD_GATEWAY
        && response.status() != StatusCode::GATEWAY_TIMEOUT;
    let mut error = read(response, head_only, denial, stall).await;
    error.version = version;
    error.undone = undone;
    error
}

fn version(headers: &HeaderMap) -> Option<EngineVersion> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = text("x-amz-version-id").map(str::to_owned);
    let is_delete_marker = text("x-amz-delete-marker") == Some("true");
    (id.is_some() || is_delete_marker).then_some(EngineVersion {
        id,
        is_delete_marker,
    })
}

async fn read(
    response: Response<EngineAnswer>,
    head_only: bool,
    denial: Denial,
    stall: Duration,
) -> S3Error {
    let status = response.status();
    let headers = response.headers().clone();
    if status == StatusCode::NOT_MODIFIED {
        let mut error = S3Error::new(Code::NotModified);
        for name in ["etag", "last-modified"] {
            if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
                error = error.detail(
                    if name == "etag" {
                        "ETag"
                    } else {
                        "LastModified"
                    },
                    value,
                );
            }
        }
        return error;
    }
    let code = match head_only {
        // Of a HEAD, whose answer has no body to say more.
        true if status == StatusCode::FORBIDDEN => Some("AccessDenied".to_owned()),
        true => None,
        false => code(response, stall).await,
    };
    let denied = |message| S3Error::with(Code::AccessDenied, message);
    match (code.as_deref(), denial) {
        (Some("AccessDenied"), Denial::Locked) => {
            denied("Access Denied because object protected by object lock.")
        }
        (Some("AccessDenied"), Denial::CustomerKey) => {
            denied("The object was encrypted with another customer's key.")
        }
        (code, _) => translate(code.unwrap_or(""), status),
    }
}

async fn code(response: Response<EngineAnswer>, stall: Duration) -> Option<String> {
    let body = Limited::new(response.into_body(), MAX_ERROR_DOCUMENT).collect();
    let body = tokio::time::timeout(stall, body).await.ok()?.ok()?;
    let document = xml::parse(&body.to_bytes()).ok()?;
    document.value("Code").map(str::to_owned)
}

/// What an engine says about the customer's request is passed on by its code; what it says about ours is our failure.
pub fn translate(code: &str, status: StatusCode) -> S3Error {
    use Code::*;
    let about_the_request = [
        BadDigest,
        ConditionalRequestConflict,
        EntityTooLarge,
        EntityTooSmall,
        IncompleteBody,
        InvalidArgument,
        InvalidBucketState,
        InvalidDigest,
        InvalidEncryptionAlgorithmError,
        InvalidPart,
        InvalidPartNumber,
        InvalidPartOrder,
        InvalidRange,
        InvalidRequest,
        InvalidRetentionPeriod,
        InvalidTag,
        KeyTooLongError,
        MalformedXML,
        MetadataTooLarge,
        MethodNotAllowed,
        NoSuchKey,
        NoSuchLifecycleConfiguration,
        NoSuchObjectLockConfiguration,
        NoSuchTagSet,
        NoSuchUpload,
        NoSuchVersion,
        NotImplemented,
        ObjectLockConfigurationNotFoundError,
        OperationAborted,
        PreconditionFailed,
        ServerSideEncryptionConfigurationNotFoundError,
        XAmzContentSHA256Mismatch,
    ];
    if let Some(known) = Code::from_name(code).filter(|code| about_the_request.contains(code)) {
        return known.into();
    }
    let by_status = match (code, status.as_u16()) {
        ("" | "NotFound", 404) => Some(NoSuchKey),
        // Of a HEAD, which has no body to say more.
        ("", 400) => Some(BadRequest),
        ("", 405) => Some(MethodNotAllowed),
        ("", 412) => Some(PreconditionFailed),
        ("", 416) => Some(InvalidRange),
        _ => None,
    };
    if let Some(code) = by_status {
        return code.into();
    }
    tracing::warn!(
        code,
        status = status.as_u16(),
        "the engine refused what was allowed here"
    );
    match status.as_u16() {
        503 | 429 => S3Error::new(ServiceUnavailable).retry_after(1),
        _ => InternalError.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_speak_of_the_request_and_not_of_themselves() {
        for (code, status, expected) in [
            ("NoSuchKey", 404, Code::NoSuchKey),
            ("PreconditionFailed", 412, Code::PreconditionFailed),
            ("InvalidPartNumber", 400, Code::InvalidPartNumber),
            ("", 404, Code::NoSuchKey),
            ("SignatureDoesNotMatch", 403, Code::InternalError),
            ("InvalidAccessKeyId", 403, Code::InternalError),
            ("AccessDenied", 403, Code::InternalError),
            ("NoSuchBucket", 404, Code::InternalError),
            ("SlowDown", 503, Code::ServiceUnavailable),
            ("Nonsense", 400, Code::InternalError),
            ("", 500, Code::InternalError),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(translate(code, status).code, expected, "{code} {status}");
        }
    }
}
