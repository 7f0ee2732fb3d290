//! DeleteObject and AbortMultipartUpload.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>

use http::{Method, StatusCode};

use super::settings::pass_bypass;
use super::versions::DELETE_MARKER;
use super::{Answer, Call, empty};
use crate::error::{Code, S3Error};
use crate::upstream::{Denial, EngineRequest};

pub async fn perform(call: Call) -> Answer {
    let place = call.place()?;
    let mut request = EngineRequest::new(place.engine, Method::DELETE, place.engine_bucket())
        .key(place.key(call.key()?)?);
    if call.request.headers.contains_key("if-match") {
        if !place.engine.capabilities.conditional_writes {
            return Err(S3Error::with(
                Code::NotImplemented,
                "This bucket's storage engine knows no conditional deletes.",
            ));
        }
        request.headers.pass(&call.request, &["if-match"]);
    }
    pass_bypass(&call, &mut request)?;
    request = call.pass_version(place, request)?;
    if place.engine.capabilities.object_lock {
        request.denial = Denial::Locked;
    }
    match call.send(request).await {
        Ok(answer) => {
            let mut response = empty(StatusCode::NO_CONTENT);
            let to = response.headers_mut();
            call.answer_version(place, answer.headers(), to)?;
            if let Some(value) = answer.headers().get(DELETE_MARKER)
                && place.is_dedicated()
            {
                to.insert(DELETE_MARKER, value.clone());
            }
            Ok(response)
        }
        // What is not there is deleted, as S3 sees it.
        Err(error) if error.code == Code::NoSuchKey => Ok(empty(StatusCode::NO_CONTENT)),
        Err(error) => Err(error),
    }
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>
pub async fn abort(call: Call) -> Answer {
    let place = call.place()?;
    let request = EngineRequest::new(place.engine, Method::DELETE, place.engine_bucket())
        .key(place.key(call.key()?)?)
        .query("uploadId", call.upload_id(place)?);
    call.send(request).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
