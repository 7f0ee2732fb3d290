//! Finds out what the engine really does, by doing it in a scratch place that is cleaned up again.
//! What cannot be found out is not relied on.

mod buckets;
mod objects;

use std::time::Duration;

use anyhow::Context;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use wire::EngineCapabilities;

use tracing::Instrument as _;

use super::{Engine, Removed, explain, has_no_such_list};
use crate::{ControlPlane, Error, PlacementKind, db};

/// What scratch buckets begin with, and scratch objects in a pool.
pub(crate) const PROBE_BUCKETS: &str = "vaultaire-probe-";
pub(crate) const PROBE_PREFIX: &str = "probe/";
const BODY: &[u8] = b"vaultaire";
/// Keys that must stay what they are, and what careless engines make of them.
const AWKWARD: [(&str, &str); 3] = [("a//b", "a/b"), ("/c", "c"), ("d\\e", "d/e")];
/// Pages of versions that are cleaned up at most; a probe makes far fewer.
const MAX_PAGES: usize = 20;
const NOT_IMPLEMENTED: u16 = 501;

/// Every engine that there is now.
pub(crate) async fn probe_all(cp: ControlPlane) {
    let rows = async {
        let mut tx = cp.begin_system().await?;
        Ok::<_, Error>(db::engines::list(tx.connection()).await?)
    };
    match rows.await {
        Ok(rows) => {
            let probes = rows.into_iter().map(|row| until_done(&cp, row.id));
            futures_util::future::join_all(probes).await;
        }
        Err(error) => tracing::error!(%error, "which engines there are cannot be read"),
    }
}

/// Tries until the engine answers; it may come up later than the control plane.
async fn until_done(cp: &ControlPlane, id: String) {
    let mut pause = Duration::from_secs(1);
    loop {
        let probing = probe_once(cp, &id).instrument(telemetry::job("engine.probe"));
        match probing.await {
            Ok(_) => return,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(engine = %id, error, "the engine cannot be probed yet");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
        if !is_there(cp, &id).await.unwrap_or(true) {
            return;
        }
    }
}

async fn is_there(cp: &ControlPlane, id: &str) -> Result<bool, Error> {
    let mut tx = cp.begin_system().await?;
    Ok(db::engines::get(&mut tx, id).await?.is_some())
}

/// Finds out what the engine of this id can do, and tells nodes if that is something else than was known.
pub(crate) async fn probe_once(cp: &ControlPlane, id: &str) -> anyhow::Result<EngineCapabilities> {
    let mut tx = cp.begin_system().await?;
    let known = db::engines::capabilities(&mut tx, id).await?;
    drop(tx);
    let found = cp.engine(id).await?.probe(known).await?;
    let mut tx = cp.begin_system().await?;
    let known = db::engines::lock(&mut tx, id)
        .await?
        .context("the engine is not registered")?;
    db::engines::set_capabilities(&mut tx, id, found, cp.clock().now()).await?;
    if known.capabilities.0 != found {
        db::revision::next_for_settings(&mut tx).await?;
    }
    tx.commit().await?;
    tracing::info!(engine = id, ?found, "engine probed");
    Ok(found)
}

/// Where a probe may write.
struct Scratch<'a> {
    client: &'a Client,
    bucket: String,
    prefix: String,
}

impl Engine {
    /// What is in doubt stays as it was `known`: see [`Scratch::find`].
    pub(crate) async fn probe(
        &self,
        known: EngineCapabilities,
    ) -> anyhow::Result<EngineCapabilities> {
        let scratch = self.scratch();
        self.make(&scratch).await?;
        let found = self.find_out(&scratch, known).await;
        self.clean_up(&scratch).await;
        found
    }

    /// Fails unless this account can write, read and remove objects where the `other` makes buckets. Where the other
    /// can make none any more, in one of its own.
    pub(crate) async fn works_beside(&self, other: &Engine) -> anyhow::Result<()> {
        let scratch = self.scratch();
        let maker = match other.make(&scratch).await {
            Ok(()) => other,
            Err(_) => {
                self.make(&scratch).await?;
                self
            }
        };
        let works = scratch.works().await;
        // Credentials that do not work cannot clean up either.
        let made = Scratch {
            client: &maker.client,
            bucket: scratch.bucket.clone(),
            prefix: scratch.prefix.clone(),
        };
        maker.clean_up(&made).await;
        works
    }

