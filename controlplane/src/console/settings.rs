//! A bucket's settings that live on the engine: versioning, lifecycle rules, object lock. Asked and changed through the
//! data plane; where placement or engine has them not, the refusal is `NotImplemented`.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus,
    DefaultRetention, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    NoncurrentVersionExpiration, ObjectLockConfiguration, ObjectLockEnabled,
    ObjectLockRetentionMode, ObjectLockRule, VersioningConfiguration,
};

use super::Signer;
use super::objects::refused;
use crate::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    Never,
    Enabled,
    Suspended,
}

/// One lifecycle rule, as far as the dashboard's form goes. Figures are days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expiry {
    pub id: String,
    pub prefix: String,
    pub expire: Option<i32>,
    pub expire_noncurrent: Option<i32>,
    pub abort_uploads: Option<i32>,
    pub enabled: bool,
    /// It says more than this form does: tags, sizes, dates.
    pub more: bool,
}

impl Expiry {
    /// A rule that was not made by a form: figures within S3's, and at least one of them.
    pub fn check(&self) -> Result<(), Error> {
        if self.id.is_empty() || self.id.len() > 255 || self.id.chars().any(char::is_control) {
            let message = "Give the rule a name of 1 to 255 bytes.";
            return Err(Error::validation("id", message));
        }
        if self.prefix.len() > 1024 || self.prefix.chars().any(char::is_control) {
            let message = "A prefix has at most 1024 bytes, and no control characters.";
            return Err(Error::validation("prefix", message));
        }
        let figures = [
            ("expire_days", self.expire),
            ("expire_noncurrent_days", self.expire_noncurrent),
            ("abort_uploads_days", self.abort_uploads),
        ];
        for (field, days) in figures {
            check_days(field, days)?;
        }
        if figures.iter().all(|(_, days)| days.is_none()) {
            let message =
                "Say after how many days something is to happen: one of the three at least.";
            return Err(Error::validation("expire_days", message));
        }
        Ok(())
    }
}

impl Lock {
    pub fn check(self) -> Result<(), Error> {
        check_days("days", Some(self.days))
    }
}

fn check_days(field: &str, days: Option<i32>) -> Result<(), Error> {
    match days {
        Some(days) if !(1..=36_500).contains(&days) => {
            Err(Error::validation(field, "It is 1 to 36500."))
        }
        _ => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    Governance,
    Compliance,
}

/// What new objects are locked with, unless the upload says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    pub mode: LockMode,
    pub days: i32,
}

impl Signer {
    pub async fn versioning(&self, bucket: &str) -> Result<Versioning, Error> {
        let request = self.client.get_bucket_versioning().bucket(bucket);
        Ok(match request.send().await.map_err(refused)?.status {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
            _ => Versioning::Never,
        })
    }

    pub async fn set_versioning(&self, bucket: &str, on: bool) -> Result<(), Error> {
        let status = match on {
            true => BucketVersioningStatus::Enabled,
            false => BucketVersioningStatus::Suspended,
        };
        let wanted = VersioningConfiguration::builder().status(status).build();
        let request = self.client.put_bucket_versioning().bucket(bucket);
        let request = request.versioning_configuration(wanted);
        request.send().await.map_err(refused)?;
        Ok(())
    }

    pub async fn lifecycle(&self, bucket: &str) -> Result<Vec<Expiry>, Error> {
        let rules = self.lifecycle_rules(bucket).await?;
        Ok(rules.iter().map(read).collect())
    }

    /// Beside the rules that there are.
    pub async fn add_lifecycle(&self, bucket: &str, rule: &Expiry) -> Result<(), Error> {
        let mut rules = self.lifecycle_rules(bucket).await?;
        rules.push(write(rule)?);
        self.set_lifecycle(bucket, rules).await
    }

    /// Without the rule of that id; the others stay as they are, also in what the form does not know.
    pub async fn remove_lifecycle(&self, bucket: &str, id: &str) -> Result<(), Error> {
        let mut rules = self.lifecycle_rules(bucket).await?;
        rules.retain(|rule| rule.id.as_deref().unwrap_or_default() != id);
        self.set_lifecycle(bucket, rules).await
    }

    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, Error> {
        let request = self
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(bucket);
        match request.send().await {
            Ok(found) => Ok(found.rules.unwrap_or_default()),
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Ok(Vec::new()),
            Err(error) => Err(refused(error)),
        }
    }

    async fn set_lifecycle(&self, bucket: &str, rules: Vec<LifecycleRule>) -> Result<(), Error> {
        if rules.is_empty() {
            let request = self.client.delete_bucket_lifecycle().bucket(bucket);
            request.send().await.map_err(refused)?;
            return Ok(());
        }
        let wanted = BucketLifecycleConfiguration::builder()
            .set_rules(Some(rules))
            .build();
        let wanted = wanted.map_err(|e| Error::Internal(e.into()))?;
        let request = self
            .client
            .put_bucket_lifecycle_configuration()
            .bucket(bucket);
        let request = request.lifecycle_configuration(wanted);
        request.send().await.map_err(refused)?;
        Ok(())
    }

