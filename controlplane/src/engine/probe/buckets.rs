//! What can be set on an engine's bucket: tags, lifecycle, encryption, versioning, object lock.
//! Only for scratch buckets: a pool bucket is everybody's.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus, LifecycleExpiration,
    LifecycleRule, LifecycleRuleFilter, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, VersioningConfiguration,
};

use super::objects::{one_tag, pairs};
use super::{BODY, Scratch, accepted, answer};

/// S3 asks for it, or for a checksum, with every upload that is to be locked. MD5 of [`BODY`].
const BODY_MD5: &str = "TzgAOwNBoPZYDfEbG/YEwA==";
const EXPIRES_AFTER_DAYS: i32 = 365;

impl Scratch<'_> {
    pub(super) async fn tags_buckets(&self) -> anyhow::Result<bool> {
        let (client, bucket) = (self.client, &self.bucket);
        let put = client.put_bucket_tagging().bucket(bucket);
        if !accepted(put.tagging(one_tag("probe", "1")?).send().await)? {
            return Ok(false);
        }
        let found = answer(client.get_bucket_tagging().bucket(bucket).send().await)?;
        let tags = found.map_or_else(Vec::new, |found| pairs(found.tag_set()));
        let deleted = client.delete_bucket_tagging().bucket(bucket).send().await;
        Ok(accepted(deleted)? && tags == [("probe".to_owned(), "1".to_owned())])
    }

    pub(super) async fn keeps_lifecycles(&self) -> anyhow::Result<bool> {
        let (client, bucket) = (self.client, &self.bucket);
        let rule = LifecycleRule::builder()
            .id("probe")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix("nothing/").build())
            .expiration(
                LifecycleExpiration::builder()
                    .days(EXPIRES_AFTER_DAYS)
                    .build(),
            )
            .build()?;
        let rules = BucketLifecycleConfiguration::builder()
            .rules(rule)
            .build()?;
        let put = client
            .put_bucket_lifecycle_configuration()
            .bucket(bucket)
            .lifecycle_configuration(rules);
        if !accepted(put.send().await)? {
            return Ok(false);
        }
        let get = client.get_bucket_lifecycle_configuration().bucket(bucket);
        let found = answer(get.send().await)?;
        let kept = found.is_some_and(|found| match found.rules() {
            [rule] => {
                let prefix = rule.filter().and_then(LifecycleRuleFilter::prefix);
                let days = rule.expiration().and_then(LifecycleExpiration::days);
                (prefix, days) == (Some("nothing/"), Some(EXPIRES_AFTER_DAYS))
            }
            _ => false,
        });
        let deleted = client.delete_bucket_lifecycle().bucket(bucket).send().await;
        Ok(accepted(deleted)? && kept)
    }

    /// Not where it is kept and then no object can be written any more, as in SeaweedFS 4.48 without a key of its own.
    pub(super) async fn encrypts_buckets(&self) -> anyhow::Result<bool> {
        let (client, bucket) = (self.client, &self.bucket);
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::Aes256)
            .build()?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .build();
        let rules = ServerSideEncryptionConfiguration::builder()
            .rules(rule)
            .build()?;
        let put = client
            .put_bucket_encryption()
            .bucket(bucket)
            .server_side_encryption_configuration(rules);
        if !accepted(put.send().await)? {
            return Ok(false);
        }
        let found = client.get_bucket_encryption().bucket(bucket).send().await;
        let written = self.put("by-default").send().await;
        // Before anything else, or nothing could be tried any more.
        let delete = client.delete_bucket_encryption().bucket(bucket);
        let deleted = accepted(delete.send().await)?;
        let kept = answer(found)?.is_some_and(|found| {
            let rules = found.server_side_encryption_configuration();
            let mut rules = rules.into_iter().flat_map(|rules| rules.rules());
            rules.any(|rule| {
                rule.apply_server_side_encryption_by_default()
                    .is_some_and(|d| *d.sse_algorithm() == ServerSideEncryption::Aes256)
            })
        });
        Ok(kept && written.is_ok() && deleted)
    }

    /// Comes last in a scratch bucket: what is written afterwards stays as a version.
    pub(super) async fn keeps_versions(&self) -> anyhow::Result<bool> {
        const KEY: &str = "versions";
        const FIRST: &[u8] = b"first";
        let (client, bucket) = (self.client, &self.bucket);
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let put = client
            .put_bucket_versioning()
            .bucket(bucket)
            .versioning_configuration(enabled);
        if !accepted(put.send().await)? {
            return Ok(false);
        }
        let first = self.put(KEY).body(ByteStream::from_static(FIRST));
        let first = answer(first.send().await)?.and_then(|put| put.version_id);
        let second = answer(self.put(KEY).send().await)?.and_then(|put| put.version_id);
        let (Some(first), Some(second)) = (first, second) else {
            return Ok(false);
        };
        let deleted = client.delete_object().bucket(bucket).key(KEY).send().await;
        if !accepted(deleted)? || self.is_there(KEY).await? {
            return Ok(false);
        }
        let list = client.list_object_versions().bucket(bucket).prefix(KEY);
        let Some(listed) = answer(list.send().await)? else {
            return Ok(false);
        };
        let mut ids: Vec<&str> = listed
            .versions()
            .iter()
            .filter_map(|version| version.version_id())
            .collect();
        ids.sort_unstable();
        let mut expected = [first.as_str(), second.as_str()];
        expected.sort_unstable();
        let get = client.get_object().bucket(bucket).key(KEY);
        let Some(got) = answer(get.version_id(&first).send().await)? else {
            return Ok(false);
        };
        let body = got.body.collect().await?.into_bytes();
        Ok(ids == expected && listed.delete_markers().len() == 1 && body == FIRST)
    }

    /// In a bucket that was made for it, with object lock.
    pub(super) async fn keeps_locks(&self) -> anyhow::Result<bool> {
        const KEY: &str = "held";
        let put = self
            .put(KEY)
            .content_md5(BODY_MD5)
            .object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
        let put = answer(put.send().await)?;
        let Some(version) = put.and_then(|put| put.version_id) else {
            return Ok(false);
        };
        let held = self.refuses_to_delete(KEY, &version).await;
        // Whatever was found, or went wrong: nothing may stay locked.
        let off = ObjectLockLegalHold::builder()
            .status(ObjectLockLegalHoldStatus::Off)
            .build();
        let release = self
            .client
            .put_object_legal_hold()
            .bucket(&self.bucket)
            .key(KEY)
            .version_id(&version)
            .legal_hold(off);
        let released = accepted(release.send().await)?;
        Ok(held? && released && !self.refuses_to_delete(KEY, &version).await?)
    }

    /// Tries it; and a version that is said to be kept must be there.
    async fn refuses_to_delete(&self, key: &str, version: &str) -> anyhow::Result<bool> {
        let (client, bucket) = (self.client, &self.bucket);
        let delete = client.delete_object().bucket(bucket).key(key);
        if accepted(delete.version_id(version).send().await)? {
            return Ok(false);
        }
        let get = client.get_object().bucket(bucket).key(key);
        match answer(get.version_id(version).send().await)? {
            Some(got) => Ok(got.body.collect().await?.into_bytes() == BODY),
            None => Ok(false),
        }
    }
}
