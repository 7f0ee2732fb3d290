//! The one error of the control plane: it knows its HTTP status, a stable code, and the form field it concerns.
//! What happened inside is logged and never shown.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 422: a field of the form or of the JSON body is not acceptable.
    #[error("{field}: {message}")]
    Validation { field: String, message: String },
    /// 400: what came is not a request that can be understood at all.
    #[error("{0}")]
    BadRequest(String),
    /// 401
    #[error("{0}")]
    Unauthorized(&'static str),
    /// 403
    #[error("{0}")]
    Forbidden(&'static str),
    /// 403: the API token lacks this scope.
    #[error("The token lacks the scope `{0}`.")]
    MissingScope(&'static str),
    /// 404: it does not exist, or it is someone else's; the caller cannot tell which.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// 405
    #[error("There is no such operation here. The header Allow names those that there are.")]
    MethodNotAllowed,
    /// 409
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// 429
    #[error("too many attempts; try again in {retry_after_seconds} seconds")]
    TooManyRequests { retry_after_seconds: u64 },
    /// 503: a part that this needs is not there at the moment; trying again later makes sense.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A refusal that bears one of S3's codes, as nodes hand it on: `BucketNotEmpty`, `InvalidBucketName`, …
    #[error("{message}")]
    S3 {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
    /// 500
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

impl Error {
    pub fn validation(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Validation {
            field: field.into(),
            message: message.into(),
        }
    }

    pub(crate) fn s3(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::S3 {
            status,
            code,
            message,
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Validation { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::MissingScope(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::S3 { status, .. } => *status,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A word that stays the same whatever the sentence says.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation { .. } => "validation_failed",
            Self::BadRequest(_) => "bad_request",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::MissingScope(_) => "missing_scope",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict { code, .. } | Self::S3 { code, .. } => code,
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// The form field that the refusal concerns.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Validation { field, .. } => Some(field),
            Self::S3 {
                code: "InvalidBucketName" | "BucketAlreadyOwnedByYou" | "BucketAlreadyExists",
                ..
            } => Some("name"),
            _ => None,
        }
    }

    /// One sentence for people; nothing internal.
    pub fn message(&self) -> String {
        match self {
            Self::Validation { message, .. } => message.clone(),
            Self::Internal(_) => "Something went wrong on our side.".to_owned(),
            other => other.to_string(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                tracing::error!(%error, "the database cannot be reached");
                Self::Unavailable("The database cannot be reached.")
            }
            // `untranslatable_character` and `character_not_in_repertoire`: Postgres keeps no NUL.
            sqlx::Error::Database(error)
                if error
                    .code()
                    .is_some_and(|code| code == "22P05" || code == "22021") =>
            {
                Self::BadRequest("A text has a character that cannot be kept.".to_owned())
            }
            other => Self::Internal(other.into()),
        }
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

/// Problem details with the one extension that forms need.
#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    problem: wire::Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl IntoResponse for Error {
    /// RFC 9457: <https://www.rfc-editor.org/rfc/rfc9457>
    fn into_response(self) -> Response {
        if let Self::Internal(error) = &self {
            tracing::error!(error = format!("{error:#}"), "internal error");
        }
        let status = self.status();
        let body = Body {
            problem: wire::Problem {
                kind: "about:blank".to_owned(),
                title: status.canonical_reason().unwrap_or("Error").to_owned(),
                status: status.as_u16(),
                code: self.code().to_owned(),
                detail: self.message(),
            },
            field: self.field().map(str::to_owned),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Self::TooManyRequests {
            retry_after_seconds,
        } = self
        {
            headers.insert(header::RETRY_AFTER, retry_after_seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
