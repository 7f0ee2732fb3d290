//! S3's errors: a code of AWS's list, its status and message, and the XML that clients parse. What an engine says is
//! never shown: only its code is taken, and only if it is in the list.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use wire::Rule;

use crate::tenants::Tenant;
use crate::xml::XmlWriter;

macro_rules! codes {
    ($($code:ident $status:literal $message:literal;)*) => {
        /// An error code as S3 names it.
        /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($code,)* }

        impl Code {
            #[cfg(test)]
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }

            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Code::$code => $status,)* };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            fn message(self) -> &'static str {
                match self { $(Code::$code => $message,)* }
            }

            pub fn from_name(name: &str) -> Option<Code> {
                match name { $(stringify!($code) => Some(Code::$code),)* _ => None }
            }
        }
    };
}

codes! {
    AccessControlListNotSupported 400 "The bucket does not allow ACLs.";
    AccessDenied 403 "Access Denied";
    AccessForbidden 403 "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
    AccountProblem 403 "There is a problem with your account that prevents the operation from completing successfully.";
    AuthorizationHeaderMalformed 400 "The authorization header that you provided is not valid.";
    AuthorizationQueryParametersError 400 "The authorization query parameters that you provided are not valid.";
    BadDigest 400 "The Content-MD5 or checksum value that you specified did not match what the server received.";
    BadRequest 400 "Bad Request";
    BucketAlreadyExists 409 "The requested bucket name is not available.";
    BucketAlreadyOwnedByYou 409 "Your previous request to create the named bucket succeeded and you already own it.";
    BucketNotEmpty 409 "The bucket that you tried to delete is not empty.";
    ConditionalRequestConflict 409 "A conflicting operation occurred during this request. Please try again.";
    EntityTooLarge 400 "Your proposed upload exceeds the maximum allowed object size.";
    EntityTooSmall 400 "Your proposed upload is smaller than the minimum allowed object size.";
    IllegalLocationConstraintException 400 "The specified location constraint is incompatible with the region of this endpoint.";
    IncompleteBody 400 "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    IncorrectNumberOfFilesInPostRequest 400 "POST requires exactly one file upload per request.";
    InternalError 500 "An internal error occurred. Try again.";
    InvalidAccessKeyId 403 "The access key ID that you provided does not exist in our records.";
    InvalidArgument 400 "Invalid Argument";
    InvalidBucketName 400 "The specified bucket is not valid.";
    InvalidBucketState 409 "The request is not valid for the current state of the bucket.";
    InvalidDigest 400 "The Content-MD5 or checksum value that you specified is not valid.";
    InvalidEncryptionAlgorithmError 400 "The encryption request that you specified is not valid. The valid value is AES256.";
    InvalidPart 400 "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.";
    InvalidPartNumber 416 "The requested partnumber is not satisfiable";
    InvalidPartOrder 400 "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
    InvalidPolicyDocument 400 "The content of the form does not meet the conditions specified in the policy document.";
    InvalidRange 416 "The requested range is not satisfiable";
    InvalidRequest 400 "Invalid Request";
    InvalidRetentionPeriod 400 "The retention period that you specified is not valid.";
    InvalidStorageClass 400 "The storage class that you specified is not valid.";
    InvalidTag 400 "The tag provided was not a valid tag. This error can occur if the tag did not pass input validation.";
    InvalidToken 400 "The provided token is malformed or otherwise not valid.";
    InvalidURI 400 "The specified URI couldn't be parsed.";
    KeyTooLongError 400 "Your key is too long.";
    MalformedPOSTRequest 400 "The body of your POST request is not well-formed multipart/form-data.";
    MalformedTrailerError 400 "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MalformedXML 400 "The XML that you provided was not well-formed or did not validate against our published schema.";
    MaxMessageLengthExceeded 400 "Your request was too large.";
    MaxPostPreDataLengthExceededError 400 "Your POST request fields preceding the upload file were too large.";
    MetadataTooLarge 400 "Your metadata headers exceed the maximum allowed metadata size.";
    MethodNotAllowed 405 "The specified method is not allowed against this resource.";
    MissingContentLength 411 "You must provide the Content-Length HTTP header.";
    MissingSecurityHeader 400 "Your request is missing a required header.";
    NoSuchBucket 404 "The specified bucket does not exist.";
    NoSuchBucketPolicy 404 "The bucket policy does not exist";
    NoSuchCORSConfiguration 404 "The CORS configuration does not exist";
    NoSuchKey 404 "The specified key does not exist.";
    NoSuchLifecycleConfiguration 404 "The lifecycle configuration does not exist";
    NoSuchObjectLockConfiguration 404 "The specified object does not have an ObjectLock configuration";
    NoSuchPublicAccessBlockConfiguration 404 "The public access block configuration was not found";
    NoSuchTagSet 404 "The TagSet does not exist";
    NoSuchUpload 404 "The specified multipart upload does not exist. The upload ID might not be valid, or the multipart upload might have been aborted or completed.";
    NoSuchVersion 404 "The version ID specified in the request does not match an existing version.";
    NoSuchWebsiteConfiguration 404 "The specified bucket does not have a website configuration";
    NotImplemented 501 "A header or operation that you provided implies functionality that is not implemented.";
    NotModified 304 "Not Modified";
    ObjectLockConfigurationNotFoundError 404 "Object Lock configuration does not exist for this bucket";
    OperationAborted 409 "A conflicting conditional operation is currently in progress against this resource. Try again.";
    PreconditionFailed 412 "At least one of the preconditions that you specified did not hold.";
    QuotaExceeded 403 "A quota of your account is used up.";
    ReplicationConfigurationNotFoundError 404 "The replication configuration was not found";
    RequestHeaderSectionTooLarge 400 "Your request header section exceeds the maximum allowed size.";
    RequestTimeout 400 "Your socket connection to the server was not read from or written to within the timeout period.";
    RequestTimeTooSkewed 403 "The difference between the request time and the server's time is too large.";
    ServerSideEncryptionConfigurationNotFoundError 404 "The server side encryption configuration was not found";
    ServiceUnavailable 503 "Service is unable to handle request. Try again.";
    SignatureDoesNotMatch 403 "The request signature that the server calculated does not match the signature that you provided. Check your secret access key and signing method.";
    SlowDown 503 "Please reduce your request rate.";
    TooManyBuckets 400 "You have attempted to create more buckets than are allowed for your account.";
    UserKeyMustBeSpecified 400 "The bucket POST request must contain the specified field name. If it is specified, check the order of the fields.";
    XAmzContentSHA256Mismatch 400 "The provided 'x-amz-content-sha256' header does not match what was computed.";
}

