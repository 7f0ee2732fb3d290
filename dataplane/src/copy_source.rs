//! `x-amz-copy-source`: which object is read by a copy.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use crate::error::{Code, S3Error};
use crate::request::{MAX_KEY_BYTES, decode};

#[derive(Debug, PartialEq, Eq)]
pub struct CopySource {
    pub bucket: String,
    pub key: String,
    pub version_id: Option<String>,
}

/// `[/]bucket/key[?versionId=id]`, percent-encoded.
pub fn parse(value: &str) -> Result<CopySource, S3Error> {
    let invalid = || {
        S3Error::with(
            Code::InvalidArgument,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    };
    let (path, query) = value.split_once('?').unwrap_or((value, ""));
    let version_id = match query.split_once('=') {
        None if query.is_empty() => None,
        Some(("versionId", id)) if !id.is_empty() && !id.contains('&') => {
            Some(decode(id).map_err(|_| invalid())?)
        }
        _ => return Err(invalid()),
    };
    let path = decode(path).map_err(|_| invalid())?;
    let (bucket, key) = path
        .strip_prefix('/')
        .unwrap_or(&path)
        .split_once('/')
        .ok_or_else(invalid)?;
    if bucket.is_empty() || key.is_empty() || key.contains('\0') {
        return Err(invalid());
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(Code::KeyTooLongError.into());
    }
    Ok(CopySource {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_object() {
        let source = CopySource {
            bucket: "b".into(),
            key: "a b/c%".into(),
            version_id: None,
        };
        assert_eq!(parse("/b/a%20b/c%25").unwrap(), source);
        assert_eq!(parse("b/a%20b/c%25").unwrap(), source);
        assert_eq!(parse("/b//x").unwrap().key, "/x");
        assert_eq!(parse("b/a+b").unwrap().key, "a+b");
        let version = parse("b/a?versionId=x%3D").unwrap();
        assert_eq!(
            (version.key.as_str(), version.version_id.as_deref()),
            ("a", Some("x="))
        );
    }

    #[test]
    fn what_names_no_object_is_refused() {
        for value in ["", "/", "b", "/b", "/b/", "//k", "/b/%zz", "/b/%00"] {
            assert_eq!(
                parse(value).unwrap_err().code,
                Code::InvalidArgument,
                "{value}"
            );
        }
        for value in [
            "/b/k?versionId=",
            "/b/k?versionId",
            "/b/k?x=1",
            "/b/k?versionId=1&x=2",
        ] {
            assert_eq!(
                parse(value).unwrap_err().code,
                Code::InvalidArgument,
                "{value}"
            );
        }
    }
}
