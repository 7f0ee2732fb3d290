//! What a bucket holds, by the engine's own list: versions too where the bucket keeps them.

use aws_sdk_s3::error::ProvideErrorMetadata as _;

use super::{Engine, explain};

/// All under a prefix. Parts of unfinished uploads are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    pub bytes: i64,
    pub objects: i64,
    /// Whether there is any unfinished upload, or the engine does not say.
    pub has_uploads: bool,
}

impl Engine {
    /// Objects of which the bucket keeps versions count with each version. A bucket that is not there holds nothing.
    pub(crate) async fn measure(&self, bucket: &str, prefix: &str) -> anyhow::Result<Measured> {
        let (bytes, objects) = match self.keeps_versions(bucket).await {
            true => self.versions(bucket, prefix).await?,
            false => self.objects(bucket, prefix).await?,
        };
        Ok(Measured {
            bytes,
            objects,
            has_uploads: self.has_uploads(bucket, prefix).await,
        })
    }

    /// Whether versioning was ever switched on. Engines that do not know the question keep none.
    async fn keeps_versions(&self, bucket: &str) -> bool {
        let asked = self.client.get_bucket_versioning().bucket(bucket);
        matches!(asked.send().await, Ok(answer) if answer.status().is_some())
    }

    async fn objects(&self, bucket: &str, prefix: &str) -> anyhow::Result<(i64, i64)> {
        let mut sum = (0, 0);
        let mut token = None;
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
            let page = match request.set_continuation_token(token).send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("NoSuchBucket") => return Ok(sum),
                Err(error) => return Err(explain(error)),
            };
            for object in page.contents() {
                sum.0 += object.size().unwrap_or(0);
                sum.1 += 1;
            }
            token = page.next_continuation_token;
            if page.is_truncated != Some(true) || token.is_none() {
                return Ok(sum);
            }
        }
    }

    async fn versions(&self, bucket: &str, prefix: &str) -> anyhow::Result<(i64, i64)> {
        let mut sum = (0, 0);
        let (mut key, mut version) = (None, None);
        loop {
            let request = self
                .client
                .list_object_versions()
                .bucket(bucket)
                .prefix(prefix)
                .set_key_marker(key)
                .set_version_id_marker(version);
            let page = match request.send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("NoSuchBucket") => return Ok(sum),
                Err(error) => return Err(explain(error)),
            };
            for version in page.versions() {
                sum.0 += version.size().unwrap_or(0);
                sum.1 += 1;
            }
            (key, version) = (page.next_key_marker, page.next_version_id_marker);
            if page.is_truncated != Some(true) || key.is_none() {
                return Ok(sum);
            }
        }
    }

    async fn has_uploads(&self, bucket: &str, prefix: &str) -> bool {
        let request = self.client.list_multipart_uploads().bucket(bucket);
        match request.prefix(prefix).max_uploads(1).send().await {
            Ok(page) => !page.uploads().is_empty() || page.is_truncated() == Some(true),
            Err(_) => true,
        }
    }
}
