//! DeleteObject and AbortMultipartUpload.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>

use http::{Method, StatusCode};

use super::settings::pass_bypass;
use super::versions::{DELETE_MARKER, version};
use super::{Answer, Call, empty};
use crate::error::{Code, S3Error};
use crate::journal::Change;
use crate::upstream::{Denial, EngineRequest};
use crate::usage::look;

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let engine_key = place.key(call.key()?)?;
    let mut request = EngineRequest::new(place.engine, Method::DELETE, place.engine_bucket())
        .key(engine_key.clone());
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
    let asked = match call.request.query.single("versionId")? {
        Some(id) => Some(call.open_version(place, call.key()?, id)?),
        None => None,
    };
    let before = call.look(place, &engine_key, asked.as_deref()).await;
    match call.send(request).await {
        Ok(answer) => {
            call.changes.done(match asked {
                Some(_) => before.removed(),
                None => before.replaced(version(answer.headers())),
            });
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
pub async fn abort(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let (engine_key, upload_id) = (place.key(call.key()?)?, call.upload_id(place)?);
    let upload = look::upload(place, &engine_key, &upload_id);
    let request = EngineRequest::new(place.engine, Method::DELETE, place.engine_bucket())
        .key(engine_key)
        .query("uploadId", upload_id);
    call.send(request).await?;
    call.changes.done([Change::Aborted { upload }]);
    Ok(empty(StatusCode::NO_CONTENT))
}
