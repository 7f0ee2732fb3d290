//! What the query of a presigned request claims. Nothing of it is believed here.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use chrono::TimeDelta;
use sigv4::{ALGORITHM, Credential};

use super::Claim;
use crate::error::{Code, S3Error};
use crate::request::S3Request;

/// Seven days, the longest life of a presigned URL.
pub(super) const MAX_EXPIRES: i64 = 604_800;

/// Whether the query says anything of a signature.
pub(super) fn is_signed(request: &S3Request) -> bool {
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"]
        .iter()
        .any(|name| request.query.has(name))
}

pub(super) fn claim(request: &S3Request) -> Result<Claim<'_>, S3Error> {
    let malformed =
        |message: String| S3Error::with(Code::AuthorizationQueryParametersError, message);
    let required = |name: &'static str| {
        request
            .query
            .single(name)?
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                malformed(format!(
                    "Query-string authentication requires the parameter {name}, once."
                ))
            })
    };
    if required("X-Amz-Algorithm")? != ALGORITHM {
        return Err(malformed(format!(
            "X-Amz-Algorithm only supports \"{ALGORITHM}\"."
        )));
    }
    let credential = Credential::parse(required("X-Amz-Credential")?).map_err(|error| {
        malformed(format!(
            "Error parsing the X-Amz-Credential parameter; {error}."
        ))
    })?;
    let expires = match required("X-Amz-Expires")?.parse::<i64>() {
        Ok(seconds @ 1..=MAX_EXPIRES) => TimeDelta::seconds(seconds),
        _ => {
            return Err(malformed(format!(
                "X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES}."
            )));
        }
    };
    let payload = match request.query.single("X-Amz-Content-Sha256")? {
        Some(hash) => hash,
        None => request
            .header("x-amz-content-sha256")?
            .unwrap_or("UNSIGNED-PAYLOAD"),
    };
    Ok(Claim {
        credential,
        signed_headers: sigv4::parse_signed_headers(required("X-Amz-SignedHeaders")?).map_err(
            |error| {
                malformed(format!(
                    "Error parsing the X-Amz-SignedHeaders parameter; {error}."
                ))
            },
        )?,
        signature: sigv4::parse_signature(required("X-Amz-Signature")?).map_err(|error| {
            malformed(format!(
                "Error parsing the X-Amz-Signature parameter; {error}."
            ))
        })?,
        timestamp: required("X-Amz-Date")?,
        payload,
        expires: Some(expires),
        malformed: Code::AuthorizationQueryParametersError,
    })
}
