//! Finds out what the engine really does, by doing it in a scratch place that is cleaned up again.
//! What cannot be found out is not relied on.

use std::time::Duration;

use anyhow::Context;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use bytes::Bytes;
use http_body_util::Full;
use wire::EngineCapabilities;

use super::{ENGINE_ID, Engine, explain};
use crate::{ControlPlane, PlacementKind, db};

const BODY: &[u8] = b"vaultaire";
/// CRC-32 of [`BODY`], base64 of four bytes, big-endian.
const BODY_CRC32: &str = "UIiWHA==";
const WRONG_CRC32: &str = "AAAAAA==";
/// Keys that must stay what they are, and what careless engines make of them.
const AWKWARD: [(&str, &str); 3] = [("a//b", "a/b"), ("/c", "c"), ("d\\e", "d/e")];

/// Tries until the engine answers; it may come up later than the control plane.
pub(crate) async fn probe_until_done(cp: ControlPlane) {
    let mut pause = Duration::from_secs(1);
    loop {
        match probe_once(&cp).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the engine cannot be probed yet"
                );
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

async fn probe_once(cp: &ControlPlane) -> anyhow::Result<()> {
    let found = cp.engine().probe().await?;
    let mut tx = cp.begin_system().await?;
    let known = db::engines::lock(&mut tx, ENGINE_ID)
        .await?
        .context("the engine is not registered")?;
    db::engines::set_capabilities(&mut tx, ENGINE_ID, found, cp.clock().now()).await?;
    if known.capabilities.0 != found {
        db::revision::next_for_settings(&mut tx).await?;
    }
    tx.commit().await?;
    tracing::info!(?found, "engine probed");
    Ok(())
}

/// Where a probe may write.
struct Scratch<'a> {
    client: &'a Client,
    bucket: String,
    prefix: String,
}

impl Engine {
    async fn probe(&self) -> anyhow::Result<EngineCapabilities> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let (bucket, prefix) = match (&self.pool_bucket, self.placement) {
            (Some(pool), PlacementKind::Pooled) => (pool.clone(), format!("probe/{id}/")),
            _ => (format!("vaultaire-probe-{}", &id[..16]), String::new()),
        };
        self.create_bucket(&bucket).await?;
        let scratch = Scratch {
            client: &self.client,
            bucket,
            prefix,
        };
        let found = scratch.find_out().await;
        let cleaned = scratch.clean_up().await;
        if self.placement == PlacementKind::Dedicated {
            self.remove_bucket(&scratch.bucket).await?;
        }
        cleaned?;
        found
    }
}

impl Scratch<'_> {
    async fn find_out(&self) -> anyhow::Result<EngineCapabilities> {
        Ok(EngineCapabilities {
            exact_keys: self.keeps_keys().await?,
            byte_order: self.lists_in_byte_order().await?,
            checksums: self.verifies_checksums().await?,
            trailers: self.understands_trailers().await?,
            conditional_writes: self.honours_conditions().await?,
            ..EngineCapabilities::default()
        })
    }

    async fn keeps_keys(&self) -> anyhow::Result<bool> {
        for (key, mangled) in AWKWARD {
            let taken = accepted(self.put(key).send().await)?;
            if !taken || self.is_there(mangled).await? || !self.is_there(key).await? {
                return Ok(false);
            }
        }
        let mut listed = self.list().await?;
        let mut expected = AWKWARD.map(|(key, _)| self.key(key));
        listed.sort();
        expected.sort();
        Ok(listed == expected)
    }

    async fn verifies_checksums(&self) -> anyhow::Result<bool> {
        let wrong = self.put("wrong").checksum_crc32(WRONG_CRC32);
        let right = self.put("right").checksum_crc32(BODY_CRC32);
        if accepted(wrong.send().await)?
            || self.is_there("wrong").await?
            || !accepted(right.send().await)?
        {
            return Ok(false);
        }
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.key("right"))
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .map_err(explain)?;
        Ok(head.checksum_crc32() == Some(BODY_CRC32))
    }

    /// S3 sorts whole keys by their bytes, so that `/` comes behind a blank and before a zero.
    async fn lists_in_byte_order(&self) -> anyhow::Result<bool> {
        const SORTED: [&str; 4] = ["order/n b", "order/n-b", "order/n/b", "order/n0b"];
        for key in SORTED {
            if !accepted(self.put(key).send().await)? {
                return Ok(false);
            }
        }
        let listed = self.list().await?;
        let prefix = self.key("order/");
        let listed: Vec<String> = listed
            .into_iter()
            .filter(|key| key.starts_with(&prefix))
            .collect();
        Ok(listed == SORTED.map(|key| self.key(key)))
    }

    /// A body that cannot be read twice makes the SDK send its checksum in a trailer.
    async fn understands_trailers(&self) -> anyhow::Result<bool> {
        let body = SdkBody::from_body_1_x(Full::new(Bytes::from_static(BODY)));
        let put = self
            .put("trailer")
            .body(ByteStream::new(body))
            .checksum_algorithm(ChecksumAlgorithm::Crc32);
        if !accepted(put.send().await)? {
            return Ok(false);
        }
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.key("trailer"))
            .checksum_mode(ChecksumMode::Enabled);
        let got = match get.send().await {
            Ok(got) => got,
            refused => return accepted(refused),
        };
        let checksum = got.checksum_crc32() == Some(BODY_CRC32);
        Ok(checksum && got.body.collect().await?.into_bytes() == BODY)
    }

    async fn honours_conditions(&self) -> anyhow::Result<bool> {
        let first = self.put("once").if_none_match("*");
        let second = self.put("once").if_none_match("*");
        let other = "\"00000000000000000000000000000000\"";
        let third = self.put("once").if_match(other);
        Ok(accepted(first.send().await)?
            && !accepted(second.send().await)?
            && !accepted(third.send().await)?)
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
    async fn clean_up(&self) -> anyhow::Result<()> {
        let mut keys = self.list().await?;
        keys.extend(AWKWARD.map(|(key, _)| self.key(key)));
        for key in keys {
            let deleted = self.client.delete_object().bucket(&self.bucket).key(key);
            accepted(deleted.send().await)?;
        }
        Ok(())
    }
}

/// Whether the engine did it or said no; that it could not be asked, or is broken, is an error.
fn accepted<T, E>(result: Result<T, SdkError<E, HttpResponse>>) -> anyhow::Result<bool>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(true),
        Err(error)
            if error
                .raw_response()
                .is_some_and(|r| r.status().is_client_error()) =>
        {
            Ok(false)
        }
        Err(error) => Err(explain(error)),
    }
}
