//! CreateMultipartUpload: the engine's upload id leaves sealed for this bucket and key.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>

use http::{HeaderName, Method};
use wire::EngineCapabilities;

use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::headers::answer_about_encryption;
use crate::integrity::Algorithm;
use crate::seal::Owner;
use crate::upstream::EngineRequest;
use crate::xml::XmlWriter;

const CHECKSUM: &[&str] = &["x-amz-checksum-algorithm", "x-amz-checksum-type"];

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let key = call.key()?;
    let mut request = EngineRequest::new(place.engine, Method::POST, place.engine_bucket())
        .key(place.key(key)?)
        .query("uploads", "");
    request.headers.pass_object(&call.request)?;
    call.pass_demands(&mut request)?;
    if keeps_checksum(&call, place.engine.capabilities)? {
        request.headers.pass(&call.request, CHECKSUM);
    }
    let (headers, answer) = call.ask(request).await?;
    let upload_id = answer
        .value("UploadId")
        .filter(|id| !id.is_empty())
        .ok_or(Code::InternalError)?;
    let mut out = XmlWriter::s3("InitiateMultipartUploadResult");
    out.text("Bucket", call.bucket_name()?);
    out.text("Key", key);
    out.text(
        "UploadId",
        &call.seal(
            Owner::Upload {
                bucket_id: &place.bucket.id,
                key,
            },
            upload_id,
        )?,
    );
    out.close("InitiateMultipartUploadResult");
    let mut response = xml(out.finish());
    answer_about_encryption(&headers, response.headers_mut());
    for name in CHECKSUM {
        if let Some(value) = headers.get(*name) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value.clone());
        }
    }
    Ok(response)
}

/// Whether the engine keeps checksums of the algorithm that the request names, or of any if it names none.
pub fn keeps_checksum(call: &Call, able: EngineCapabilities) -> Result<bool, S3Error> {
    let name = call.request.header("x-amz-checksum-algorithm")?;
    let algorithm = name.and_then(Algorithm::from_name);
    Ok(algorithm.map_or(able.checksums, |algorithm| algorithm.is_kept_by(able)))
}
