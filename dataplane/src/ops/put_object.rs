//! PutObject and UploadPart: the client's stream, verified on its way to the engine.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>

use http::header::{ETAG, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::get_object::part_number;
use super::quota::Wanted;
use super::versions::version;
use super::{Answer, Call, empty};
use crate::body::Content;
use crate::error::{Code, S3Error};
use crate::headers::answer_about_encryption;
use crate::integrity::Algorithm;
use crate::journal::Change;
use crate::payload::{Outcome, Payload};
use crate::upstream::{EngineAnswer, EngineBody, EngineRequest};
use crate::usage::look::{self, Look};

pub async fn perform(mut call: Box<Call>) -> Answer {
    let payload = call.payload(call.place()?.engine.capabilities)?;
    let place = call.place()?;
    let key = call.key()?;
    if key.ends_with('/') && payload.length() > 0 && !place.engine.capabilities.exact_keys {
        return Err(S3Error::with(
            Code::InvalidArgument,
            "This bucket's storage engine keeps keys that end in '/' as folders: they must be empty.",
        ));
    }
    let mut request =
        EngineRequest::new(place.engine, Method::PUT, place.engine_bucket()).key(place.key(key)?);
    call.pass_conditions(&mut request)?;
    request.headers.pass_object(&call.request)?;
    call.pass_demands(&mut request)?;
    call.reserve(Wanted {
        bytes: payload.length(),
        objects: 1,
        upload: 0,
    })
    .await?;
    send(&call, request, payload, Meant::Object).await
}

pub async fn part(mut call: Box<Call>) -> Answer {
    let payload = call.payload(call.place()?.engine.capabilities)?;
    let place = call.place()?;
    let number = part_number(call.request.query.single("partNumber")?.unwrap_or(""))?;
    let (engine_key, upload_id) = (place.key(call.key()?)?, call.upload_id(place)?);
    let upload = look::upload(place, &engine_key, &upload_id);
    let mut request = EngineRequest::new(place.engine, Method::PUT, place.engine_bucket())
        .key(engine_key)
        .query("partNumber", number.to_string())
        .query("uploadId", upload_id);
    call.pass_customer_key(&mut request)?;
    call.reserve(Wanted {
        bytes: payload.length(),
        objects: 0,
        upload,
    })
    .await?;
    send(&call, request, payload, Meant::Part(upload)).await
}

/// What a body becomes.
#[derive(Clone, Copy)]
enum Meant {
    Object,
    /// Of this upload.
    Part(u64),
}

impl Meant {
    fn change(self, bytes: u64) -> Change {
        match self {
            Meant::Object => Change::Stored { bytes },
            Meant::Part(upload) => Change::Part { upload, bytes },
        }
    }
}

async fn send(
    call: &Call,
    mut request: EngineRequest<'_>,
    mut payload: Box<Payload>,
    meant: Meant,
) -> Answer {
    let change = meant.change(payload.length());
    let outcome = payload.outcome();
    request.headers.pass(&call.request, &["content-md5"]);
    let able = request.engine.capabilities;
    request.headers.pass_checksums(&call.request, able);
    let (form, hash) = payload.engine_headers(call.payload_hash());
    for (name, value) in form {
        request.headers.put_before(name, &value)?;
    }
    request.payload_hash = hash.into();
    let standing = call.standing()?;
    payload.release_if(standing.clone());
    let length = http_body::Body::size_hint(&*payload).lower();
    request.headers.set("content-length", &length.to_string())?;
    let (answer, before) = exchange(call, request, payload, change).await?;
    if let Err(error) = &answer {
        call.changes.failed(error);
    }
    // What the body itself did wrong explains more than what the engine made of it.
    if let Some(failure) = outcome.failure() {
        return Err(failure.clone());
    }
    let answer = answer?;
    let replaced = before.replaced(version(answer.headers()));
    call.changes.done(std::iter::once(change).chain(replaced));
    if !outcome.is_whole() {
        tracing::warn!("the engine answered before it had the whole body");
        return Err(Code::InternalError.into());
    }
    standing.check()?;
    let mut response = empty(StatusCode::OK);
    answer_headers(answer.headers(), &outcome, &mut response);
    call.answer_version(call.place()?, answer.headers(), response.headers_mut())?;
    Ok(response)
}

/// Sends the body, and looks beside it at what it replaces: at the latest before the last piece goes out.
async fn exchange(
    call: &Call,
    mut request: EngineRequest<'_>,
    mut payload: Box<Payload>,
    change: Change,
) -> Result<(Result<Response<EngineAnswer>, S3Error>, Look), S3Error> {
    let place = call.place()?;
    let engine_key = request.key.clone().unwrap_or_default();
    let replaces = matches!(change, Change::Stored { .. }) && !only_if_new(call);
    let look = async {
        match replaces {
            true => call.look(place, &engine_key, None).await,
            false => Look::Nothing,
        }
    };
    let outcome = Some(payload.outcome());
    if !payload.prime().await? {
        let before = look.await;
        call.changes.asked(change, outcome);
        return Ok((call.send(request).await, before));
    }
    let awaited = payload.release_after();
    request.body = EngineBody::Stream(payload);
    let Some(awaited) = awaited else {
        let before = look.await;
        call.changes.asked(change, outcome);
        return Ok((call.send(request).await, before));
    };
    call.changes.asked(change, outcome);
    let looking = async {
        let before = look.await;
        let _ = awaited.send(());
        before
    };
    Ok(tokio::join!(call.send(request), looking))
}

/// The write fails if there is anything to replace.
fn only_if_new(call: &Call) -> bool {
    let value = call.request.headers.get("if-none-match");
    value.is_some_and(|value| value == "*")
}

/// The entity tag, and the checksum: the engine's, or the one that was verified here.
fn answer_headers(from: &HeaderMap, outcome: &Outcome, response: &mut Response<Content>) {
    let to = response.headers_mut();
    for name in [ETAG, HeaderName::from_static("x-amz-checksum-type")] {
        if let Some(value) = from.get(&name) {
            to.insert(name, value.clone());
        }
    }
    answer_about_encryption(from, to);
    for algorithm in Algorithm::ALL {
        if let Some(value) = from.get(algorithm.header()) {
            to.insert(HeaderName::from_static(algorithm.header()), value.clone());
        }
    }
    if let Some((algorithm, value)) = outcome.checksum()
        && let Ok(value) = HeaderValue::from_str(value)
    {
        to.insert(HeaderName::from_static(algorithm.header()), value);
    }
}
