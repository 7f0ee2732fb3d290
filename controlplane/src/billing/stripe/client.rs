//! Requests to Stripe's API: forms out, JSON in (decision 0020 says why no crate does this). The secret key goes into one
//! header and nowhere else; what Stripe says of a failure is kept for the operator, never shown to customers.

use std::time::Duration;

use anyhow::Context;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::StripeConfig;
use super::objects::List;
use crate::Error;

/// The shapes in `objects` are those of this version.
/// Source: <https://docs.stripe.com/api/versioning>
const VERSION: &str = "2026-10-28.endive";
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(10);
/// Objects of one page; Stripe gives no more.
const PAGE: &str = "100";
/// Pages that are read; more is no customer's.
const MOST_PAGES: usize = 20;

pub(crate) struct Stripe {
    http: reqwest::Client,
    config: StripeConfig,
    /// Who holds a transaction open while Stripe is asked has one of these, so that a flood of events leaves connections to
    /// others.
    pub(super) at_once: Semaphore,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Stripe answered, and refused.
    #[error("Stripe refused ({status}, {code}): {message}")]
    Refused {
        status: u16,
        code: String,
        message: String,
    },
    /// Whether it was done is not known.
    #[error("Stripe did not answer: {0:#}")]
    Silent(anyhow::Error),
}

impl Failure {
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        tracing::warn!(%failure, "a request to Stripe failed");
        Self::Unavailable("Stripe cannot be asked at the moment.")
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalBody,
}

#[derive(Deserialize)]
struct RefusalBody {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Stripe {
    pub(crate) fn new(config: StripeConfig) -> anyhow::Result<Self> {
        // Fails only where one was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("a client for Stripe")?;
        Ok(Self {
            http,
            config,
            at_once: Semaphore::new(AT_ONCE),
        })
    }

    /// Whether money moves.
    pub(crate) fn live(&self) -> bool {
        let key = &self.config.secret_key;
        key.starts_with("sk_live_") || key.starts_with("rk_live_")
    }

    pub(super) fn webhook_secret(&self) -> &str {
        &self.config.webhook_secret
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let path = match query {
            [] => path.to_owned(),
            query => format!("{path}?{}", form(query)),
        };
        self.send(self.request(Method::GET, &path)).await
    }

    /// A whole list, in Stripe's order.
    pub(super) async fn list<T: DeserializeOwned + Named>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, Failure> {
        let mut all: Vec<T> = Vec::new();
        for _ in 0..MOST_PAGES {
            let after = all.last().map(|last| last.id().to_owned());
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            query.extend(after.as_deref().map(|after| ("starting_after", after)));
            let page: List<T> = self.get(path, &query).await?;
            let more = page.has_more && !page.data.is_empty();
            all.extend(page.data);
            if !more {
                return Ok(all);
            }
        }
        Err(Failure::Silent(anyhow::anyhow!("{path} does not end")))
    }

    /// The same `key` does it once. Source: <https://docs.stripe.com/api/idempotent_requests>
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let mut request = self
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(fields));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(self.request(Method::DELETE, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.config.api_base);
        let request = self.http.request(method, url);
        request
            .bearer_auth(&self.config.secret_key)
            .header("stripe-version", VERSION)
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let silent = |error: reqwest::Error| Failure::Silent(error.without_url().into());
        let answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(silent)?;
        if status.is_server_error() {
            return Err(Failure::Silent(anyhow::anyhow!("status {status}")));
        }
        if !status.is_success() {
            let refusal = serde_json::from_slice::<Refusal>(&body).ok();
            let (code, message) = refusal.map_or_else(Default::default, |refusal| {
                (refusal.error.code, refusal.error.message)
            });
            return Err(Failure::Refused {
                status: status.as_u16(),
                code,
                message,
            });
        }
        let read = serde_json::from_slice(&body).context("Stripe's answer cannot be read");
        read.map_err(Failure::Silent)
    }
}

/// What has an id by which the next page of a list begins.
pub(super) trait Named {
    fn id(&self) -> &str;
}

/// `name=value&…`, everything but letters and digits encoded.
fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_takes_any_value() {
        let fields = [("items[0][price]", "a&b=c"), ("name", "Müller AG")];
        assert_eq!(
            form(&fields),
            "items%5B0%5D%5Bprice%5D=a%26b%3Dc&name=M%C3%BCller%20AG"
        );
    }

    #[test]
    fn the_key_says_whether_money_moves() {
        let live = |key: &str| {
            let config = StripeConfig {
                secret_key: key.to_owned(),
                webhook_secret: "whsec_x".to_owned(),
                api_base: "http://127.0.0.1:1".to_owned(),
            };
            assert!(!format!("{config:?}").contains(key));
            Stripe::new(config).unwrap().live()
        };
        assert!(live("sk_live_abc") && live("rk_live_abc"));
        assert!(!live("sk_test_abc") && !live("sk_abc_live_"));
    }
}
