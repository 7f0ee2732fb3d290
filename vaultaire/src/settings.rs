//! Settings by environment: every name that Vaultaire reads stands in [`SETTINGS`], and in `settings.md`.
//! Nothing else in this crate may ask the environment for a setting.

mod billing;
mod dashboard;
mod environment;
mod names;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use controlplane::billing::StripeConfig;
use controlplane::{EngineConfig, MailConfig, PlacementKind};
use ipnet::IpNet;

pub use billing::stripe;
pub use environment::Environment;
pub use names::SETTINGS;

use crate::cli::{ControlplaneArguments, DataplaneArguments};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    Dedicated,
    Pooled,
}

/// An engine that runs elsewhere, or the embedded one.
#[derive(Clone, PartialEq, Eq)]
pub struct Engine {
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub placement: Placement,
    pub pool_bucket: Option<String>,
}

impl Engine {
    pub fn config(&self) -> EngineConfig {
        EngineConfig {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            placement: match self.placement {
                Placement::Dedicated => PlacementKind::Dedicated,
                Placement::Pooled => PlacementKind::Pooled,
            },
            pool_bucket: self.pool_bucket.clone(),
        }
    }

    /// The names and values that [`engine`] reads back.
    pub fn to_environment(&self) -> Vec<(&'static str, String)> {
        let placement = match self.placement {
            Placement::Dedicated => "dedicated",
            Placement::Pooled => "pooled",
        };
        vec![
            ("VAULTAIRE_ENGINE_ENDPOINT", self.endpoint.clone()),
            ("VAULTAIRE_ENGINE_REGION", self.region.clone()),
            ("VAULTAIRE_ENGINE_ACCESS_KEY_ID", self.access_key_id.clone()),
            (
                "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY",
                self.secret_access_key.clone(),
            ),
            ("VAULTAIRE_ENGINE_PLACEMENT", placement.to_owned()),
            (
                "VAULTAIRE_ENGINE_POOL_BUCKET",
                self.pool_bucket.clone().unwrap_or_default(),
            ),
        ]
    }
}

/// `None` when no endpoint is set: then the embedded engine is meant.
pub fn engine(environment: &Environment) -> anyhow::Result<Option<Engine>> {
    let Some(endpoint) = environment.get("VAULTAIRE_ENGINE_ENDPOINT") else {
        return Ok(None);
    };
    let pool_bucket = environment
        .get("VAULTAIRE_ENGINE_POOL_BUCKET")
        .map(str::to_owned);
    let placement = match environment.get("VAULTAIRE_ENGINE_PLACEMENT") {
        None | Some("dedicated") => Placement::Dedicated,
        Some("pooled") if pool_bucket.is_some() => Placement::Pooled,
        Some("pooled") => bail!(
            "VAULTAIRE_ENGINE_PLACEMENT is pooled, but VAULTAIRE_ENGINE_POOL_BUCKET is not set."
        ),
        Some(other) => {
            bail!("VAULTAIRE_ENGINE_PLACEMENT is {other:?}; it can be dedicated or pooled.")
        }
    };
    Ok(Some(Engine {
        endpoint: url("VAULTAIRE_ENGINE_ENDPOINT", endpoint)?,
        region: environment
            .get("VAULTAIRE_ENGINE_REGION")
            .unwrap_or(DEFAULT_REGION)
            .to_owned(),
        access_key_id: environment
            .require("VAULTAIRE_ENGINE_ACCESS_KEY_ID")?
            .to_owned(),
        secret_access_key: environment.require_secret("VAULTAIRE_ENGINE_SECRET_ACCESS_KEY")?,
        placement,
        pool_bucket,
    }))
}

pub const DEFAULT_REGION: &str = "us-east-1";

pub struct Controlplane {
    pub http: SocketAddr,
    pub health: SocketAddr,
    pub database_url: String,
    pub master_key: String,
    /// Where that was read from, if from a file.
    pub master_key_file: Option<PathBuf>,
    pub admin_token: String,
    pub public_url: String,
    pub s3_endpoint: String,
    pub region: String,
    pub engine: Engine,
    pub share_hold_seconds: u32,
    pub mail: MailConfig,
    pub trusted_proxies: Vec<IpNet>,
    pub stripe: Option<StripeConfig>,
    pub webhooks_to_private: bool,
}

pub fn controlplane(
    arguments: &ControlplaneArguments,
    environment: &Environment,
) -> anyhow::Result<Controlplane> {
    let engine = engine(environment)?
        .context("VAULTAIRE_ENGINE_ENDPOINT is not set: a control plane needs an engine.")?;
    let public = environment
        .get("VAULTAIRE_PUBLIC_URL")
        .map_or_else(|| reachable(arguments.http), str::to_owned);
    let s3 = environment
        .get("VAULTAIRE_S3_ENDPOINT")
        .unwrap_or("http://127.0.0.1:9000");
    Ok(Controlplane {
        http: arguments.http,
        health: health(environment, arguments.http)?,
        database_url: environment.require_secret("DATABASE_URL")?,
        master_key: environment.require_secret("VAULTAIRE_MASTER_KEY")?,
        master_key_file: environment
            .get("VAULTAIRE_MASTER_KEY_FILE")
            .map(PathBuf::from),
        admin_token: environment.require_secret("VAULTAIRE_ADMIN_TOKEN")?,
        public_url: url("VAULTAIRE_PUBLIC_URL", &public)?,
        s3_endpoint: url("VAULTAIRE_S3_ENDPOINT", s3)?,
        region: environment
            .get("VAULTAIRE_REGION")
            .unwrap_or(DEFAULT_REGION)
            .to_owned(),
        engine,
        share_hold_seconds: seconds(environment, "VAULTAIRE_SHARE_HOLD_SECONDS", 600)?.max(10),
        mail: dashboard::mail(environment)?,
        trusted_proxies: dashboard::trusted_proxies(environment)?,
        stripe: billing::stripe(environment)?,
        webhooks_to_private: billing::webhooks_to_private(environment)?,
    })
}

