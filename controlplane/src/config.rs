//! What a control plane is told at its start. Everything else is in the database.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use crate::billing::StripeConfig;
use crate::{MailConfig, MasterKey};

pub struct Config {
    /// `postgres://…`; its user owns the tables, is no superuser, and may create roles.
    pub database_url: String,
    /// Where people reach the dashboard, such as `http://127.0.0.1:8080`; no slash at the end.
    pub public_url: String,
    /// What customers are told as the S3 endpoint, such as `http://127.0.0.1:9000`.
    pub s3_endpoint: String,
    /// The region that customers sign for.
    pub region: String,
    pub master_key: MasterKey,
    /// Where it was read from, to be read again: it may have another key beside it later.
    pub master_key_file: Option<PathBuf>,
    /// Opens `/api/v1/admin`; never empty.
    pub admin_token: String,
    pub engine: EngineConfig,
    /// For how long a node that hears nothing keeps what exceeds its floor of tenants' limits.
    pub share_hold_seconds: u32,
    pub mail: MailConfig,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Without it billing is by hand.
    pub stripe: Option<StripeConfig>,
    /// Customers' webhooks may go to private addresses, and over plain HTTP.
    pub webhooks_to_private: bool,
}

impl Config {
    /// The dashboard's origin as browsers write it: in lower case, without the scheme's own port.
    /// Source: <https://html.spec.whatwg.org/multipage/browsers.html#ascii-serialisation-of-an-origin>
    pub fn dashboard_origin(&self) -> Option<String> {
        origin(&self.public_url)
    }

    /// Every origin at which people may have the dashboard open. On one's own machine that is `localhost` too, for passkeys
    /// work under no address in digits.
    pub fn dashboard_origins(&self) -> Vec<String> {
        let configured = self.dashboard_origin();
        let loopback = configured.as_deref().and_then(|origin| {
            let port = origin.strip_prefix("http://127.0.0.1")?;
            Some(format!("http://localhost{port}"))
        });
        configured.into_iter().chain(loopback).collect()
    }

    /// The S3 endpoint's origin, for pages that talk to it.
    pub fn s3_origin(&self) -> Option<String> {
        origin(&self.s3_endpoint)
    }
}

fn origin(url: &str) -> Option<String> {
    let url: http::Uri = url.parse().ok()?;
    let (scheme, host) = (url.scheme_str()?, url.host()?.to_ascii_lowercase());
    Some(match (scheme, url.port_u16()) {
        ("http", None | Some(80)) | ("https", None | Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
        (_, None) => return None,
    })
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("public_url", &self.public_url)
            .field("s3_endpoint", &self.s3_endpoint)
            .field("region", &self.region)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// The S3 engine underneath, and how tenants' buckets are laid on it.
#[derive(Clone)]
pub struct EngineConfig {
    /// `http://host:port` or `https://host[:port]`; addressed path-style.
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub placement: PlacementKind,
    /// The engine's bucket that pooled buckets share; needed for [`PlacementKind::Pooled`].
    pub pool_bucket: Option<String>,
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("placement", &self.placement)
            .field("pool_bucket", &self.pool_bucket)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementKind {
    /// One engine bucket for each of a tenant's buckets.
    Dedicated,
    /// Many in one engine bucket, each under a prefix of its own; for engines that allow few buckets.
    Pooled,
}

impl PlacementKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dedicated => "dedicated",
            Self::Pooled => "pooled",
        }
    }
}

impl FromStr for PlacementKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dedicated" => Ok(Self::Dedicated),
            "pooled" => Ok(Self::Pooled),
            other => Err(format!(
                "placement is `dedicated` or `pooled`, not `{other}`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for (url, written) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            (
                "https://Storage.Example:443/",
                Some("https://storage.example"),
            ),
            ("http://storage.example:80", Some("http://storage.example")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("storage.example", None),
            ("", None),
        ] {
            assert_eq!(origin(url).as_deref(), written, "{url}");
        }
    }
}
