//! Gives every request the name of an S3 operation, or refuses it: what is not named here never reaches an engine.

use http::Method;

use crate::error::{Code, S3Error};
use crate::request::S3Request;

/// What an operation does to the tenant's data: what a key's permission and a tenant's status are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Lists, or looks at a bucket.
    List,
    /// Reads objects.
    Read,
    /// Adds or replaces.
    Write,
    /// Takes away.
    Delete,
    /// Makes or removes a bucket.
    Configure,
}

macro_rules! operations {
    ($($name:ident $effect:ident;)*) => {
        /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operation { $($name,)* }

        impl Operation {
            pub const ALL: &[Operation] = &[$(Operation::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Operation::$name => stringify!($name),)* }
            }

            pub fn effect(self) -> Effect {
                match self { $(Operation::$name => Effect::$effect,)* }
            }
        }
    };
}

operations! {
    AbortMultipartUpload Delete;
    CompleteMultipartUpload Write;
    CopyObject Write;
    CreateBucket Configure;
    CreateMultipartUpload Write;
    DeleteBucket Configure;
    DeleteObject Delete;
    DeleteObjects Delete;
    GetBucketLocation List;
    GetBucketVersioning List;
    GetObject Read;
    HeadBucket List;
    HeadObject Read;
    ListBuckets List;
    ListMultipartUploads List;
    ListObjects List;
    ListObjectsV2 List;
    ListParts Read;
    PutObject Write;
    UploadPart Write;
    UploadPartCopy Write;
}

/// Every subresource of S3's. One that no operation above claims makes the request something else, and refused.
pub const SUBRESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

pub fn classify(request: &S3Request) -> Result<Operation, S3Error> {
    use Operation::*;
    let subresource = subresource(request)?;
    let copies = request.headers.contains_key("x-amz-copy-source");
    let operation = match (&request.method, &request.bucket, &request.key, subresource) {
        (&Method::GET, None, None, None) => ListBuckets,
        (&Method::GET, Some(_), None, None) => match request.query.single("list-type")? {
            None | Some("1") => ListObjects,
            Some("2") => ListObjectsV2,
            Some(_) => return Err(S3Error::with(Code::InvalidArgument, "list-type must be 2.")),
        },
        (&Method::GET, Some(_), None, Some("location")) => GetBucketLocation,
        (&Method::GET, Some(_), None, Some("versioning")) => GetBucketVersioning,
        (&Method::GET, Some(_), None, Some("uploads")) => ListMultipartUploads,
        (&Method::HEAD, Some(_), None, None) => HeadBucket,
        (&Method::PUT, Some(_), None, None) => CreateBucket,
        (&Method::DELETE, Some(_), None, None) => DeleteBucket,
        (&Method::POST, Some(_), None, Some("delete")) => DeleteObjects,
        (&Method::GET, Some(_), Some(_), None) => GetObject,
        (&Method::GET, Some(_), Some(_), Some("uploadId")) => ListParts,
        (&Method::HEAD, Some(_), Some(_), None) => HeadObject,
        (&Method::PUT, Some(_), Some(_), None) if copies => CopyObject,
        (&Method::PUT, Some(_), Some(_), None) => PutObject,
        (&Method::PUT, Some(_), Some(_), Some("uploadId")) if copies => UploadPartCopy,
        (&Method::PUT, Some(_), Some(_), Some("uploadId")) => UploadPart,
        (&Method::DELETE, Some(_), Some(_), None) => DeleteObject,
        (&Method::DELETE, Some(_), Some(_), Some("uploadId")) => AbortMultipartUpload,
        (&Method::POST, Some(_), Some(_), Some("uploads")) => CreateMultipartUpload,
        (&Method::POST, Some(_), Some(_), Some("uploadId")) => CompleteMultipartUpload,
        (&Method::PUT | &Method::DELETE | &Method::HEAD, None, None, None) => {
            return Err(Code::MethodNotAllowed.into());
        }
        (
            &Method::GET
            | &Method::PUT
            | &Method::POST
            | &Method::DELETE
            | &Method::HEAD
            | &Method::OPTIONS,
            ..,
        ) => {
            return Err(Code::NotImplemented.into());
        }
        _ => return Err(Code::MethodNotAllowed.into()),
    };
    Ok(operation)
}

