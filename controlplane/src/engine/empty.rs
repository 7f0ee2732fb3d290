//! Removes everything from a bucket, or from under its prefix: of accounts that are removed, and of nothing else.

use anyhow::ensure;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use futures_util::future::try_join_all;

use super::{Engine, explain};

/// Deletions under way at the same time. One object each: not every engine deletes many with one request.
const AT_ONCE: usize = 8;

/// An object, or one version of it.
type Doomed = (String, Option<String>);

impl Engine {
    /// Objects, unfinished uploads and, where the engine was found to keep them (`versioning`), old versions and delete
    /// markers. `locked`: the bucket was made with object lock; what is held in governance mode goes, and what is held in
    /// compliance mode stays, and is an error. A bucket that is not there is empty.
    pub(crate) async fn empty(
        &self,
        bucket: &str,
        prefix: &str,
        versioning: bool,
        locked: bool,
    ) -> anyhow::Result<()> {
        let pooled = self.pool_bucket.as_deref() == Some(bucket);
        ensure!(
            pooled != prefix.is_empty() && (prefix.is_empty() || prefix.ends_with('/')),
            "`{prefix}` is no place of one bucket's own"
        );
        self.abort_uploads(bucket, prefix).await?;
        if prefix.is_empty() && versioning {
            self.delete_versions(bucket, locked).await?;
        }
        self.delete_objects(bucket, prefix).await
    }

    async fn delete_objects(&self, bucket: &str, prefix: &str) -> anyhow::Result<()> {
        let mut token = None;
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
            let page = match request.set_continuation_token(token).send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("NoSuchBucket") => return Ok(()),
                Err(error) => return Err(explain(error)),
            };
            let keys = page.contents().iter().filter_map(|object| object.key());
            let doomed = keys.map(|key| (key.to_owned(), None)).collect();
            self.delete_all(bucket, prefix, doomed, false).await?;
            token = page.next_continuation_token;
            if page.is_truncated != Some(true) || token.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete_versions(&self, bucket: &str, locked: bool) -> anyhow::Result<()> {
        let (mut key, mut version) = (None, None);
        loop {
            let request = self.client.list_object_versions().bucket(bucket);
            let request = request.set_key_marker(key).set_version_id_marker(version);
            let page = match request.send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("NoSuchBucket") => return Ok(()),
                Err(error) => return Err(explain(error)),
            };
            let versions = page.versions().iter();
            let versions = versions.map(|v| (v.key.clone(), v.version_id.clone()));
            let markers = page.delete_markers().iter();
            let markers = markers.map(|m| (m.key.clone(), m.version_id.clone()));
            let doomed = versions.chain(markers);
            let doomed = doomed.filter_map(|(key, version)| Some((key?, version)));
            self.delete_all(bucket, "", doomed.collect(), locked)
                .await?;
            (key, version) = (page.next_key_marker, page.next_version_id_marker);
            if page.is_truncated != Some(true) || key.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete_all(
        &self,
        bucket: &str,
        prefix: &str,
        doomed: Vec<Doomed>,
        locked: bool,
    ) -> anyhow::Result<()> {
        for some in doomed.chunks(AT_ONCE) {
            // Whatever the engine lists, nothing of a neighbour's in the pool is touched.
            let foreign = some.iter().find(|(key, _)| !key.starts_with(prefix));
            ensure!(foreign.is_none(), "{foreign:?} is not under `{prefix}`");
            let deletions = some.iter().map(|one| self.delete_one(bucket, one, locked));
            try_join_all(deletions).await?;
        }
        Ok(())
    }

    async fn delete_one(
        &self,
        bucket: &str,
        (key, version): &Doomed,
        locked: bool,
    ) -> anyhow::Result<()> {
        let request = self.client.delete_object().bucket(bucket).key(key);
        let request = request.set_version_id(version.clone());
        let request = request.set_bypass_governance_retention(locked.then_some(true));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => Ok(()),
            Err(error) => Err(explain(error)),
        }
    }
}
