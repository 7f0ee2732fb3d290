//! `x-amz-copy-source`: which object is read by a copy.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use crate::error::{Code, S3Error};
use crate::request::{MAX_KEY_BYTES, decode};

#[derive(Debug, PartialEq, Eq)]
pub struct CopySource {
    pub bucket: String,
    pub key: String,
}

/// `[/]bucket/key`, percent-encoded. A version cannot be asked for yet.
pub fn parse(value: &str) -> Result<CopySource, S3Error> {
    let invalid = || {
        S3Error::with(
            Code::InvalidArgument,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    };
    let (path, query) = value.split_once('?').unwrap_or((value, ""));
    if !query.is_empty() {
        return Err(S3Error::with(
            Code::NotImplemented,
            "Copying a version is not implemented.",
        ));
    }
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
        };
        assert_eq!(parse("/b/a%20b/c%25").unwrap(), source);
        assert_eq!(parse("b/a%20b/c%25").unwrap(), source);
        assert_eq!(parse("/b//x").unwrap().key, "/x");
        assert_eq!(parse("b/a+b").unwrap().key, "a+b");
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
        assert_eq!(
            parse("/b/k?versionId=1").unwrap_err().code,
            Code::NotImplemented
        );
    }
}
