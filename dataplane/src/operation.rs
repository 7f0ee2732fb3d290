//! Gives every request the name of an S3 operation, or refuses it: what is not named here never reaches an engine.

use http::Method;
use wire::RequestClass;

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
    ($($name:ident $effect:ident $class:ident;)*) => {
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

            /// What a request costs: what writes, lists or configures is `A`, what reads is `B`, what deletes is free.
            pub fn class(self) -> RequestClass {
                match self { $(Operation::$name => RequestClass::$class,)* }
            }
        }
    };
}

operations! {
    AbortMultipartUpload Delete Free;
    CompleteMultipartUpload Write A;
    CopyObject Write A;
    CreateBucket Configure A;
    CreateMultipartUpload Write A;
    DeleteBucket Configure Free;
    DeleteBucketCors Configure Free;
    DeleteBucketEncryption Configure Free;
    DeleteBucketLifecycle Configure Free;
    DeleteBucketTagging Configure Free;
    DeleteObject Delete Free;
    DeleteObjectTagging Write Free;
    DeleteObjects Delete Free;
    GetBucketAccelerateConfiguration List B;
    GetBucketAcl List B;
    GetBucketCors List B;
    GetBucketEncryption List B;
    GetBucketLifecycleConfiguration List B;
    GetBucketLocation List B;
    GetBucketLogging List B;
    GetBucketNotificationConfiguration List B;
    GetBucketOwnershipControls List B;
    GetBucketPolicy List B;
    GetBucketPolicyStatus List B;
    GetBucketReplication List B;
    GetBucketRequestPayment List B;
    GetBucketTagging List B;
    GetBucketVersioning List B;
    GetBucketWebsite List B;
    GetObject Read B;
    GetObjectAcl Read B;
    GetObjectAttributes Read B;
    GetObjectLegalHold Read B;
    GetObjectLockConfiguration List B;
    GetObjectRetention Read B;
    GetObjectTagging Read B;
    GetPublicAccessBlock List B;
    HeadBucket List B;
    HeadObject Read B;
    ListBuckets List A;
    ListMultipartUploads List A;
    ListObjectVersions List A;
    ListObjects List A;
    ListObjectsV2 List A;
    ListParts Read A;
    OptionsObject List B;
    PutBucketAcl Configure A;
    PutBucketCors Configure A;
    PutBucketEncryption Configure A;
    PutBucketLifecycleConfiguration Configure A;
    PutBucketTagging Configure A;
    PutBucketVersioning Configure A;
    PostObject Write A;
    PutObject Write A;
    PutObjectAcl Write A;
    PutObjectLegalHold Write A;
    PutObjectLockConfiguration Configure A;
    PutObjectRetention Write A;
    PutObjectTagging Write A;
    UploadPart Write A;
    UploadPartCopy Write A;
}

impl Operation {
    /// Whether `versionId` means something to it.
    pub fn has_versions(self) -> bool {
        use Operation::*;
        matches!(
            self,
            DeleteObject
                | DeleteObjectTagging
                | GetObject
                | GetObjectAcl
                | GetObjectAttributes
                | GetObjectLegalHold
                | GetObjectRetention
                | GetObjectTagging
                | HeadObject
                | PutObjectAcl
                | PutObjectLegalHold
                | PutObjectRetention
                | PutObjectTagging
        )
    }

    /// Whether an operation that writes or deletes has this parameter, of which it is what it is. Of subresources it has
    /// the one that [`classify`] named it by: with another it would be none.
    pub fn has_parameter(self, name: &str) -> bool {
        match name {
            "partNumber" => matches!(self, Operation::UploadPart | Operation::UploadPartCopy),
            "versionId" => self.has_versions(),
            _ => SUBRESOURCES.contains(&name),
        }
    }
}

/// Every subresource of S3's. One that no operation above claims makes the request something else, and refused.
pub const SUBRESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
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
    "metadataAnnotationTable",
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
    "versioning",
    "versions",
    "website",
];

pub fn classify(request: &S3Request) -> Result<Operation, S3Error> {
    let subresource = subresource(request)?;
    let operation = match (&request.bucket, &request.key) {
        (_, _) if request.method == Method::OPTIONS => Some(Operation::OptionsObject),
        (None, None) => service(&request.method, subresource)?,
        (Some(_), None) => bucket(request, subresource)?,
        (_, Some(_)) => object(request, subresource),
    };
    let operation = operation.ok_or_else(|| unnamed(&request.method))?;
    match request.query.single("versionId")? {
        Some(_) if !operation.has_versions() => Err(S3Error::with(
            Code::InvalidArgument,
            "This operation does not accept a version id.",
        )),
        Some("") => Err(S3Error::with(
            Code::InvalidArgument,
            "Version id cannot be the empty string",
        )),
        _ => Ok(operation),
    }
}

fn unnamed(method: &Method) -> S3Error {
    let known = [
        Method::GET,
        Method::PUT,
        Method::POST,
        Method::DELETE,
        Method::HEAD,
    ];
    if known.contains(method) {
        Code::NotImplemented.into()
    } else {
        Code::MethodNotAllowed.into()
    }
}

fn service(method: &Method, subresource: Option<&str>) -> Result<Option<Operation>, S3Error> {
    match (method, subresource) {
        (&Method::GET, None) => Ok(Some(Operation::ListBuckets)),
        (&Method::PUT | &Method::DELETE | &Method::HEAD, None) => {
            Err(Code::MethodNotAllowed.into())
        }
        _ => Ok(None),
    }
}

