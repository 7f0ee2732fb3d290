//! Looks at an engine from above: whether it answers, which buckets there are, and what a pool is divided into.

use std::time::{Duration, Instant};

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use chrono::{DateTime, Utc};

use super::{Engine, explain};
use crate::PlacementKind;

/// An engine that takes longer is as good as away.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const NOT_FOUND: u16 = 404;

/// A bucket of the engine's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub name: String,
    /// `None`: the engine does not say.
    pub created_at: Option<DateTime<Utc>>,
}

/// How an engine answered a small question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub latency: Duration,
}

impl Engine {
    /// Asks for the pool bucket, or for a bucket that nobody has: an engine that says so has checked the signature.
    pub(crate) async fn look(&self) -> anyhow::Result<Look> {
        let (bucket, pooled) = match (&self.pool_bucket, self.placement) {
            (Some(pool), PlacementKind::Pooled) => (pool.clone(), true),
            _ => {
                let id = uuid::Uuid::new_v4().simple();
                (format!("vaultaire-health-{id}"), false)
            }
        };
        let begun = Instant::now();
        let there = tokio::time::timeout(ANSWERS_WITHIN, self.has_bucket(&bucket)).await;
        let there = there.map_err(|_| anyhow::anyhow!("no answer within 10 seconds"))??;
        anyhow::ensure!(there || !pooled, "the pool bucket {bucket} is not there");
        Ok(Look {
            latency: begun.elapsed(),
        })
    }

    pub(crate) async fn has_bucket(&self, bucket: &str) -> anyhow::Result<bool> {
        match self.client.head_bucket().bucket(bucket).send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|response| response.status().as_u16() == NOT_FOUND) =>
            {
                Ok(false)
            }
            Err(error) => Err(explain(error)),
        }
    }

    /// All of the account.
    pub(crate) async fn list_buckets(&self) -> anyhow::Result<Vec<Listed>> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let request = self.client.list_buckets().set_continuation_token(token);
            let page = request.send().await.map_err(explain)?;
            let listed = page.buckets().iter().filter_map(|bucket| {
                let created_at = bucket
                    .creation_date()
                    .and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos()));
                Some(Listed {
                    name: bucket.name()?.to_owned(),
                    created_at,
                })
            });
            all.extend(listed);
            token = page.continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// What stands next under the prefix, up to the next `/`, each with it. A bucket that is not there has none.
    pub(crate) async fn folders(&self, bucket: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
            let request = request.delimiter("/").set_continuation_token(token);
            let page = match request.send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("NoSuchBucket") => return Ok(all),
                Err(error) => return Err(explain(error)),
            };
            let folders = page.common_prefixes().iter();
            let folders = folders.filter_map(|folder| folder.prefix().map(str::to_owned));
            all.extend(folders.filter(|folder| folder.starts_with(prefix)));
            token = page.next_continuation_token;
            if page.is_truncated != Some(true) || token.is_none() {
                return Ok(all);
            }
        }
    }

    /// When the first object under the prefix was last written; `None`: there is none, or the engine does not say.
    pub(crate) async fn written_at(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> anyhow::Result<Option<DateTime<Utc>>> {
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let page = request.max_keys(1).send().await.map_err(explain)?;
        let first = page.contents().first();
        let at = first.and_then(|object| object.last_modified());
        Ok(at.and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos())))
    }
}
