//! What the Authorization header of a request claims. Nothing of it is believed here.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>

use sigv4::{Authorization, ParseError};

use super::{Claim, unsupported};
use crate::error::{Code, S3Error};
use crate::request::S3Request;

pub(super) fn claim<'a>(request: &'a S3Request, value: &'a str) -> Result<Claim<'a>, S3Error> {
    let authorization = Authorization::parse(value).map_err(|error| match error {
        ParseError::UnsupportedAlgorithm => unsupported(),
        other => S3Error::with(
            Code::AuthorizationHeaderMalformed,
            format!("The authorization header is malformed; {other}."),
        ),
    })?;
    let timestamp = request.header("x-amz-date")?.ok_or_else(|| {
        S3Error::with(
            Code::AccessDenied,
            "AWS authentication requires a valid x-amz-date header.",
        )
    })?;
    let payload = request.header("x-amz-content-sha256")?.ok_or_else(|| {
        S3Error::with(
            Code::InvalidRequest,
            "Missing required header for this request: x-amz-content-sha256",
        )
    })?;
    Ok(Claim {
        credential: authorization.credential,
        signed_headers: authorization.signed_headers,
        signature: authorization.signature,
        timestamp,
        payload,
        expires: None,
        malformed: Code::AuthorizationHeaderMalformed,
    })
}