/// A refusal, or a failure that is not the client's, as the client will see it.
#[derive(Debug, Clone)]
pub struct S3Error {
    pub code: Code,
    pub message: Cow<'static, str>,
    /// Further elements of the XML body, such as `StringToSign`.
    pub details: Vec<(&'static str, String)>,
    /// Seconds, as the `Retry-After` header.
    pub retry_after: Option<u64>,
    /// It is certain that an engine has done nothing of what it was asked.
    pub undone: bool,
    /// What the engine said of the version that was asked for, unsealed: it leaves only as a detail.
    pub version: Option<EngineVersion>,
    /// Which rule refused, and whom; `None` for failures, and for what says nothing about anybody's account.
    pub cause: Option<Box<Cause>>,
}

/// Why an attributable request was refused, as its sender will be told when asking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub rule: Rule,
    /// As [`wire::Refusal`] has them.
    pub counter: Option<u64>,
    pub limit: Option<u64>,
    pub clears_after: Option<Duration>,
    pub whose: Option<Whose>,
}

/// To whom a refusal is attributed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    pub tenant_id: String,
    /// Empty for strangers.
    pub access_key_id: String,
    /// Empty where the request names none.
    pub bucket: String,
}

impl Whose {
    pub fn new(tenant: &Tenant, access_key_id: &str, bucket: Option<&str>) -> Whose {
        Whose {
            tenant_id: tenant.id().to_owned(),
            access_key_id: access_key_id.to_owned(),
            bucket: bucket.unwrap_or_default().to_owned(),
        }
    }
}

/// The version that an engine's refusal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    pub id: Option<String>,
    pub is_delete_marker: bool,
}

impl S3Error {
    pub fn new(code: Code) -> Self {
        S3Error {
            code,
            message: Cow::Borrowed(code.message()),
            details: Vec::new(),
            retry_after: None,
            undone: false,
            version: None,
            cause: None,
        }
    }

    pub fn with(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        S3Error {
            message: message.into(),
            ..S3Error::new(code)
        }
    }

    pub fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says which rule refused.
    pub fn by(mut self, rule: Rule) -> Self {
        self.cause = Some(Box::new(Cause {
            rule,
            counter: None,
            limit: None,
            clears_after: None,
            whose: None,
        }));
        self
    }

    /// What the rule counted, and what it allows.
    pub fn figures(mut self, counter: u64, limit: u64, clears_after: Option<Duration>) -> Self {
        if let Some(cause) = &mut self.cause {
            (cause.counter, cause.limit) = (Some(counter), Some(limit));
            cause.clears_after = clears_after;
        }
        self
    }

    /// Whom the refusal concerns, unless that was said already.
    pub fn attributed(mut self, whose: impl FnOnce() -> Whose) -> Self {
        if let Some(cause) = &mut self.cause {
            cause.whose.get_or_insert_with(whose);
        }
        self
    }

    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The body of the answer; `resource` is the path as the client sent it.
    pub fn to_xml(&self, resource: &str, request_id: &str) -> String {
        let mut xml = XmlWriter::document();
        xml.open("Error");
        xml.text("Code", self.code.as_str());
        xml.text("Message", &self.message);
        for (name, value) in &self.details {
            xml.text(name, value);
        }
        xml.text("Resource", resource);
        xml.text("RequestId", request_id);
        xml.close("Error");
        xml.finish()
    }
}

impl From<Code> for S3Error {
    fn from(code: Code) -> Self {
        S3Error::new(code)
    }
}

impl std::fmt::Display for S3Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for S3Error {}
