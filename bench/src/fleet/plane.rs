//! A control plane and nodes, each a process of its own, and what they are asked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::process::Command;

use super::KEYS;
use crate::stack::{self, Running};
use crate::target::{Credentials, Target};

const ADMIN_TOKEN: &str = "the-benchmarks-admin-token";

/// A tenant as the program told of it when it was made.
pub struct Tenant {
    pub id: String,
    pub credentials: Credentials,
}

pub struct Node {
    pub running: Running,
    pub s3: SocketAddr,
    health: SocketAddr,
}

/// One control plane and what it needs to be asked.
pub struct Plane {
    program: PathBuf,
    environment: Vec<(String, String)>,
    pub running: Running,
    http: SocketAddr,
    health: SocketAddr,
}

impl Plane {
    pub async fn start(
        program: &Path,
        folder: &Path,
        database: &str,
        engine: &Target,
    ) -> anyhow::Result<Self> {
        let http = stack::free_address()?;
        let environment = [
            ("DATABASE_URL", database.to_owned()),
            ("VAULTAIRE_MASTER_KEY", "07".repeat(32)),
            ("VAULTAIRE_ADMIN_TOKEN", ADMIN_TOKEN.to_owned()),
            (
                "VAULTAIRE_ENGINE_ENDPOINT",
                format!("http://{}", engine.address),
            ),
            (
                "VAULTAIRE_ENGINE_ACCESS_KEY_ID",
                engine.credentials.access_key_id.clone(),
            ),
            (
                "VAULTAIRE_ENGINE_SECRET_ACCESS_KEY",
                engine.credentials.secret_access_key.clone(),
            ),
            ("VAULTAIRE_LOG", "warn".to_owned()),
        ];
        let environment: Vec<_> = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let mut command = stack::bound(program);
        command.args(["controlplane", "--http", &http.to_string()]);
        command.envs(environment.clone()).stdout(Stdio::null());
        let running = Running::start(command, &folder.join("controlplane.log"))?;
        stack::answers(http).await?;
        Ok(Self {
            program: program.to_owned(),
            environment,
            running,
            http,
            health: SocketAddr::new(http.ip(), http.port() + 1),
        })
    }

    pub async fn make_tenants(&self, count: usize) -> anyhow::Result<Vec<Tenant>> {
        let mut command = Command::new(&self.program);
        command.args(["make-tenants", &count.to_string(), &KEYS.to_string()]);
        command.envs(self.environment.clone());
        let output = command.output().await?;
        ensure!(
            output.status.success(),
            "make-tenants: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let tenants = text.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [id, access_key_id, secret_access_key] = words[..] else {
                bail!("make-tenants says `{line}`");
            };
            Ok(Tenant {
                id: id.to_owned(),
                credentials: Credentials {
                    access_key_id: access_key_id.to_owned(),
                    secret_access_key: secret_access_key.to_owned(),
                },
            })
        });
        tenants.collect()
    }

    pub async fn admin(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/admin{path}"))
            .header("host", self.http.to_string())
            .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
            .header("content-type", "application/json")
            .body(Full::from("{}"))?;
        let (status, body) = answer(&mut connect(self.http).await?, request).await?;
        ensure!(
            status.is_success(),
            "{path}: {status}: {}",
            String::from_utf8_lossy(&body)
        );
        if body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Those that ended keep their part of all limits for days, and there would be none for the next.
    pub async fn forget_nodes(&self) -> anyhow::Result<()> {
        let listed = self.admin(Method::GET, "/nodes").await?;
        for node in listed["nodes"].as_array().context("no list of nodes")? {
            let path = format!("/nodes/{}", node["node_id"].as_str().context("no id")?);
            let begun = Instant::now();
            // Until the control plane has seen that its stream is gone.
            while let Err(refused) = self.admin(Method::DELETE, &path).await {
                if begun.elapsed() > Duration::from_secs(30) {
                    return Err(refused);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    pub async fn node(&self, folder: &Path) -> anyhow::Result<Node> {
        let token = self.admin(Method::POST, "/join-tokens").await?;
        let token = token["join_token"].as_str().context("no join token")?;
        let s3 = stack::free_address()?;
        let mut command = stack::bound(&self.program);
        command.args(["dataplane", "--s3", &s3.to_string(), "--data-dir"]);
        command.arg(folder);
        command
            .env("VAULTAIRE_CONTROL_URL", format!("http://{}", self.http))
            .env("VAULTAIRE_JOIN_TOKEN", token)
            .env("VAULTAIRE_LOG", "warn")
            .stdout(Stdio::null());
        let log = folder.with_extension("log");
        Ok(Node {
            running: Running::start(command, &log)?,
            s3,
            health: SocketAddr::new(s3.ip(), s3.port() + 1),
        })
    }

    pub async fn sent_bytes(&self) -> anyhow::Result<u64> {
        let (_, body) = get(self.health, "/metrics").await?;
        let text = String::from_utf8_lossy(&body);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("vaultaire_push_sent_bytes_total "));
        Ok(line
            .context("no vaultaire_push_sent_bytes_total")?
            .parse()?)
    }
}

pub type Connection = SendRequest<Full<Bytes>>;

pub async fn connect(address: SocketAddr) -> anyhow::Result<Connection> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

pub async fn answer(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let request = Request::get(path)
        .header("host", address.to_string())
        .body(Full::default())?;
    answer(&mut connect(address).await?, request).await
}

pub async fn ready(node: &Node) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        if let Ok((StatusCode::OK, _)) = get(node.health, "/readyz").await {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(900),
            "a node does not get ready"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
