//! ListParts.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>

use http::Method;

use super::{Answer, Call, xml};
use crate::integrity::Algorithm;
use crate::listing::at_most;
use crate::upstream::EngineRequest;
use crate::xml::XmlWriter;

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let key = call.key()?;
    let query = &call.request.query;
    let most = at_most(query.single("max-parts")?, "max-parts", 1000)?;
    let after = at_most(
        query.single("part-number-marker")?.or(Some("0")),
        "part-number-marker",
        10_000,
    )?;
    let request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
        .key(place.key(key)?)
        .query("uploadId", call.upload_id(place)?)
        .query("max-parts", most.to_string())
        .query("part-number-marker", after.to_string());
    let (_, answer) = call.ask(request).await?;

    let mut out = XmlWriter::s3("ListPartsResult");
    out.text("Bucket", call.bucket_name()?);
    out.text("Key", key);
    out.text("UploadId", query.single("uploadId")?.unwrap_or(""));
    for role in ["Initiator", "Owner"] {
        out.open(role);
        out.text("ID", call.identity.tenant.id());
        out.text("DisplayName", call.identity.tenant.id());
        out.close(role);
    }
    out.text("StorageClass", "STANDARD");
    out.number("PartNumberMarker", after);
    out.copy(&answer, "NextPartNumberMarker");
    out.number("MaxParts", most);
    out.text(
        "IsTruncated",
        if answer.value("IsTruncated") == Some("true") {
            "true"
        } else {
            "false"
        },
    );
    for name in ["ChecksumAlgorithm", "ChecksumType"] {
        out.copy(&answer, name);
    }
    for part in answer.all("Part") {
        out.open("Part");
        for name in ["PartNumber", "LastModified", "ETag", "Size"] {
            out.copy(part, name);
        }
        for algorithm in Algorithm::ALL {
            out.copy(part, algorithm.element());
        }
        out.close("Part");
    }
    out.close("ListPartsResult");
    Ok(xml(out.finish()))
}
