//! What works, said once: the table of operations in `docs/S3-COMPATIBILITY.md` is made from here, and a test holds
//! the two together.

use std::fmt::Write as _;

use crate::operation::{Effect, Operation, SUBRESOURCES};

/// What a customer should know beyond "it works as S3's does".
fn remark(operation: Operation) -> &'static str {
    use Operation::*;
    match operation {
        CopyObject | UploadPartCopy => {
            "The source is any bucket of the same tenant that the key may read. `versionId` is refused."
        }
        CreateBucket => {
            "Names are private to the tenant. Asked again: `409 BucketAlreadyOwnedByYou`. ACLs other than `private` are refused. Needs the control plane."
        }
        DeleteBucket => {
            "`409 BucketNotEmpty` while objects are left; unfinished uploads are aborted. Needs the control plane."
        }
        DeleteObjects => {
            "Up to 1,000 keys, each decided and answered on its own. `VersionId` is refused."
        }
        GetBucketVersioning => "Always as of a bucket that never was versioned.",
        GetObject | HeadObject => {
            "Ranges, conditions, `partNumber`, `response-*` overrides, `x-amz-checksum-mode`. `versionId` is refused."
        }
        ListBuckets => {
            "`prefix`, `max-buckets`, `continuation-token`. A scoped key sees its own buckets."
        }
        ListMultipartUploads | ListParts => "Upload ids are sealed for their bucket and key.",
        ListObjects | ListObjectsV2 => {
            "`encoding-type=url`, delimiters, `fetch-owner`. Tokens are sealed for their bucket. In S3's order, whatever the engine's is."
        }
        PutObject => {
            "Up to 5 GiB. Signed, unsigned and `aws-chunked` bodies, trailers, `Content-MD5`, CRC32, CRC32C, CRC64NVME, SHA-1, SHA-256; all verified. `If-Match`, `If-None-Match` where the engine can."
        }
        UploadPart | CompleteMultipartUpload | CreateMultipartUpload => {
            "As PutObject; checksums are handed on where the engine takes them."
        }
        AbortMultipartUpload | DeleteObject | GetBucketLocation | HeadBucket => "",
    }
}

/// The part of the document between its two marks, in Markdown.
pub fn table() -> String {
    let mut out =
        String::from("| operation | a read-only account may | remarks |\n| --- | --- | --- |\n");
    for operation in Operation::ALL {
        let may = match operation.effect() {
            Effect::List | Effect::Read | Effect::Delete => "yes",
            Effect::Write | Effect::Configure => "no",
        };
        let _ = writeln!(
            out,
            "| {} | {may} | {} |",
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
        "\nEvery other operation answers `501 NotImplemented`, and no engine hears of it. So do these subresources wherever\nno operation above claims them: {}.\n",
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
