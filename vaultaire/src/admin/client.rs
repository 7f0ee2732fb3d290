//! The connection to a control plane's admin API, and its refusals as one sentence.
//! The token goes into a header and nowhere else.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

use crate::cli::{DEFAULT_DATA_DIR, Target};
use crate::private_file;
use crate::settings::Environment;
use crate::up::Control;

pub struct Client {
    url: Url,
    token: String,
    http: reqwest::Client,
}

impl Client {
    /// `--data-dir`, else `VAULTAIRE_URL`, else the default data directory.
    pub fn new(target: &Target, environment: &Environment) -> anyhow::Result<Self> {
        Self::patient(target, environment, Duration::from_secs(60))
    }

    /// As [`new`](Self::new), for what may take so long.
    pub fn patient(
        target: &Target,
        environment: &Environment,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let (url, token) = match (&target.data_dir, environment.get("VAULTAIRE_URL")) {
            (Some(dir), _) => from_data_dir(dir)?,
            (None, Some(url)) => (
                url.to_owned(),
                environment.require_secret("VAULTAIRE_ADMIN_TOKEN")?,
            ),
            (None, None) => from_data_dir(Path::new(DEFAULT_DATA_DIR))?,
        };
        let url = Url::parse(&url)
            .map_err(|error| anyhow!("{url} is no address of a control plane ({error})."))?;
        let http = reqwest::Client::builder().timeout(patience);
        let http = if url.host_str().is_some_and(is_loopback) {
            http.no_proxy()
        } else {
            http
        };
        Ok(Self {
            url,
            token,
            http: http.build()?,
        })
    }

    pub async fn get(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path)?).await
    }

    /// With these in the query.
    pub async fn get_with(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        let request = self.http.request(Method::GET, url).bearer_auth(&self.token);
        self.send(request).await
    }

    pub async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path)?.json(body))
            .await
    }

    pub async fn patch(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::PATCH, path)?.json(body))
            .await
    }

    pub async fn delete(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.send(self.request(Method::DELETE, path)?).await
    }

    fn request(&self, method: Method, path: &[&str]) -> anyhow::Result<RequestBuilder> {
        let url = self.url(path)?;
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    /// `path` in segments, each of which is encoded: a `/` typed by someone leads nowhere else.
    fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        if let Some(odd) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            bail!("{odd:?} is no id.");
        }
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("{} is no address of a control plane.", self.url))?
            .pop_if_empty()
            .extend(["api", "v1", "admin"])
            .extend(path);
        Ok(url)
    }

    /// What is no JSON.
    pub async fn get_bytes(&self, path: &[&str]) -> anyhow::Result<Vec<u8>> {
        self.receive(self.request(Method::GET, path)?).await
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let body = self.receive(request).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        let shown = self.url.as_str().trim_end_matches('/');
        serde_json::from_slice(&body)
            .with_context(|| format!("What answers at {shown} is no control plane"))
    }

    /// The body of an answer that is no refusal.
    async fn receive(&self, request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let shown = self.url.as_str().trim_end_matches('/');
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                bail!("No control plane answers at {shown}; start one with `vaultaire up`.")
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("The control plane at {shown} did not answer"));
            }
        };
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .with_context(|| format!("The answer of {shown} broke off"))?;
        if !status.is_success() {
            bail!("{}", refusal(status.as_u16(), &body));
        }
        Ok(body.to_vec())
    }
}

/// The sentence of a problem document (RFC 9457), or the status alone.
fn refusal(status: u16, body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["detail", "title"]
        .iter()
        .filter_map(|name| problem[name].as_str())
        .find(|text| !text.is_empty());
    match said {
        Some(sentence) => sentence.to_owned(),
        None => format!("The control plane refused with status {status}."),
    }
}

fn from_data_dir(dir: &Path) -> anyhow::Result<(String, String)> {
    let file = dir.join("control.json");
    if !file.exists() {
        bail!(
            "{} does not exist; start a control plane with `vaultaire up`, or set VAULTAIRE_URL and VAULTAIRE_ADMIN_TOKEN.",
            file.display()
        );
    }
    let control: Control =
        serde_json::from_str(&private_file::read(&file)?).with_context(|| {
            format!(
                "{} is damaged; the next `vaultaire up` writes it anew",
                file.display()
            )
        })?;
    Ok((control.url, private_file::read(&control.admin_token_file)?))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let url = Url::parse("https://example.com/base/").unwrap();
        Client {
            url,
            token: "t".to_owned(),
            http: {
                crate::install_tls();
                reqwest::Client::new()
            },
        }
    }

    #[test]
    fn what_was_typed_stays_one_segment_of_the_path() {
        let built = |path: &[&str]| {
            client()
                .request(Method::GET, path)
                .unwrap()
                .build()
                .unwrap()
                .url()
                .to_string()
        };
        assert_eq!(
            built(&["tenants", "t1", "access-keys"]),
            "https://example.com/base/api/v1/admin/tenants/t1/access-keys"
        );
        assert_eq!(
            built(&["tenants", "../plans?x"]),
            "https://example.com/base/api/v1/admin/tenants/..%2Fplans%3Fx"
        );
        assert!(
            client()
                .request(Method::DELETE, &["access-keys", ""])
                .is_err()
        );
        assert!(
            client()
                .request(Method::DELETE, &["access-keys", ".."])
                .is_err()
        );
    }

    #[test]
    fn a_refusal_is_the_control_planes_own_sentence() {
        let problem = br#"{"type":"about:blank","title":"Not Found","status":404,"code":"no_tenant","detail":"There is no such tenant."}"#;
        assert_eq!(refusal(404, problem), "There is no such tenant.");
        assert_eq!(
            refusal(404, br#"{"title":"Not Found","detail":""}"#),
            "Not Found"
        );
        assert_eq!(
            refusal(502, b"<html>"),
            "The control plane refused with status 502."
        );
    }
}
