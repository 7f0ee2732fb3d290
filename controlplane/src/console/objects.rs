//! Looking at objects and removing them, in the member's name: requests to the data plane, as any client makes them.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier, ObjectLockLegalHoldStatus, ObjectLockMode};
use chrono::{DateTime, Utc};
use http::StatusCode;

use super::{LockMode, Signer};
use crate::Error;

/// What S3 removes with one request.
const BATCH: usize = 1000;

/// One page of a folder.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Whole prefixes, each with the slash at its end.
    pub folders: Vec<String>,
    pub objects: Vec<Object>,
    /// What asks for the next page, if there is more.
    pub next: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub key: String,
    /// Bytes.
    pub size: u64,
    pub modified: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
pub struct ObjectHead {
    pub size: u64,
    pub modified: Option<DateTime<Utc>>,
    pub etag: String,
    pub content_type: String,
    pub version_id: Option<String>,
    pub kept: Option<Kept>,
    /// Until it is lifted: `x-amz-object-lock-legal-hold`.
    pub held: bool,
    /// Names without `x-amz-meta-`.
    pub metadata: Vec<(String, String)>,
}

/// Object lock keeps it from being deleted.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub mode: LockMode,
    pub until: DateTime<Utc>,
}

impl Signer {
    /// What lies beneath the prefix, up to the next slash.
    pub async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        limit: i32,
    ) -> Result<Listing, Error> {
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let request = request.delimiter("/").max_keys(limit);
        let page = request.set_continuation_token(after.map(str::to_owned));
        let page = page.send().await.map_err(refused)?;
        let folders = page.common_prefixes().iter();
        let objects = page.contents().iter().filter_map(|object| {
            Some(Object {
                key: object.key.clone()?,
                size: u64::try_from(object.size.unwrap_or_default()).unwrap_or_default(),
                modified: time(object.last_modified.as_ref()),
            })
        });
        Ok(Listing {
            folders: folders.filter_map(|folder| folder.prefix.clone()).collect(),
            // A folder that was made by hand is an object of its own name; inside, it is where one is.
            objects: objects
                .filter(|object| object.key != prefix || !prefix.ends_with('/'))
                .collect(),
            next: page
                .next_continuation_token
                .filter(|_| page.is_truncated == Some(true)),
        })
    }

    pub async fn head(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<ObjectHead, Error> {
        let request = self.client.head_object().bucket(bucket).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        let head = request.send().await.map_err(refused)?;
        let mut metadata: Vec<_> = head.metadata.unwrap_or_default().into_iter().collect();
        metadata.sort();
        let until = time(head.object_lock_retain_until_date.as_ref());
        let kept = head.object_lock_mode.zip(until).map(|(mode, until)| Kept {
            mode: match mode {
                ObjectLockMode::Compliance => LockMode::Compliance,
                _ => LockMode::Governance,
            },
            until,
        });
        let hold = head.object_lock_legal_hold_status;
        Ok(ObjectHead {
            size: u64::try_from(head.content_length.unwrap_or_default()).unwrap_or_default(),
            modified: time(head.last_modified.as_ref()),
            etag: head.e_tag.unwrap_or_default().replace('"', ""),
            content_type: head.content_type.unwrap_or_default(),
            version_id: head.version_id,
            kept,
            held: hold == Some(ObjectLockLegalHoldStatus::On),
            metadata,
        })
    }

    /// The object's first bytes.
    pub async fn read(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let request = self.client.get_object().bucket(bucket).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        let range = format!("bytes=0-{}", bytes.saturating_sub(1));
        let body = request.range(range).send().await.map_err(refused)?.body;
        let read = body.collect().await;
        let read =
            read.map_err(|_| Error::Unavailable("The object could not be read to its end."))?;
        Ok(read.to_vec())
    }

    /// An empty object whose key ends in a slash: what consoles call a folder.
    pub async fn create_folder(&self, bucket: &str, key: &str) -> Result<(), Error> {
        let request = self.client.put_object().bucket(bucket).key(key);
        let request = request.content_type("application/x-directory");
        let body = ByteStream::from_static(b"");
        request.body(body).send().await.map_err(refused)?;
        Ok(())
    }

    pub async fn delete(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<(), Error> {
        let request = self.client.delete_object().bucket(bucket).key(key);
        let request = request.set_version_id(version.map(str::to_owned));
        request.send().await.map_err(refused)?;
        Ok(())
    }

    /// Keys beneath the prefix, whatever slashes are in them: at most `limit`, and whether there are more.
    pub async fn keys_beneath(
        &self,
        bucket: &str,
        prefix: &str,
        limit: i32,
    ) -> Result<(Vec<String>, bool), Error> {
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let page = request.max_keys(limit).send().await.map_err(refused)?;
        let keys = page
            .contents()
            .iter()
            .filter_map(|object| object.key.clone());
        Ok((keys.collect(), page.is_truncated == Some(true)))
    }

    /// Removes these, and answers how many could not be.
    pub async fn delete_all(&self, bucket: &str, keys: &[String]) -> Result<usize, Error> {
        let mut left = 0;
        for batch in keys.chunks(BATCH) {
            let mut delete = Delete::builder().quiet(true);
            for key in batch {
                let id = ObjectIdentifier::builder().key(key).build();
                delete = delete.objects(id.map_err(|e| Error::Internal(e.into()))?);
            }
            let delete = delete.build().map_err(|e| Error::Internal(e.into()))?;
            let request = self.client.delete_objects().bucket(bucket).delete(delete);
            left += request.send().await.map_err(refused)?.errors().len();
        }
        Ok(left)
    }
}

pub(super) fn time(time: Option<&aws_sdk_s3::primitives::DateTime>) -> Option<DateTime<Utc>> {
    time.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()))
}

/// The data plane's refusals are fit for customers' eyes; what broke on the way to it is not.
pub(super) fn refused<E>(error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let message = error
        .message()
        .unwrap_or("The gateway refused it.")
        .to_owned();
    match status {
        Some(404) => Error::NotFound("object"),
        Some(501) => Error::s3(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message),
        Some(503) => Error::Unavailable("The storage gateway is busy. Try again shortly."),
        Some(400..=499) => Error::BadRequest(message),
        _ => {
            let error = DisplayErrorContext(&error).to_string();
            tracing::warn!(error, "the data plane could not be asked");
            Error::Unavailable("The storage gateway cannot be reached at the moment.")
        }
    }
}
