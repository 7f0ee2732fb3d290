//! CreateBucket: a change of configuration, made by the control plane. It is answered when this node serves the
//! bucket, so that the next request finds it.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>

use http::{HeaderValue, StatusCode, header};
use wire::CreateBucket;

use super::{Answer, Call, empty};
use crate::error::{Code, S3Error};
use crate::xml;

const MAX_CONFIGURATION: u64 = 64 * 1024;

pub async fn perform(mut call: Box<Call>) -> Answer {
    let document = call.document(MAX_CONFIGURATION).await?;
    if !document.trim_ascii().is_empty() {
        check_location(&document, &call.shared.settings.region)?;
    }
    let name = call.bucket_name()?.to_owned();
    let created = call
        .node
        .control
        .create_bucket(&CreateBucket {
            tenant_id: call.identity.tenant.id().to_owned(),
            access_key_id: call.identity.access_key_id.to_string(),
            name: name.clone(),
            request_id: call.request.id.clone(),
            object_lock: is(&call, "x-amz-bucket-object-lock-enabled", "true")?,
            public_read: is(&call, "x-amz-acl", "public-read")?,
        })
        .await?;
    call.node.wait_for(created.revision).await;
    let mut response = empty(StatusCode::OK);
    let location =
        HeaderValue::from_str(&format!("/{name}")).map_err(|_| Code::InvalidBucketName)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

fn is(call: &Call, header: &str, value: &str) -> Result<bool, S3Error> {
    let given = call.request.header(header)?;
    Ok(given.is_some_and(|given| given.eq_ignore_ascii_case(value)))
}

pub fn check_location(document: &[u8], region: &str) -> Result<(), S3Error> {
    let root = xml::parse(document).map_err(|_| Code::MalformedXML)?;
    if root.name != "CreateBucketConfiguration" {
        return Err(Code::MalformedXML.into());
    }
    match root.value("LocationConstraint").map(str::trim) {
        None | Some("") => Ok(()),
        Some(constraint) if constraint == region => Ok(()),
        Some(_) => Err(Code::IllegalLocationConstraintException.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(document: &str) -> Option<Code> {
        check_location(document.as_bytes(), "eu-west-1")
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn only_this_region_can_be_asked_for() {
        let with = |region: &str| {
            format!(
                "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            )
        };
        assert_eq!(code(&with("eu-west-1")), None);
        assert_eq!(code(&with("")), None);
        assert_eq!(code("<CreateBucketConfiguration/>"), None);
        assert_eq!(
            code(&with("us-west-2")),
            Some(Code::IllegalLocationConstraintException)
        );
        assert_eq!(code("<Other/>"), Some(Code::MalformedXML));
        assert_eq!(code("{}"), Some(Code::MalformedXML));
    }
}