    /// `None`: new objects are not locked by themselves.
    pub async fn lock(&self, bucket: &str) -> Result<Option<Lock>, Error> {
        let request = self.client.get_object_lock_configuration().bucket(bucket);
        let found = match request.send().await {
            Ok(found) => found.object_lock_configuration,
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => None,
            Err(error) => return Err(refused(error)),
        };
        let retention = found.and_then(|found| found.rule?.default_retention);
        Ok(retention.and_then(|retention| {
            let years = retention.years.map(|years| years.saturating_mul(365));
            Some(Lock {
                mode: match retention.mode? {
                    ObjectLockRetentionMode::Compliance => LockMode::Compliance,
                    _ => LockMode::Governance,
                },
                days: retention.days.or(years)?,
            })
        }))
    }

    pub async fn set_lock(&self, bucket: &str, lock: Option<Lock>) -> Result<(), Error> {
        let rule = lock.map(|lock| {
            let mode = match lock.mode {
                LockMode::Governance => ObjectLockRetentionMode::Governance,
                LockMode::Compliance => ObjectLockRetentionMode::Compliance,
            };
            let retention = DefaultRetention::builder()
                .mode(mode)
                .days(lock.days)
                .build();
            ObjectLockRule::builder()
                .default_retention(retention)
                .build()
        });
        let wanted = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .set_rule(rule)
            .build();
        let request = self.client.put_object_lock_configuration().bucket(bucket);
        let request = request.object_lock_configuration(wanted);
        request.send().await.map_err(refused)?;
        Ok(())
    }
}

fn read(rule: &LifecycleRule) -> Expiry {
    let filter = rule.filter.as_ref();
    #[allow(deprecated, reason = "rules of old clients have their prefix there")]
    let old = rule.prefix.clone();
    let prefix = filter.and_then(|f| f.prefix.clone()).or(old);
    let expiration = rule.expiration.as_ref();
    Expiry {
        id: rule.id.clone().unwrap_or_default(),
        prefix: prefix.unwrap_or_default(),
        expire: expiration.and_then(|e| e.days),
        expire_noncurrent: rule
            .noncurrent_version_expiration
            .as_ref()
            .and_then(|e| e.noncurrent_days),
        abort_uploads: rule
            .abort_incomplete_multipart_upload
            .as_ref()
            .and_then(|a| a.days_after_initiation),
        enabled: rule.status == ExpirationStatus::Enabled,
        more: filter.is_some_and(|f| {
            f.and.is_some()
                || f.tag.is_some()
                || f.object_size_greater_than.is_some()
                || f.object_size_less_than.is_some()
        }) || expiration
            .is_some_and(|e| e.date.is_some() || e.expired_object_delete_marker.is_some()),
    }
}

fn write(rule: &Expiry) -> Result<LifecycleRule, Error> {
    let built = LifecycleRule::builder()
        .id(&rule.id)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
        .set_expiration(
            rule.expire
                .map(|days| LifecycleExpiration::builder().days(days).build()),
        )
        .set_noncurrent_version_expiration(rule.expire_noncurrent.map(|days| {
            NoncurrentVersionExpiration::builder()
                .noncurrent_days(days)
                .build()
        }))
        .set_abort_incomplete_multipart_upload(rule.abort_uploads.map(|days| {
            AbortIncompleteMultipartUpload::builder()
                .days_after_initiation(days)
                .build()
        }))
        .build();
    built.map_err(|e| Error::Internal(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_does_something_within_bounds() {
        let rule = |id: &str, expire, abort_uploads| Expiry {
            id: id.to_owned(),
            expire,
            abort_uploads,
            ..Expiry::default()
        };
        let field = |rule: Expiry| match rule.check() {
            Ok(()) => None,
            Err(error) => error.field().map(str::to_owned),
        };
        assert_eq!(field(rule("a", Some(1), None)), None);
        assert_eq!(field(rule("a", None, Some(36_500))), None);
        assert_eq!(field(rule("", Some(1), None)).as_deref(), Some("id"));
        assert_eq!(field(rule("a", None, None)).as_deref(), Some("expire_days"));
        assert_eq!(
            field(rule("a", Some(0), None)).as_deref(),
            Some("expire_days")
        );
        assert_eq!(
            field(rule("a", Some(1), Some(36_501))).as_deref(),
            Some("abort_uploads_days")
        );
    }

    #[test]
    fn a_rule_is_read_as_it_was_written() {
        let rule = Expiry {
            id: "logs".to_owned(),
            prefix: "logs/".to_owned(),
            expire: Some(30),
            expire_noncurrent: Some(7),
            abort_uploads: None,
            enabled: true,
            more: false,
        };
        let written = write(&rule).expect("a rule");
        assert_eq!(read(&written), rule);
    }
}