/// The one subresource that the query names; two of them name no operation.
fn subresource(request: &S3Request) -> Result<Option<&'static str>, S3Error> {
    let mut found = None;
    for name in SUBRESOURCES {
        if request.query.single(name)?.is_some() {
            if found.is_some() {
                return Err(Code::NotImplemented.into());
            }
            found = Some(*name);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    fn named(method: &str, uri: &str) -> Result<Operation, Code> {
        classify(&request(method, uri, &[]).unwrap()).map_err(|error| error.code)
    }

    #[test]
    fn requests_get_their_names() {
        use Operation::*;
        for (method, uri, operation) in [
            ("GET", "/", ListBuckets),
            ("GET", "/?x-id=ListBuckets", ListBuckets),
            ("PUT", "/b", CreateBucket),
            ("PUT", "/b/", CreateBucket),
            ("HEAD", "/b", HeadBucket),
            ("DELETE", "/b", DeleteBucket),
            ("GET", "/b?location", GetBucketLocation),
            ("GET", "/b?versioning", GetBucketVersioning),
            ("GET", "/b", ListObjects),
            ("GET", "/b?list-type=2&prefix=x", ListObjectsV2),
            ("GET", "/b?uploads", ListMultipartUploads),
            ("POST", "/b?delete", DeleteObjects),
            ("GET", "/b/k?x-id=GetObject", GetObject),
            ("PUT", "/b/k", PutObject),
            ("PUT", "/b/k?partNumber=1&uploadId=u", UploadPart),
            ("POST", "/b/k?uploads", CreateMultipartUpload),
            ("POST", "/b/k?uploadId=u", CompleteMultipartUpload),
            ("DELETE", "/b/k?uploadId=u", AbortMultipartUpload),
            ("GET", "/b/k?uploadId=u", ListParts),
            ("DELETE", "/b/k", DeleteObject),
        ] {
            assert_eq!(named(method, uri), Ok(operation), "{method} {uri}");
        }
        let copy = request("PUT", "/b/k", &[("x-amz-copy-source", "/b/j")]).unwrap();
        assert_eq!(classify(&copy).unwrap(), CopyObject);
        let part = request(
            "PUT",
            "/b/k?partNumber=1&uploadId=u",
            &[("x-amz-copy-source", "/b/j")],
        )
        .unwrap();
        assert_eq!(classify(&part).unwrap(), UploadPartCopy);
    }

    #[test]
    fn what_has_no_name_is_refused() {
        for (method, uri, code) in [
            ("PUT", "/b?website", Code::NotImplemented),
            ("PUT", "/b?acl", Code::NotImplemented),
            ("PUT", "/b?versioning", Code::NotImplemented),
            ("DELETE", "/b?policy", Code::NotImplemented),
            ("DELETE", "/b/k?tagging", Code::NotImplemented),
            ("GET", "/b/k?versionId=1", Code::NotImplemented),
            ("POST", "/b?delete&uploads", Code::NotImplemented),
            ("POST", "/b", Code::NotImplemented),
            ("PATCH", "/b/k", Code::MethodNotAllowed),
            ("DELETE", "/", Code::MethodNotAllowed),
        ] {
            assert_eq!(named(method, uri), Err(code), "{method} {uri}");
        }
    }

    #[test]
    fn every_subresource_alone_changes_what_a_request_is() {
        for name in SUBRESOURCES {
            for (method, uri) in [
                ("PUT", "/b"),
                ("DELETE", "/b"),
                ("GET", "/b/k"),
                ("PUT", "/b/k"),
            ] {
                let plain = named(method, uri).unwrap();
                let with = named(method, &format!("{uri}?{name}"));
                assert_ne!(with, Ok(plain), "{method} {uri}?{name}");
            }
        }
    }
}
