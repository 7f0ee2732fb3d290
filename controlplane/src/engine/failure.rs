//! What an engine said when it refused, and what an operator can do about it. What customers hear is decided elsewhere.

use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::{EngineConfig, Error, PlacementKind};

/// The engine was asked and refused, or could not be asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// As S3 names it; `None` where the engine did not say, or nobody answered.
    pub code: Option<String>,
    /// `None`: there was no answer.
    pub status: Option<u16>,
    text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "engine: {}", self.text)
    }
}

impl std::error::Error for Failure {}

/// The whole chain of causes: the SDK's own sentence is only "service error".
pub(super) fn explain<E>(error: SdkError<E, HttpResponse>) -> anyhow::Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let failure = Failure {
        code: error.code().map(str::to_owned),
        status: error.raw_response().map(|r| r.status().as_u16()),
        text: DisplayErrorContext(&error).to_string(),
    };
    anyhow::Error::new(failure)
}

/// The failure in one line without the whole answer, for rows and pages.
pub(crate) fn brief(error: &anyhow::Error) -> String {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        return first(&format!("{error:#}"), 300);
    };
    match (failure.status, &failure.code) {
        (None, _) => first(&cause(&failure.text), 300),
        (Some(status), Some(code)) => format!("it answers {status} {code}"),
        (Some(status), None) => format!("it answers {status}"),
    }
}

/// The SDK's chain ends in its own debug form of the whole error.
fn cause(text: &str) -> String {
    let text = text.split(" (DispatchFailure").next().unwrap_or(text);
    let text = text.split(" (TimeoutError").next().unwrap_or(text);
    text.to_owned()
}

fn first(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Says which of the settings does not work, and how to mend it.
pub(crate) fn advise(config: &EngineConfig, error: &anyhow::Error) -> Error {
    let said = brief(error);
    let Some(failure) = error.downcast_ref::<Failure>() else {
        let message = format!("The engine does not work as one: {said}.");
        return Error::validation("endpoint", message);
    };
    let pool = config.pool_bucket.as_deref().unwrap_or_default();
    let (field, advice) = match (failure.status, failure.code.as_deref().unwrap_or_default()) {
        (None, _) => (
            "endpoint",
            format!(
                "Nothing answers at {}: {said}. Check the address and port, that this machine may reach it, and for \
                 https that its certificate is one that is publicly trusted.",
                config.endpoint
            ),
        ),
        (_, "InvalidAccessKeyId") => (
            "access_key_id",
            format!(
                "The engine does not know the access key id {}.",
                config.access_key_id
            ),
        ),
        (_, "SignatureDoesNotMatch") => (
            "secret_access_key",
            "The engine refuses the signature: check the secret access key, and that it belongs to this access key id."
                .to_owned(),
        ),
        (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
        | (_, "InvalidLocationConstraint" | "PermanentRedirect" | "InvalidRegion") => (
            "region",
            format!("The engine's region is not {} ({said}).", config.region),
        ),
        (_, "TooManyBuckets") => (
            "placement",
            "The account may make no more buckets: raise its limit, or use pooled placement.".to_owned(),
        ),
        (Some(401 | 403), _) if config.placement == PlacementKind::Pooled => (
            "pool_bucket",
            format!(
                "The key may not use the bucket {pool} ({said}): let it list the bucket, and write, read and delete \
                 objects in it."
            ),
        ),
        (Some(401 | 403), _) => (
            "access_key_id",
            format!(
                "The key may not do what is needed ({said}): let it make and delete buckets, and write, read, list and \
                 delete objects in them; or use pooled placement with a bucket that it may use."
            ),
        ),
        (_, "NoSuchBucket") => (
            "pool_bucket",
            format!("There is no bucket {pool} at the engine, and it cannot be made."),
        ),
        _ => (
            "endpoint",
            format!("What answers at {} does not work as an engine: {said}.", config.endpoint),
        ),
    };
    Error::validation(field, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(placement: PlacementKind) -> EngineConfig {
        EngineConfig {
            endpoint: "http://127.0.0.1:1".to_owned(),
            region: "eu-1".to_owned(),
            access_key_id: "AK".to_owned(),
            secret_access_key: "very secret".to_owned(),
            placement,
            pool_bucket: (placement == PlacementKind::Pooled).then(|| "pool".to_owned()),
        }
    }

    #[test]
    fn each_refusal_names_the_setting_and_no_secret() {
        let cases = [
            (None, None, PlacementKind::Dedicated, "endpoint"),
            (
                Some(403),
                Some("InvalidAccessKeyId"),
                PlacementKind::Dedicated,
                "access_key_id",
            ),
            (
                Some(403),
                Some("SignatureDoesNotMatch"),
                PlacementKind::Pooled,
                "secret_access_key",
            ),
            (
                Some(400),
                Some("AuthorizationHeaderMalformed"),
                PlacementKind::Dedicated,
                "region",
            ),
            (
                Some(400),
                Some("TooManyBuckets"),
                PlacementKind::Dedicated,
                "placement",
            ),
            (
                Some(403),
                Some("AccessDenied"),
                PlacementKind::Dedicated,
                "access_key_id",
            ),
            (Some(403), None, PlacementKind::Pooled, "pool_bucket"),
            (
                Some(500),
                Some("InternalError"),
                PlacementKind::Dedicated,
                "endpoint",
            ),
        ];
        for (status, code, placement, field) in cases {
            let failure = Failure {
                code: code.map(str::to_owned),
                status,
                text: "dispatch failure: io error: refused (DispatchFailure(..))".to_owned(),
            };
            let refusal = advise(&config(placement), &anyhow::Error::new(failure));
            assert_eq!(refusal.field(), Some(field), "{status:?} {code:?}");
            assert!(!refusal.message().contains("very secret"));
            assert!(!refusal.message().contains("DispatchFailure"));
        }
    }
}