pub struct Dataplane {
    pub listen: SocketAddr,
    pub health: SocketAddr,
    pub control_url: String,
    pub join_token: Option<String>,
    pub data_dir: PathBuf,
    pub s3_address: String,
    pub domains: Vec<String>,
    pub tls: Option<dataplane::Tls>,
    pub drain_delay: Duration,
    pub metrics_tenants: usize,
}

pub fn dataplane(
    arguments: &DataplaneArguments,
    environment: &Environment,
) -> anyhow::Result<Dataplane> {
    let own_address = || arguments.s3.to_string();
    Ok(Dataplane {
        listen: arguments.s3,
        health: health(environment, arguments.s3)?,
        control_url: environment
            .require("VAULTAIRE_CONTROL_URL")?
            .split(',')
            .map(|one| url("VAULTAIRE_CONTROL_URL", one))
            .collect::<anyhow::Result<Vec<_>>>()?
            .join(","),
        join_token: environment.secret("VAULTAIRE_JOIN_TOKEN")?,
        data_dir: arguments.data_dir.clone(),
        s3_address: environment
            .get("VAULTAIRE_S3_ADDRESS")
            .map_or_else(own_address, str::to_owned),
        domains: environment
            .get("VAULTAIRE_S3_DOMAINS")
            .unwrap_or("localhost")
            .split(',')
            .map(|domain| domain.trim().to_owned())
            .filter(|domain| !domain.is_empty())
            .collect(),
        tls: tls(environment)?,
        drain_delay: Duration::from_secs(
            seconds(environment, "VAULTAIRE_DRAIN_DELAY_SECONDS", 0)?.into(),
        ),
        metrics_tenants: metrics_tenants(environment)?,
    })
}

fn seconds(environment: &Environment, name: &str, default: u32) -> anyhow::Result<u32> {
    let text = environment.get(name);
    let seconds = text.map_or(Ok(default), str::parse);
    seconds.map_err(|_| {
        anyhow!(
            "{name} is a number of seconds, not `{}`.",
            text.unwrap_or("")
        )
    })
}

fn metrics_tenants(environment: &Environment) -> anyhow::Result<usize> {
    let text = environment.get("VAULTAIRE_METRICS_TENANTS").unwrap_or("20");
    let count = text.parse().ok().filter(|count| *count <= 1000);
    count.with_context(|| {
        format!("VAULTAIRE_METRICS_TENANTS is {text:?}; it is a number from 0 to 1000.")
    })
}

fn tls(environment: &Environment) -> anyhow::Result<Option<dataplane::Tls>> {
    let (certificate, key) = ("VAULTAIRE_TLS_CERT_FILE", "VAULTAIRE_TLS_KEY_FILE");
    match (environment.get(certificate), environment.get(key)) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(dataplane::Tls {
            certificate: certificate.into(),
            key: key.into(),
        })),
        _ => bail!("{certificate} and {key} are set together or not at all."),
    }
}

/// What `up` hands on to its control plane as it is, read as that will read it.
pub fn handed_on(environment: &Environment) -> anyhow::Result<()> {
    engine(environment)?;
    environment.secret("DATABASE_URL")?;
    dashboard::mail(environment)?;
    dashboard::trusted_proxies(environment)?;
    billing::stripe(environment)?;
    billing::webhooks_to_private(environment)?;
    Ok(())
}

fn health(environment: &Environment, plane: SocketAddr) -> anyhow::Result<SocketAddr> {
    let health = match health_address(environment)? {
        Some(health) => health,
        None => health_of(plane)?,
    };
    ensure!(
        health.port() != plane.port(),
        "VAULTAIRE_HEALTH_ADDRESS has the port of the plane itself, {plane}: health and metrics are never public."
    );
    Ok(health)
}

/// Where health and metrics were set to be.
pub fn health_address(environment: &Environment) -> anyhow::Result<Option<SocketAddr>> {
    const NAME: &str = "VAULTAIRE_HEALTH_ADDRESS";
    let text = environment.get(NAME);
    let address = text.map(|text| text.parse().map_err(|_| text)).transpose();
    address.map_err(|text| {
        anyhow!("{NAME} is {text:?}; it is an address and a port, such as 0.0.0.0:9001.")
    })
}

/// Health and metrics of a plane: its port + 1, on the same address if that is loopback, else on loopback, so that
/// they are never public.
pub fn health_of(plane: SocketAddr) -> anyhow::Result<SocketAddr> {
    let port = match plane.port() {
        0 => bail!("{plane} has no port: give one, for health and metrics are on the next."),
        port => port
            .checked_add(1)
            .with_context(|| format!("{plane} leaves no next port for health and metrics."))?,
    };
    let ip = match plane.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    Ok(SocketAddr::new(ip, port))
}

/// The URL under which this machine reaches what listens at `address`.
pub fn reachable(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

fn url(name: &str, value: &str) -> anyhow::Result<String> {
    let value = value.trim().trim_end_matches('/');
    let rest = value
        .strip_prefix("http://")
        .or_else(|| value.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(value.to_owned()),
        _ => bail!("{name} is {value:?}; it must begin with http:// or https:// and name a host."),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;

#[cfg(test)]
pub use environment::test_environment;
