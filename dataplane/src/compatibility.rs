//! What works, said once: the table of operations in `docs/S3-COMPATIBILITY.md` is made from here, and a test holds
//! the two together.

use std::fmt::Write as _;

use crate::gate::may_take_away;
use wire::RequestClass;

use crate::operation::{Effect, Operation, SUBRESOURCES};

/// What a customer should know beyond "it works as S3's does".
fn remark(operation: Operation) -> &'static str {
    use Operation::*;
    match operation {
        CopyObject | UploadPartCopy => {
            "The source is any bucket of the same tenant on the same engine that the key may read, any version of it."
        }
        CreateBucket => {
            "Names are private to the tenant. Asked again: `409 BucketAlreadyOwnedByYou`. `x-amz-acl`: `private` or `public-read`. `x-amz-bucket-object-lock-enabled`: D, engine. Needs the control plane."
        }
        DeleteBucket => {
            "`409 BucketNotEmpty` while objects or versions are left; unfinished uploads are aborted. Needs the control plane."
        }
        DeleteObject => "With `versionId`; object lock is the engine's.",
        DeleteObjects => {
            "Up to 1,000 keys, each decided and answered on its own, with `VersionId`. Conditions of single keys are refused."
        }
        GetBucketVersioning
        | GetBucketTagging
        | GetBucketLifecycleConfiguration
        | GetBucketEncryption
        | GetObjectLockConfiguration => "Where it cannot be configured: as never configured.",
        DeleteBucketEncryption | PutBucketEncryption => {
            "D, engine. AES256 alone: no keys of a key service."
        }
        DeleteBucketLifecycle | PutBucketLifecycleConfiguration => {
            "D, engine. Expiration of objects, versions and uploads; transitions are refused: there is one storage class."
        }
        DeleteBucketTagging | PutBucketTagging | PutBucketVersioning => "D, engine.",
        GetObjectLegalHold
        | GetObjectRetention
        | PutObjectLegalHold
        | PutObjectLockConfiguration
        | PutObjectRetention => {
            "D, engine. `x-amz-bypass-governance-retention` needs a key with full permission."
        }
        GetObjectTagging | PutObjectTagging | DeleteObjectTagging => "Engine.",
        GetObjectAttributes => "Engine.",
        DeleteBucketCors | GetBucketCors | PutBucketCors => {
            "Kept by the control plane and applied by the data plane, whatever the engine."
        }
        OptionsObject => {
            "Answered by the data plane from the CORS rules of a bucket of that name; without a rule that fits, `403`."
        }
        GetBucketAcl | GetObjectAcl => {
            "The owner has `FULL_CONTROL`; everybody `READ` where the bucket is public."
        }
        PutBucketAcl => {
            "`private` or `public-read`, canned or as a document. A public bucket's name is shared with all tenants: one that another has published is refused. Needs the control plane."
        }
        PutObjectAcl => {
            "What the bucket's list says already; anything else `400 AccessControlListNotSupported`."
        }
        GetBucketAccelerateConfiguration
        | GetBucketLogging
        | GetBucketNotificationConfiguration
        | GetBucketOwnershipControls
        | GetBucketPolicy
        | GetBucketPolicyStatus
        | GetBucketReplication
        | GetBucketRequestPayment
        | GetBucketWebsite
        | GetPublicAccessBlock => "Answered as for a bucket where it never was configured.",
        GetObject | HeadObject => {
            "Ranges, conditions, `partNumber`, `versionId`, `response-*` overrides, `x-amz-checksum-mode`, SSE-C. Of public buckets also without a signature."
        }
        ListBuckets => {
            "`prefix`, `max-buckets`, `continuation-token`. A scoped key sees its own buckets."
        }
        ListMultipartUploads | ListParts => "Upload ids are sealed for their bucket and key.",
        ListObjects | ListObjectsV2 => {
            "`encoding-type=url`, delimiters, `fetch-owner`. Tokens are sealed for their bucket. In S3's order, whatever the engine's is. Of public buckets also without a signature."
        }
        ListObjectVersions => {
            "Version ids are sealed for their bucket and key. Without versioning every object is its version `null`. Over SeaweedFS a bucket with versioning is listed as the engine does it: exact up to 1,000 versions under a prefix."
        }
        PostObject => {
            "A browser's form with a policy. The file must be the last field: S3 ignores fields behind it. A policy can be used for seven days."
        }
        PutObject => {
            "Up to 5 GiB. Signed, unsigned and `aws-chunked` bodies, trailers, `Content-MD5`, checksums of all of S3's algorithms (CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128); all verified. Engine: `If-Match`, `If-None-Match`, `x-amz-tagging`, `x-amz-server-side-encryption: AES256`, SSE-C; D, engine: object lock."
        }
        UploadPart | CompleteMultipartUpload | CreateMultipartUpload => {
            "As PutObject; checksums are handed on where the engine takes them."
        }
        AbortMultipartUpload | GetBucketLocation | HeadBucket => "",
    }
}

/// The part of the document between its two marks, in Markdown.
pub fn table() -> String {
    let mut out = String::from(
        "| operation | class | a read-only account may | remarks |\n| --- | --- | --- | --- |\n",
    );
    for operation in Operation::ALL {
        let may = match (operation, operation.effect()) {
            (Operation::PutBucketAcl, _) => "`private` alone",
            (_, Effect::List | Effect::Read | Effect::Delete) => "yes",
            _ if may_take_away(*operation) => "yes",
            (_, Effect::Write | Effect::Configure) => "no",
        };
        let class = match operation.class() {
            RequestClass::A => "A",
            RequestClass::B => "B",
            RequestClass::Free | RequestClass::Unknown => "free",
        };
        let _ = writeln!(
            out,
            "| {} | {class} | {may} | {} |",
            operation.name(),
            remark(*operation)
        );
    }
    let named: Vec<String> = SUBRESOURCES
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let _ = write!(
        out,
        "\nEvery other operation answers `501 NotImplemented`, and no engine hears of it. So do these subresources wherever\nno operation above claims them: {}.\nSo does any other parameter of a request that writes or deletes, but for those that begin with `x-`, which S3 ignores\ntoo, and for `Cache-Control`, `Content-MD5` and `Content-Type`, which JavaScript's SDK of version 2 presigns there: nobody knows what\nit would have changed. Lists and reads ignore what they do not know.\n",
        named.join(", ")
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str =
        "<!-- made by `UPDATE_DOCS=1 cargo test -p dataplane --lib compatibility` -->\n";
    const END: &str = "<!-- end -->\n";

    #[test]
    fn the_document_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/S3-COMPATIBILITY.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (head, rest) = text.split_once(BEGIN).unwrap();
        let (body, tail) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, [head, BEGIN, &table(), END, tail].concat()).unwrap();
            return;
        }
        assert_eq!(body, table());
    }
}
