//! HeadBucket and GetBucketLocation: answered from the pushed document.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>

use http::{HeaderValue, StatusCode};

use super::{Answer, Call, empty, xml};
use crate::error::Code;
use crate::xml::XmlWriter;

pub fn perform(call: &Call) -> Answer {
    call.place()?;
    let mut response = empty(StatusCode::OK);
    let region =
        HeaderValue::from_str(&call.shared.settings.region).map_err(|_| Code::InternalError)?;
    response.headers_mut().insert("x-amz-bucket-region", region);
    Ok(response)
}

/// us-east-1 is written as an empty constraint.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>
pub fn location(call: &Call) -> Answer {
    call.place()?;
    let region = call.shared.settings.region.as_str();
    let mut out = XmlWriter::document();
    let constraint = if region == "us-east-1" { "" } else { region };
    out.namespaced_text("LocationConstraint", constraint);
    Ok(xml(out.finish()))
}
