//! The S3 engine underneath: buckets are made, emptied of unfinished uploads, and removed here.
//! Objects never pass through; the data plane carries them.

mod empty;
mod failure;
mod look;
mod measure;
mod probe;
mod register;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::create_bucket::builders::CreateBucketFluentBuilder;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use failure::explain;
pub(crate) use failure::{advise, brief};
pub(crate) use look::Listed;
pub(crate) use measure::Measured;
pub(crate) use probe::{PROBE_BUCKETS, PROBE_PREFIX, probe_all, probe_once};
pub(crate) use register::{ENGINE_ID, SETTINGS_ROW, register};

use crate::{EngineConfig, PlacementKind};

/// The region for which S3 wants no location said.
const DEFAULT_REGION: &str = "us-east-1";
/// The element that every answer to ListObjectVersions begins with.
const LIST_OF_VERSIONS: &[u8] = b"ListVersionsResult";

pub(crate) struct Engine {
    client: Client,
    region: String,
    placement: PlacementKind,
    pool_bucket: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    Gone,
    NotEmpty,
}

/// `http://host[:port]` or `https://host[:port]`, and nothing behind it.
pub(crate) fn is_endpoint(text: &str) -> bool {
    text.trim_end_matches('/')
        .parse::<http::Uri>()
        .is_ok_and(|url| {
            let plain = url.path() == "/" && url.query().is_none();
            let host = url.authority().is_some_and(|a| !a.as_str().contains('@'));
            matches!(url.scheme_str(), Some("http" | "https")) && plain && host
        })
}

impl Engine {
    pub(crate) fn new(config: &EngineConfig) -> anyhow::Result<Self> {
        anyhow::ensure!(
            is_endpoint(&config.endpoint),
            "the engine's endpoint is http://host[:port] or https://host[:port] without a path, not {}",
            config.endpoint
        );
        anyhow::ensure!(
            config.placement == PlacementKind::Dedicated || config.pool_bucket.is_some(),
            "pooled placement needs a pool bucket"
        );
        Ok(Self {
            client: client(config),
            region: config.region.clone(),
            placement: config.placement,
            pool_bucket: config.pool_bucket.clone(),
        })
    }