    fn scratch(&self) -> Scratch<'_> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{PROBE_BUCKETS}{}", &id[..16]);
        let (bucket, prefix) = match (&self.pool_bucket, self.placement) {
            (Some(pool), PlacementKind::Pooled) => (pool.clone(), format!("{PROBE_PREFIX}{id}/")),
            _ => (name, String::new()),
        };
        Scratch {
            client: &self.client,
            bucket,
            prefix,
        }
    }

    /// A pool that is there need not be one that the account may make.
    async fn make(&self, scratch: &Scratch<'_>) -> anyhow::Result<()> {
        if self.placement == PlacementKind::Pooled && self.has_bucket(&scratch.bucket).await? {
            return Ok(());
        }
        self.create_bucket(&scratch.bucket, false).await
    }

    /// The order counts: what leaves traces in the scratch bucket comes last.
    async fn find_out(
        &self,
        s: &Scratch<'_>,
        known: EngineCapabilities,
    ) -> anyhow::Result<EngineCapabilities> {
        s.works().await?;
        let k = known;
        let of_objects = EngineCapabilities {
            exact_keys: s.find("keys", k.exact_keys, s.keeps_keys()).await?,
            byte_order: s
                .find("order", k.byte_order, s.lists_in_byte_order())
                .await?,
            checksums: s
                .find("checksums", k.checksums, s.verifies_checksums())
                .await?,
            crc64nvme: Some(
                s.find("CRC64NVME", k.keeps_crc64nvme(), s.verifies_crc64nvme())
                    .await?,
            ),
            newer_checksums: s
                .find(
                    "newer checksums",
                    k.newer_checksums,
                    s.verifies_newer_checksums(),
                )
                .await?,
            trailers: s
                .find("trailers", k.trailers, s.understands_trailers())
                .await?,
            conditional_writes: s
                .find("conditions", k.conditional_writes, s.honours_conditions())
                .await?,
            object_tagging: s
                .find("object tags", k.object_tagging, s.tags_objects())
                .await?,
            sse_s3: s.find("SSE-S3", k.sse_s3, s.encrypts_objects()).await?,
            sse_c: s.find("SSE-C", k.sse_c, s.encrypts_for_customers()).await?,
            object_attributes: s
                .find("attributes", k.object_attributes, s.tells_attributes())
                .await?,
            ..EngineCapabilities::default()
        };
        if self.placement == PlacementKind::Pooled {
            return Ok(of_objects);
        }
        Ok(EngineCapabilities {
            bucket_tagging: s
                .find("bucket tags", k.bucket_tagging, s.tags_buckets())
                .await?,
            lifecycle: s
                .find("lifecycle", k.lifecycle, s.keeps_lifecycles())
                .await?,
            bucket_encryption: s
                .find("encryption", k.bucket_encryption, s.encrypts_buckets())
                .await?,
            object_lock: s
                .find("object lock", k.object_lock, self.locks(&s.bucket))
                .await?,
            versioning: s
                .find("versioning", k.versioning, s.keeps_versions())
                .await?,
            ..of_objects
        })
    }

    /// In a second scratch bucket: object lock is decided when a bucket is made.
    async fn locks(&self, beside: &str) -> anyhow::Result<bool> {
        let scratch = Scratch {
            client: &self.client,
            bucket: format!("{beside}-lock"),
            prefix: String::new(),
        };
        if !accepted(self.new_bucket(&scratch.bucket, true).send().await)? {
            return Ok(false);
        }
        let found = scratch.keeps_locks().await;
        self.clean_up(&scratch).await;
        found
    }

    /// What cannot be removed is said in the log; trying the whole probe again would only leave more behind.
    async fn clean_up(&self, scratch: &Scratch<'_>) {
        let cleaned = async {
            scratch.remove_objects().await?;
            if self.placement == PlacementKind::Dedicated {
                let versions = scratch.remove_versions().await;
                // Without versions it goes, whatever the engine says when it is asked for them.
                if self.remove_bucket(&scratch.bucket).await? == Removed::NotEmpty {
                    versions?;
                    anyhow::bail!("the bucket is not empty");
                }
            }
            Ok(())
        };
        if let Err(error) = cleaned.await {
            let (bucket, prefix) = (&scratch.bucket, &scratch.prefix);
            let error = format!("{error:#}");
            tracing::warn!(
                bucket,
                prefix,
                error,
                "a probe left something on the engine"
            );
        }
    }
}

