//! Vaultaire's own processes under `up`: one control plane and the data planes, each with what it may know.
//! A data plane is told no database, no engine credentials and no token but the one with which it joins.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::child::Program;
use super::data_dir::{DataDir, MASTER_KEY};
use super::ports::Wanted;
use super::postgres;
use super::progress::{say, step};
use super::run_as::RunAs;
use super::tree::Tree;
use crate::cli::UpArguments;
use crate::private_file;
use crate::settings::{Engine, Environment, SETTINGS, health_of, reachable};

/// A client for this machine only: no proxy, short waits.
pub fn http() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()?)
}

/// Where everything listens, with the ports for health.
pub struct Addresses {
    pub http: SocketAddr,
    pub http_health: SocketAddr,
    /// Address and health of each data plane.
    pub s3: Vec<(SocketAddr, SocketAddr)>,
}

impl Addresses {
    pub fn of(arguments: &UpArguments) -> anyhow::Result<Self> {
        let mut s3 = Vec::new();
        for number in 0..arguments.dataplanes {
            let port = arguments
                .s3
                .port()
                .checked_add(number * 10)
                .context("--s3 leaves no ports for further data planes.")?;
            let address = SocketAddr::new(arguments.s3.ip(), port);
            s3.push((address, health_of(address)?));
        }
        Ok(Self {
            http: arguments.http,
            http_health: health_of(arguments.http)?,
            s3,
        })
    }

    pub fn all(&self) -> Vec<Wanted> {
        let mut all = vec![
            Wanted {
                address: self.http,
                what: "the dashboard".to_owned(),
                argument: "--http",
            },
            Wanted {
                address: self.http_health,
                what: "the control plane's health".to_owned(),
                argument: "--http",
            },
        ];
        for (index, (address, health)) in self.s3.iter().enumerate() {
            let number = index + 1;
            all.push(Wanted {
                address: *address,
                what: format!("S3 (data plane {number})"),
                argument: "--s3",
            });
            all.push(Wanted {
                address: *health,
                what: format!("data plane {number}'s health"),
                argument: "--s3",
            });
        }
        all
    }
}

/// Files of secrets, made at the first start.
pub struct Secrets {
    pub master_key: PathBuf,
    pub admin_token: PathBuf,
}

impl Secrets {
    pub fn ensure(dir: &DataDir) -> anyhow::Result<Self> {
        let master_key = dir.join(MASTER_KEY);
        ensure!(
            master_key.exists() || !dir.was_used(),
            "The master key {} is missing, without which the secrets in the database cannot be read: put it back from a backup.",
            master_key.display()
        );
        private_file::read_or_make(&master_key, private_file::random_token)?;
        let admin_token = dir.join("controlplane/admin.token");
        private_file::read_or_make(&admin_token, private_file::random_token)?;
        Ok(Self {
            master_key,
            admin_token,
        })
    }
}

pub fn database_password(dir: &DataDir) -> anyhow::Result<String> {
    let path = dir.join("controlplane/database.password");
    ensure!(
        path.exists() || !dir.join("postgres").exists(),
        "The database's password {} is missing: put it back from a backup.",
        path.display()
    );
    private_file::read_or_make(&path, postgres::new_password)
}

/// What an operator's command reads to find the control plane: `control.json` in the data directory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Control {
    pub url: String,
    pub admin_token_file: PathBuf,
}

pub struct Planes<'a> {
    pub dir: &'a DataDir,
    pub addresses: &'a Addresses,
    pub environment: &'a Environment,
    pub secrets: &'a Secrets,
}

/// Every process that serves says itself what becomes of its requests.
fn is_of_traces(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("OTEL_"))
}

#[derive(Deserialize)]
struct JoinToken {
    join_token: String,
}