    /// Making a bucket that is ours already is no error; it stays as it was made.
    pub(crate) async fn create_bucket(
        &self,
        bucket: &str,
        object_lock: bool,
    ) -> anyhow::Result<()> {
        match self.new_bucket(bucket, object_lock).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            // Some engines say this of one's own bucket too; then it can be looked at.
            Err(error) if error.code() == Some("BucketAlreadyExists") => self
                .client
                .head_bucket()
                .bucket(bucket)
                .send()
                .await
                .map(drop)
                .map_err(|_| explain(error)),
            Err(error) => Err(explain(error)),
        }
    }

    fn new_bucket(&self, bucket: &str, object_lock: bool) -> CreateBucketFluentBuilder {
        let mut request = self.client.create_bucket().bucket(bucket);
        if object_lock {
            request = request.object_lock_enabled_for_bucket(true);
        }
        if self.region != DEFAULT_REGION {
            request = request.create_bucket_configuration(
                CreateBucketConfiguration::builder()
                    .location_constraint(BucketLocationConstraint::from(self.region.as_str()))
                    .build(),
            );
        }
        request
    }

    /// Whether there is no object under the prefix; one that is not there is empty.
    pub(crate) async fn is_empty(&self, bucket: &str, prefix: &str) -> anyhow::Result<bool> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .max_keys(1)
            .send()
            .await;
        match listed {
            Ok(page) => Ok(page.contents().is_empty() && page.common_prefixes().is_empty()),
            Err(error) if error.code() == Some("NoSuchBucket") => Ok(true),
            Err(error) => Err(explain(error)),
        }
    }

    /// Whether the bucket holds a version or a delete marker. `versioning`: the engine was found to keep versions, and
    /// then nothing but its list is believed. An engine that was not may say that it has no such list; versions that
    /// were kept all the same cannot be listed by the customer either.
    ///
    /// Delete markers without a version of their own (`null`) do not count: they hide nothing when nothing else is there,
    /// and SeaweedFS 4.48 cannot remove them, though it says that it has. An engine that minds refuses by itself.
    pub(crate) async fn has_versions(
        &self,
        bucket: &str,
        versioning: bool,
    ) -> anyhow::Result<bool> {
        let request = self.client.list_object_versions().bucket(bucket);
        match request.send().await {
            Ok(page) => Ok(!page.versions().is_empty()
                || page
                    .delete_markers()
                    .iter()
                    .any(|marker| marker.version_id() != Some("null"))
                || !page.common_prefixes().is_empty()
                || page.is_truncated() == Some(true)),
            Err(error) if error.code() == Some("NoSuchBucket") => Ok(false),
            Err(error) if !versioning && has_no_such_list(&error) => Ok(false),
            Err(error) => Err(explain(error)),
        }
    }

    /// As S3 does with a bucket's unfinished uploads when the bucket is deleted.
    pub(crate) async fn abort_uploads(&self, bucket: &str, prefix: &str) -> anyhow::Result<()> {
        loop {
            let listed = self
                .client
                .list_multipart_uploads()
                .bucket(bucket)
                .prefix(prefix)
                .send()
                .await;
            let page = match listed {
                Ok(page) => page,
                // An engine without uploads has none to abort: some say so in these words.
                Err(error) if matches!(error.code(), Some("NoSuchBucket" | "NoSuchUpload")) => {
                    return Ok(());
                }
                Err(error) => return Err(explain(error)),
            };
            for upload in page.uploads() {
                let aborted = self
                    .client
                    .abort_multipart_upload()
                    .bucket(bucket)
                    .set_key(upload.key.clone())
                    .set_upload_id(upload.upload_id.clone())
                    .send()
                    .await;
                match aborted {
                    Ok(_) => {}
                    Err(error) if error.code() == Some("NoSuchUpload") => {}
                    Err(error) => return Err(explain(error)),
                }
            }
            // What was aborted is not listed again, so the first page is always the next one.
            if page.uploads().is_empty() || page.is_truncated() != Some(true) {
                return Ok(());
            }
        }
    }

    /// The engine itself refuses while an object is in it. Not so for versions: SeaweedFS 4.48 removes a bucket in which
    /// versioning was ever on with all that is in it, current versions too. Whoever calls this has looked.
    pub(crate) async fn remove_bucket(&self, bucket: &str) -> anyhow::Result<Removed> {
        match self.client.delete_bucket().bucket(bucket).send().await {
            Ok(_) => Ok(Removed::Gone),
            Err(error) if error.code() == Some("NoSuchBucket") => Ok(Removed::Gone),
            Err(error) if error.code() == Some("BucketNotEmpty") => Ok(Removed::NotEmpty),
            Err(error) => Err(explain(error)),
        }
    }
}

fn client(config: &EngineConfig) -> Client {
    let credentials = Credentials::new(
        &config.access_key_id,
        &config.secret_access_key,
        None,
        None,
        "vaultaire",
    );
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(8))
        .operation_timeout(Duration::from_secs(20))
        .build();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .endpoint_url(&config.endpoint)
        .force_path_style(true)
        .region(Region::new(config.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(timeouts)
        // Many engines know neither trailers nor the newer checksums.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}

/// Refused as unknown, or answered with something else, as engines do that pass over what they do not know. Denied, too
/// busy, and broken are none of these.
fn has_no_such_list<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: ProvideErrorMetadata,
{
    let Some(response) = error.raw_response() else {
        return false;
    };
    match response.status().as_u16() {
        405 | 501 => true,
        200 => {
            let body = response.body().bytes().unwrap_or(LIST_OF_VERSIONS);
            !body
                .windows(LIST_OF_VERSIONS.len())
                .any(|part| part == LIST_OF_VERSIONS)
        }
        400 => error.code().is_some_and(|code| {
            ["InvalidArgument", "InvalidRequest", "NotImplemented"].contains(&code)
        }),
        _ => false,
    }
}