impl Scratch<'_> {
    /// What the probe found. Some engines break (500, or nothing that can be understood) over what they do not know:
    /// as long as the engine works otherwise, that is no reason to try for ever, and what was `known` of it before
    /// stays, which is nothing where it was never found. An engine that is down is an error.
    async fn find(
        &self,
        what: &'static str,
        known: bool,
        probe: impl Future<Output = anyhow::Result<bool>>,
    ) -> anyhow::Result<bool> {
        let error = match probe.await {
            Ok(found) => return Ok(found),
            // The first words; the rest is the whole answer.
            Err(error) => format!("{error:#}").chars().take(200).collect::<String>(),
        };
        self.works().await?;
        tracing::warn!(
            what,
            known,
            error,
            "the engine fails over this alone; what was known of it stays"
        );
        Ok(known)
    }

    /// Whether an object can be written, read and removed; anything else is an error.
    async fn works(&self) -> anyhow::Result<()> {
        const KEY: &str = "plain";
        let (client, bucket, key) = (self.client, &self.bucket, self.key(KEY));
        self.put(KEY).send().await.map_err(explain)?;
        let got = client.get_object().bucket(bucket).key(&key).send().await;
        let body = got.map_err(explain)?.body.collect().await?.into_bytes();
        anyhow::ensure!(body == BODY, "the engine does not return what it was given");
        let deleted = client.delete_object().bucket(bucket).key(&key).send().await;
        deleted.map(drop).map_err(explain)
    }

    fn put(&self, key: &str) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(key))
            .body(ByteStream::from_static(BODY))
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn is_there(&self, key: &str) -> anyhow::Result<bool> {
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.key(key));
        accepted(head.send().await)
    }

    async fn list(&self) -> anyhow::Result<Vec<String>> {
        let page = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&self.prefix)
            .send()
            .await
            .map_err(explain)?;
        Ok(page
            .contents()
            .iter()
            .filter_map(|o| o.key.clone())
            .collect())
    }

    /// Removes what is listed, and what was written under a name that is not listed as such.
    async fn remove_objects(&self) -> anyhow::Result<()> {
        let mut keys = self.list().await?;
        keys.extend(AWKWARD.map(|(key, _)| self.key(key)));
        for key in keys {
            let deleted = self.client.delete_object().bucket(&self.bucket).key(key);
            accepted(deleted.send().await)?;
        }
        Ok(())
    }

    /// Removes old versions and delete markers, where the engine has any.
    async fn remove_versions(&self) -> anyhow::Result<()> {
        let (client, bucket) = (self.client, &self.bucket);
        for _ in 0..MAX_PAGES {
            let listed = client.list_object_versions().bucket(bucket).send().await;
            let page = match listed {
                Ok(page) => page,
                Err(error) if has_no_such_list(&error) => return Ok(()),
                Err(error) => return Err(explain(error)),
            };
            let mut all = Vec::new();
            for version in page.versions() {
                all.push((version.key.clone(), version.version_id.clone()));
            }
            for marker in page.delete_markers() {
                all.push((marker.key.clone(), marker.version_id.clone()));
            }
            if all.is_empty() {
                return Ok(());
            }
            for (key, version) in all {
                let delete = client
                    .delete_object()
                    .bucket(bucket)
                    .set_key(key)
                    .set_version_id(version);
                accepted(delete.send().await)?;
            }
        }
        anyhow::bail!("versions come back");
    }
}

/// What the engine answered; `None`: it said no (4xx), or that it knows no such thing (501). That it could not be
/// asked, or is broken, is an error.
fn answer<T, E>(result: Result<T, SdkError<E, HttpResponse>>) -> anyhow::Result<Option<T>>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(error)
            if error.raw_response().is_some_and(|r| {
                r.status().is_client_error() || r.status().as_u16() == NOT_IMPLEMENTED
            }) =>
        {
            Ok(None)
        }
        Err(error) => Err(explain(error)),
    }
}

/// Whether the engine did it.
fn accepted<T, E>(result: Result<T, SdkError<E, HttpResponse>>) -> anyhow::Result<bool>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    Ok(answer(result)?.is_some())
}