impl Planes<'_> {
    pub async fn start_controlplane(
        &self,
        tree: &mut Tree,
        database_url: &str,
        engine: &Engine,
    ) -> anyhow::Result<()> {
        let Addresses {
            http,
            http_health,
            s3,
        } = self.addresses;
        let mut own: Vec<(&str, OsString)> = vec![
            ("DATABASE_URL", database_url.into()),
            (
                "VAULTAIRE_MASTER_KEY_FILE",
                self.secrets.master_key.clone().into(),
            ),
            (
                "VAULTAIRE_ADMIN_TOKEN_FILE",
                self.secrets.admin_token.clone().into(),
            ),
        ];
        own.push(("VAULTAIRE_MAIL_DIR", self.dir.mail(self.environment).into()));
        for name in [
            "VAULTAIRE_PUBLIC_URL",
            "VAULTAIRE_REGION",
            "VAULTAIRE_LOG",
            "VAULTAIRE_SMTP_URL",
            "VAULTAIRE_SMTP_URL_FILE",
            "VAULTAIRE_MAIL_FROM",
            "VAULTAIRE_TRUSTED_PROXIES",
            "STRIPE_SECRET_KEY",
            "STRIPE_SECRET_KEY_FILE",
            "STRIPE_WEBHOOK_SECRET",
            "STRIPE_WEBHOOK_SECRET_FILE",
            "STRIPE_API_BASE",
            "VAULTAIRE_WEBHOOKS_TO_PRIVATE",
        ] {
            own.extend(self.environment.get(name).map(|value| (name, value.into())));
        }
        let endpoint = self
            .environment
            .get("VAULTAIRE_S3_ENDPOINT")
            .map_or_else(|| reachable(s3[0].0), str::to_owned);
        own.push(("VAULTAIRE_S3_ENDPOINT", endpoint.into()));
        own.extend(
            engine
                .to_environment()
                .into_iter()
                .map(|(name, value)| (name, value.into())),
        );
        let arguments = vec![
            "controlplane".into(),
            "--http".into(),
            http.to_string().into(),
        ];
        // What is not Vaultaire's (certificates, …) is handed on.
        let handed_on = std::env::vars_os().filter(|(name, _)| {
            is_of_traces(name)
                || !SETTINGS
                    .iter()
                    .any(|(ours, _)| name == ours && *ours != "PATH")
        });
        let program = self.plane("controlplane", arguments, handed_on, own)?;

        let child = tree.start(program)?;
        let health = *http_health;
        let client = self::http()?;
        let ready = child.ready(0, Duration::from_secs(120), async |_| {
            answers(&client, health).await
        });
        step(&format!("Control plane on {}", reachable(*http)), ready).await?;
        let control = Control {
            url: reachable(*http),
            admin_token_file: self.secrets.admin_token.clone(),
        };
        private_file::write(
            &self.dir.join("control.json"),
            serde_json::to_string_pretty(&control)?.as_bytes(),
        )
    }

    /// Numbers count from 1.
    pub async fn start_dataplane(&self, tree: &mut Tree, number: usize) -> anyhow::Result<()> {
        let (address, health) = self.addresses.s3[number - 1];
        let node = self.dir.make(&format!("nodes/{number}"))?;
        let mut own: Vec<(&str, OsString)> = vec![
            (
                "VAULTAIRE_CONTROL_URL",
                reachable(self.addresses.http).into(),
            ),
            ("VAULTAIRE_S3_ADDRESS", address.to_string().into()),
        ];
        for name in [
            "VAULTAIRE_LOG",
            "VAULTAIRE_S3_DOMAINS",
            "VAULTAIRE_METRICS_TENANTS",
        ] {
            own.extend(self.environment.get(name).map(|value| (name, value.into())));
        }
        if !crate::dataplane::has_identity(&node) {
            own.push(("VAULTAIRE_JOIN_TOKEN", self.join_token().await?.into()));
        }
        let arguments = vec![
            "dataplane".into(),
            "--s3".into(),
            address.to_string().into(),
            "--data-dir".into(),
            node.into_os_string(),
        ];
        let harmless = [
            "PATH",
            "TZ",
            "LANG",
            "RUST_BACKTRACE",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ];
        let handed_on = std::env::vars_os().filter(|(name, _)| {
            is_of_traces(name) || harmless.iter().any(|harmless| name == harmless)
        });
        let program = self.plane(&format!("dataplane-{number}"), arguments, handed_on, own)?;

        let child = tree.start(program)?;
        let client = http()?;
        let ready = child.ready(0, Duration::from_secs(60), async |_| {
            answers(&client, health).await
        });
        step(
            &format!("Data plane {number} on {}", reachable(address)),
            ready,
        )
        .await
    }

    /// Waits until it is known what the engine can do and every data plane has heard of it. An engine that cannot be
    /// probed is no reason not to start: what it is not known to do is refused until it is.
    pub async fn await_probe(&self) -> anyhow::Result<()> {
        const WITHIN: Duration = Duration::from_secs(30);
        let client = http()?;
        let probing = async {
            let done = async {
                while !self.is_probed(&client).await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            Ok(tokio::time::timeout(WITHIN, done).await?)
        };
        if step("What the engine can do", probing).await.is_err() {
            say("  The engine could not be probed yet; the control plane's log says why.");
        }
        Ok(())
    }

    async fn is_probed(&self, client: &reqwest::Client) -> bool {
        let text = text(client, self.addresses.http_health, "metrics").await;
        let probed = metric(&text, "vaultaire_engines_probed");
        if probed.is_none() || probed != metric(&text, "vaultaire_engines") {
            return false;
        }
        let newest = metric(&text, "vaultaire_revision");
        for (_, health) in &self.addresses.s3 {
            if metric(
                &self::text(client, *health, "metrics").await,
                "vaultaire_revision",
            ) < newest
            {
                return false;
            }
        }
        true
    }

    fn plane(
        &self,
        name: &str,
        arguments: Vec<OsString>,
        handed_on: impl Iterator<Item = (OsString, OsString)>,
        own: Vec<(&str, OsString)>,
    ) -> anyhow::Result<Program> {
        Ok(Program {
            name: name.to_owned(),
            program: std::env::current_exe().context("This program's own file cannot be found")?,
            arguments,
            environment: handed_on
                .chain(own.into_iter().map(|(name, value)| (name.into(), value)))
                .collect(),
            folder: self.dir.path().to_owned(),
            log: self.dir.log(name),
            run_as: RunAs::Same,
            stop: Signal::SIGTERM,
            patience: Duration::from_secs(20),
            may_be_killed: false,
            orphaned: Signal::SIGKILL,
            pause: Duration::from_millis(200),
        })
    }

    /// A one-time token from the control plane's admin API.
    async fn join_token(&self) -> anyhow::Result<String> {
        let url = format!(
            "{}/api/v1/admin/join-tokens",
            reachable(self.addresses.http)
        );
        let token = private_file::read(&self.secrets.admin_token)?;
        let asked = http()?
            .post(url)
            .bearer_auth(token)
            .send()
            .await?
            .error_for_status();
        let answer: JoinToken = asked
            .context("The control plane gives no join token")?
            .json()
            .await?;
        Ok(answer.join_token)
    }
}