fn bucket(request: &S3Request, subresource: Option<&str>) -> Result<Option<Operation>, S3Error> {
    use Operation::*;
    let operation = match (&request.method, subresource) {
        (&Method::GET, None) => match request.query.single("list-type")? {
            None | Some("1") => ListObjects,
            Some("2") => ListObjectsV2,
            Some(_) => return Err(S3Error::with(Code::InvalidArgument, "list-type must be 2.")),
        },
        (&Method::HEAD, None) => HeadBucket,
        (&Method::PUT, None) => CreateBucket,
        (&Method::DELETE, None) => DeleteBucket,
        (&Method::GET, Some("accelerate")) => GetBucketAccelerateConfiguration,
        (&Method::GET, Some("acl")) => GetBucketAcl,
        (&Method::PUT, Some("acl")) => PutBucketAcl,
        (&Method::GET, Some("cors")) => GetBucketCors,
        (&Method::PUT, Some("cors")) => PutBucketCors,
        (&Method::DELETE, Some("cors")) => DeleteBucketCors,
        (&Method::POST, None) if is_form(request)? => PostObject,
        (&Method::POST, None) => {
            return Err(S3Error::new(Code::PreconditionFailed).detail(
                "Condition",
                "Bucket POST must be of the enclosure-type multipart/form-data",
            ));
        }
        (&Method::POST, Some("delete")) => DeleteObjects,
        (&Method::GET, Some("encryption")) => GetBucketEncryption,
        (&Method::PUT, Some("encryption")) => PutBucketEncryption,
        (&Method::DELETE, Some("encryption")) => DeleteBucketEncryption,
        (&Method::GET, Some("lifecycle")) => GetBucketLifecycleConfiguration,
        (&Method::PUT, Some("lifecycle")) => PutBucketLifecycleConfiguration,
        (&Method::DELETE, Some("lifecycle")) => DeleteBucketLifecycle,
        (&Method::GET, Some("location")) => GetBucketLocation,
        (&Method::GET, Some("logging")) => GetBucketLogging,
        (&Method::GET, Some("notification")) => GetBucketNotificationConfiguration,
        (&Method::GET, Some("object-lock")) => GetObjectLockConfiguration,
        (&Method::PUT, Some("object-lock")) => PutObjectLockConfiguration,
        (&Method::GET, Some("ownershipControls")) => GetBucketOwnershipControls,
        (&Method::GET, Some("policy")) => GetBucketPolicy,
        (&Method::GET, Some("policyStatus")) => GetBucketPolicyStatus,
        (&Method::GET, Some("publicAccessBlock")) => GetPublicAccessBlock,
        (&Method::GET, Some("replication")) => GetBucketReplication,
        (&Method::GET, Some("requestPayment")) => GetBucketRequestPayment,
        (&Method::GET, Some("tagging")) => GetBucketTagging,
        (&Method::PUT, Some("tagging")) => PutBucketTagging,
        (&Method::DELETE, Some("tagging")) => DeleteBucketTagging,
        (&Method::GET, Some("uploads")) => ListMultipartUploads,
        (&Method::GET, Some("versioning")) => GetBucketVersioning,
        (&Method::PUT, Some("versioning")) => PutBucketVersioning,
        (&Method::GET, Some("versions")) => ListObjectVersions,
        (&Method::GET, Some("website")) => GetBucketWebsite,
        _ => return Ok(None),
    };
    Ok(Some(operation))
}

fn object(request: &S3Request, subresource: Option<&str>) -> Option<Operation> {
    use Operation::*;
    let copies = request.has_header("x-amz-copy-source");
    let operation = match (&request.method, subresource) {
        (&Method::GET, None) => GetObject,
        (&Method::HEAD, None) => HeadObject,
        (&Method::PUT, None) if copies => CopyObject,
        (&Method::PUT, None) => PutObject,
        (&Method::DELETE, None) => DeleteObject,
        (&Method::GET, Some("acl")) => GetObjectAcl,
        (&Method::PUT, Some("acl")) => PutObjectAcl,
        (&Method::GET, Some("attributes")) => GetObjectAttributes,
        (&Method::GET, Some("legal-hold")) => GetObjectLegalHold,
        (&Method::PUT, Some("legal-hold")) => PutObjectLegalHold,
        (&Method::GET, Some("retention")) => GetObjectRetention,
        (&Method::PUT, Some("retention")) => PutObjectRetention,
        (&Method::GET, Some("tagging")) => GetObjectTagging,
        (&Method::PUT, Some("tagging")) => PutObjectTagging,
        (&Method::DELETE, Some("tagging")) => DeleteObjectTagging,
        (&Method::GET, Some("uploadId")) => ListParts,
        (&Method::PUT, Some("uploadId")) if copies => UploadPartCopy,
        (&Method::PUT, Some("uploadId")) => UploadPart,
        (&Method::POST, Some("uploadId")) => CompleteMultipartUpload,
        (&Method::DELETE, Some("uploadId")) => AbortMultipartUpload,
        (&Method::POST, Some("uploads")) => CreateMultipartUpload,
        _ => return None,
    };
    Some(operation)
}

fn is_form(request: &S3Request) -> Result<bool, S3Error> {
    Ok(request
        .header("content-type")?
        .is_some_and(crate::form::is_form))
}

/// The one subresource that the query names; two of them name no operation.
fn subresource(request: &S3Request) -> Result<Option<&'static str>, S3Error> {
    let mut found = None;
    if request.query.pairs().is_empty() {
        return Ok(None);
    }
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
#[path = "operation_tests.rs"]
mod tests;
