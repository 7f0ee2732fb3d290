//! GetObjectAttributes.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html>

use http::{HeaderValue, Method, header};

use super::features::cannot;
use super::versions::DELETE_MARKER;
use super::{Answer, Call, xml};
use crate::error::{Code, S3Error};
use crate::integrity::Algorithm;
use crate::upstream::EngineRequest;
use crate::xml::{Element, XmlWriter};

const ATTRIBUTES: &str = "x-amz-object-attributes";
const KNOWN: &[&str] = &[
    "ETag",
    "Checksum",
    "ObjectParts",
    "StorageClass",
    "ObjectSize",
];

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let asked = asked(&call)?;
    if !place.engine.capabilities.object_attributes {
        return Err(cannot("object attributes"));
    }
    let mut request = EngineRequest::new(place.engine, Method::GET, place.engine_bucket())
        .key(place.key(call.key()?)?)
        .query("attributes", "");
    request = call.pass_version(place, request)?;
    request.headers.set(ATTRIBUTES, &asked.join(","))?;
    request.headers.pass(
        &call.request,
        &["x-amz-max-parts", "x-amz-part-number-marker"],
    );
    call.pass_customer_key(&mut request)?;
    let (headers, answer) = call
        .ask(request)
        .await
        .map_err(|error| call.explain_version(place, error))?;
    let mut response = xml(write(&answer, &asked));
    let to = response.headers_mut();
    for name in [header::LAST_MODIFIED, DELETE_MARKER] {
        if let Some(value) = headers.get(&name) {
            to.insert(name, HeaderValue::clone(value));
        }
    }
    call.answer_version(place, &headers, to)?;
    Ok(response)
}

fn asked(call: &Call) -> Result<Vec<&'static str>, S3Error> {
    let invalid = || S3Error::with(Code::InvalidArgument, "Invalid attribute name specified");
    let mut asked = Vec::new();
    for value in call.request.headers.get_all(ATTRIBUTES) {
        for name in value.to_str().map_err(|_| invalid())?.split(',') {
            let known = KNOWN.iter().find(|known| **known == name.trim());
            asked.push(*known.ok_or_else(invalid)?);
        }
    }
    if asked.is_empty() {
        return Err(S3Error::with(
            Code::InvalidRequest,
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    Ok(asked)
}

fn write(answer: &Element, asked: &[&str]) -> String {
    let mut out = XmlWriter::s3("GetObjectAttributesResponse");
    for name in KNOWN.iter().filter(|name| asked.contains(name)) {
        let Some(found) = answer.child(name) else {
            continue;
        };
        match *name {
            "Checksum" => {
                out.open(name);
                checksums(&mut out, found);
                out.copy(found, "ChecksumType");
                out.close(name);
            }
            "ObjectParts" => {
                out.open(name);
                parts(&mut out, found);
                out.close(name);
            }
            "StorageClass" => out.text(name, "STANDARD"),
            _ => out.text(name, &found.text),
        }
    }
    out.close("GetObjectAttributesResponse");
    out.finish()
}

fn parts(out: &mut XmlWriter, found: &Element) {
    for name in [
        "TotalPartsCount",
        "PartsCount",
        "PartNumberMarker",
        "NextPartNumberMarker",
        "MaxParts",
        "IsTruncated",
    ] {
        out.copy(found, name);
    }
    for part in found.all("Part") {
        out.open("Part");
        checksums(out, part);
        out.copy(part, "PartNumber");
        out.copy(part, "Size");
        out.close("Part");
    }
}

fn checksums(out: &mut XmlWriter, from: &Element) {
    for algorithm in Algorithm::ALL {
        out.copy(from, algorithm.element());
    }
}
