//! Presigned requests and forms for browsers, and a client for requests of the dashboard's own.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::json;
use sigv4::{CanonicalRequest, CredentialScope, uri_encode};
use zeroize::Zeroizing;

use crate::{ControlPlane, Error};

/// Signs with one access key, for the S3 endpoint that customers are told.
pub struct Signer {
    access_key_id: String,
    secret: Zeroizing<String>,
    region: String,
    /// `scheme://host[:port]` as browsers write it.
    origin: String,
    pub(super) client: Client,
}

/// The hidden fields of a form that uploads one file, in order; the file's own field `file` follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(&'static str, String)>,
}

impl Signer {
    pub(super) fn new(
        cp: &ControlPlane,
        access_key_id: String,
        secret: Zeroizing<String>,
    ) -> Result<Self, Error> {
        let config = cp.config();
        let origin = config.s3_origin().ok_or_else(|| {
            Error::Internal(anyhow::anyhow!(
                "the S3 endpoint is no http:// or https:// URL"
            ))
        })?;
        let credentials =
            Credentials::new(&access_key_id, secret.as_str(), None, None, "dashboard");
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_timeout(Duration::from_secs(15))
            .build();
        let client = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(cp.gateway().clone())
            .endpoint_url(&origin)
            .force_path_style(true)
            .region(Region::new(config.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Ok(Self {
            access_key_id,
            secret,
            region: config.region.clone(),
            origin,
            client: Client::from_conf(client),
        })
    }

    /// A URL that stands for the request until its lifetime is over. `query`: decoded, in any order.
    pub fn presign(
        &self,
        now: DateTime<Utc>,
        method: &str,
        bucket: &str,
        key: Option<&str>,
        query: &[(&str, &str)],
        lifetime: chrono::Duration,
    ) -> String {
        let scope = self.scope(now);
        let timestamp = now.format("%Y%m%dT%H%M%SZ").to_string();
        let path = match key {
            Some(key) => format!("/{bucket}/{}", uri_encode(key.as_bytes(), false)),
            None => format!("/{bucket}"),
        };
        let seconds = lifetime
            .num_seconds()
            .clamp(1, super::LINK_MAX.num_seconds());
        let own = [
            ("X-Amz-Algorithm", sigv4::ALGORITHM.to_owned()),
            (
                "X-Amz-Credential",
                format!("{}/{scope}", self.access_key_id),
            ),
            ("X-Amz-Date", timestamp.clone()),
            ("X-Amz-Expires", seconds.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        let mut pairs: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        pairs.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        let hash = CanonicalRequest {
            method,
            path: &path,
            query: &pairs,
            headers: &[("host", host.as_bytes())],
            signed_headers: &["host"],
            payload_hash: "UNSIGNED-PAYLOAD",
        }
        .hash();
        let signature = sigv4::signature(
            &self.signing_key(now),
            &sigv4::string_to_sign(&timestamp, &scope, &hash),
        );
        pairs.push(("X-Amz-Signature".to_owned(), signature));
        let query: Vec<String> = pairs
            .iter()
            .map(|(name, value)| {
                let name = uri_encode(name.as_bytes(), true);
                format!("{name}={}", uri_encode(value.as_bytes(), true))
            })
            .collect();
        format!("{}{path}?{}", self.origin, query.join("&"))
    }

    /// A form that uploads one file beneath the prefix, under the name that it has on the member's disk, and then comes
    /// back to `redirect`.
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>
    pub fn form(
        &self,
        now: DateTime<Utc>,
        bucket: &str,
        prefix: &str,
        redirect: &str,
        lifetime: chrono::Duration,
    ) -> Form {
        let scope = self.scope(now);
        let timestamp = now.format("%Y%m%dT%H%M%SZ").to_string();
        let credential = format!("{}/{scope}", self.access_key_id);
        let policy = json!({
            "expiration": (now + lifetime).format("%Y-%m-%dT%H:%M:%S.000Z").to_string(),
            "conditions": [
                { "bucket": bucket },
                ["starts-with", "$key", prefix],
                { "success_action_redirect": redirect },
                { "x-amz-algorithm": sigv4::ALGORITHM },
                { "x-amz-credential": credential },
                { "x-amz-date": timestamp },
            ],
        });
        let policy = STANDARD.encode(policy.to_string());
        let signature = sigv4::signature(&self.signing_key(now), &policy);
        Form {
            action: format!("{}/{bucket}", self.origin),
            fields: vec![
                ("key", format!("{prefix}${{filename}}")),
                ("success_action_redirect", redirect.to_owned()),
                ("X-Amz-Algorithm", sigv4::ALGORITHM.to_owned()),
                ("X-Amz-Credential", credential),
                ("X-Amz-Date", timestamp),
                ("Policy", policy),
                ("X-Amz-Signature", signature),
            ],
        }
    }

    fn scope(&self, now: DateTime<Utc>) -> CredentialScope<'_> {
        CredentialScope {
            date: now.format("%Y%m%d").to_string().into(),
            region: self.region.as_str().into(),
            service: "s3".into(),
        }
    }

    fn signing_key(&self, now: DateTime<Utc>) -> [u8; 32] {
        let date = now.format("%Y%m%d").to_string();
        sigv4::derive_signing_key(&self.secret, &date, &self.region, "s3")
    }
}
