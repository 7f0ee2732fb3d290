//! PostObject: what a browser's form asks for is a PutObject, and is done as one; the answer is the form's.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use http::header::ETAG;

use super::{Answer, Call, put_object};
use crate::error::Code;
use crate::form::{Stored, location};

pub async fn perform(mut call: Box<Call>) -> Answer {
    let reply = call.reply.take().ok_or(Code::InternalError)?;
    let (bucket, key) = (call.bucket_name()?.to_owned(), call.key()?.to_owned());
    let location = location(&call.request, &key);
    let answer = put_object::perform(call).await?;
    let etag = answer.headers().get(ETAG).cloned();
    let stored = Stored {
        bucket: &bucket,
        key: &key,
        etag: etag
            .as_ref()
            .and_then(|etag| etag.to_str().ok())
            .unwrap_or_default(),
        location,
    };
    Ok(reply.answer(answer, &stored))
}
