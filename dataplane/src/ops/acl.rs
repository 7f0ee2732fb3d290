//! Access control lists, as far as S3 has them with ACLs switched off: the owner may everything. One grant more can be
//! made, of a whole bucket to everybody: then it can be listed, and its objects read, without a signature.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>

use http::StatusCode;
use wire::BucketSetting;

use super::{Answer, Call, empty, xml};
use crate::error::{Code, S3Error};
use crate::gate;
use crate::xml::{Element, XmlWriter, parse};

const MAX_DOCUMENT: u64 = 64 * 1024;
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html>
pub fn of_bucket(call: &Call) -> Answer {
    let bucket = call.place()?.bucket;
    Ok(xml(write(call.identity.tenant.id(), bucket.public_read)))
}

/// Of an object that is there.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html>
pub async fn of_object(call: Box<Call>) -> Answer {
    let place = call.place()?;
    call.must_exist(place).await?;
    Ok(xml(write(
        call.identity.tenant.id(),
        place.bucket.public_read,
    )))
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html>
pub async fn set_of_bucket(mut call: Box<Call>) -> Answer {
    let bucket = call.place()?.bucket;
    let public = bucket.public_read;
    let wanted = wanted(&mut call).await?;
    if wanted {
        gate::may_give(&call.identity.tenant)?;
    }
    if wanted != public {
        call.set(BucketSetting::PublicRead(wanted)).await?;
    }
    Ok(empty(StatusCode::OK))
}

/// An object's list says what its bucket's says, and can be asked to say nothing else.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html>
pub async fn set_of_object(mut call: Box<Call>) -> Answer {
    if wanted(&mut call).await? && !call.place()?.bucket.public_read {
        return Err(Code::AccessControlListNotSupported.into());
    }
    call.must_exist(call.place()?).await?;
    Ok(empty(StatusCode::OK))
}

/// Whether everybody shall read: from the header, whose values were checked, or from the document.
async fn wanted(call: &mut Call) -> Result<bool, S3Error> {
    let canned = call
        .request
        .header("x-amz-acl")?
        .map(|acl| acl == "public-read");
    let document = call.document(MAX_DOCUMENT).await?;
    match (canned, document.trim_ascii().is_empty()) {
        (Some(public), true) => Ok(public),
        (Some(_), false) => Err(S3Error::with(
            Code::InvalidRequest,
            "An ACL is given as a header or as a document.",
        )),
        (None, true) => {
            Err(S3Error::new(Code::MissingSecurityHeader).detail("MissingHeaderName", "x-amz-acl"))
        }
        (None, false) => read(&document, call.identity.tenant.id()),
    }
}

pub fn read(document: &[u8], owner: &str) -> Result<bool, S3Error> {
    let root = parse(document).map_err(|_| Code::MalformedXML)?;
    if root.name != "AccessControlPolicy" {
        return Err(Code::MalformedXML.into());
    }
    let grants = root.child("AccessControlList").ok_or(Code::MalformedXML)?;
    let mut public = false;
    for grant in grants.all("Grant") {
        let grantee = grant.child("Grantee").ok_or(Code::MalformedXML)?;
        let is =
            |element: &Element, name, text: &str| element.value(name).map(str::trim) == Some(text);
        if is(grantee, "ID", owner) && is(grant, "Permission", "FULL_CONTROL") {
            continue;
        }
        if is(grantee, "URI", EVERYBODY) && is(grant, "Permission", "READ") {
            public = true;
            continue;
        }
        return Err(Code::AccessControlListNotSupported.into());
    }
    Ok(public)
}

pub fn write(owner: &str, public: bool) -> String {
    const XSI: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    let mut out = XmlWriter::s3("AccessControlPolicy");
    out.open("Owner");
    out.text("ID", owner);
    out.text("DisplayName", owner);
    out.close("Owner");
    out.open("AccessControlList");
    out.open("Grant");
    out.open(&format!("Grantee {XSI} xsi:type=\"CanonicalUser\""));
    out.text("ID", owner);
    out.text("DisplayName", owner);
    out.close("Grantee");
    out.text("Permission", "FULL_CONTROL");
    out.close("Grant");
    if public {
        out.open("Grant");
        out.open(&format!("Grantee {XSI} xsi:type=\"Group\""));
        out.text("URI", EVERYBODY);
        out.close("Grantee");
        out.text("Permission", "READ");
        out.close("Grant");
    }
    out.close("AccessControlList");
    out.close("AccessControlPolicy");
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for public in [false, true] {
            assert_eq!(read(write("t", public).as_bytes(), "t").unwrap(), public);
        }
    }

    #[test]
    fn no_other_grant_is_taken() {
        for (from, to) in [
            ("READ", "WRITE"),
            ("AllUsers", "AuthenticatedUsers"),
            ("<ID>t", "<ID>u"),
        ] {
            let document = write("t", true).replace(from, to);
            let code = read(document.as_bytes(), "t").err().map(|error| error.code);
            assert_eq!(code, Some(Code::AccessControlListNotSupported), "{from}");
        }
    }
}