async fn answers(client: &reqwest::Client, health: SocketAddr) -> bool {
    client
        .get(format!("http://{health}/readyz"))
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}

/// What a plane says on its health port; nothing when it does not answer.
async fn text(client: &reqwest::Client, health: SocketAddr, page: &str) -> String {
    match client.get(format!("http://{health}/{page}")).send().await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

/// The value of a metric without labels.
fn metric(text: &str, name: &str) -> Option<i64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .and_then(|value| value.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_master_key_is_never_replaced_under_a_used_database() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::create(root.path()).unwrap();
        dir.lay_out().unwrap();
        let secrets = Secrets::ensure(&dir).unwrap();
        let first = private_file::read(&secrets.master_key).unwrap();
        dir.make("postgres").unwrap();
        Secrets::ensure(&dir).unwrap();
        assert_eq!(
            private_file::read(&secrets.master_key).unwrap(),
            first,
            "kept at the next start"
        );
        std::fs::remove_file(&secrets.master_key).unwrap();
        let refused = Secrets::ensure(&dir).err().unwrap().to_string();
        assert!(refused.contains("is missing"), "{refused}");
        assert!(!secrets.master_key.exists());
        assert!(
            database_password(&dir)
                .unwrap_err()
                .to_string()
                .contains("is missing")
        );
    }
}
