//! Questions to the world that take a moment: clocks, certificates, what answers at an address.
//! None changes anything, and each gives up within seconds.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use controlplane::diagnosis::own_clock;
use reqwest::Url;
use reqwest::tls::TlsInfo;

const ANSWERS_WITHIN: Duration = Duration::from_secs(4);

/// For what is inside, or this machine's own: it ignores proxies.
pub fn inside() -> reqwest::Result<reqwest::Client> {
    builder().no_proxy().build()
}

/// For the world, by the proxies that the environment names.
pub fn outside() -> reqwest::Result<reqwest::Client> {
    builder().build()
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_info(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWERS_WITHIN)
}

/// By the `Date` of any answer, which is to the second: how far that clock is ahead of this machine's.
pub async fn clock(client: &reqwest::Client, url: &str) -> Option<TimeDelta> {
    let asked = own_clock();
    let answer = client.get(url).send().await.ok()?;
    let took = own_clock() - asked;
    let date = answer.headers().get("date")?.to_str().ok()?;
    let there = DateTime::parse_from_rfc2822(date).ok()?.to_utc();
    let ahead = there - (asked + took / 2);
    // Cut to the second there.
    Some(ahead + TimeDelta::milliseconds(500))
}

/// Until when the certificate at an https address holds; an error where it is not trusted.
pub async fn certificate(client: &reqwest::Client, url: &str) -> Result<DateTime<Utc>, String> {
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|error| chain(&error))?;
    let info = answer.extensions().get::<TlsInfo>();
    let der = info.and_then(TlsInfo::peer_certificate);
    let der = der.ok_or("it is answered without a certificate")?;
    not_after(der).map_err(|error| format!("{error:#}"))
}

/// Of the first certificate in a PEM file.
pub fn certificate_in(file: &Path) -> anyhow::Result<DateTime<Utc>> {
    let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&text)
        .map_err(|_| anyhow::anyhow!("{} holds no certificate", file.display()))?;
    not_after(&pem.contents)
}

fn not_after(der: &[u8]) -> anyhow::Result<DateTime<Utc>> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).context("the certificate cannot be read")?;
    let seconds = certificate.validity().not_after.timestamp();
    DateTime::from_timestamp(seconds, 0).context("the certificate's end is no date")
}

/// Whether what answers there are metrics of ours.
pub async fn shows_metrics(client: &reqwest::Client, url: &str) -> bool {
    let Ok(answer) = client.get(url).send().await else {
        return false;
    };
    let text = answer.text().await.unwrap_or_default();
    text.contains("# TYPE vaultaire_")
}

/// `Ok` where it answers 200, or else what it says.
pub async fn ready(client: &reqwest::Client, url: &str) -> Result<(), String> {
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|_| format!("nothing answers at {url}"))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let said: String = answer.text().await.unwrap_or_default();
    let said: String = said.trim().chars().take(200).collect();
    Err(format!("{url} answers {}: {said}", status.as_u16()))
}

/// Asks for one price, which any key may or may not list; only one that Stripe does not know gets a 401.
pub async fn stripe(client: &reqwest::Client, base: &str, key: &str) -> Result<(), String> {
    let url = format!("{base}/v1/prices?limit=1");
    let answer = client.get(url).bearer_auth(key).send().await;
    let answer = answer.map_err(|error| format!("{base}: {}", chain(&error)))?;
    match answer.status().as_u16() {
        401 => Err(format!("{base} does not know the key")),
        status @ 500.. => Err(format!("{base} answers {status}")),
        _ => Ok(()),
    }
}

/// Whether anything takes connections where the URL of a server for mail leads.
pub async fn mail_server(url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|_| "VAULTAIRE_SMTP_URL is no URL".to_owned())?;
    let host = parsed
        .host_str()
        .ok_or("VAULTAIRE_SMTP_URL names no host")?;
    let usual = match parsed.scheme() {
        "smtps" => 465,
        _ => 587,
    };
    let port = parsed.port().unwrap_or(usual);
    let opened = tokio::net::TcpStream::connect((host, port));
    match tokio::time::timeout(ANSWERS_WITHIN, opened).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{host}:{port}: {error}")),
        Err(_) => Err(format!("{host}:{port} does not answer")),
    }
}

/// Whether people elsewhere may reach what the URL names.
pub fn is_public(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        None => false,
        Some(host) => match host.parse::<IpAddr>() {
            Ok(ip) => !ip.is_loopback(),
            Err(_) => host != "localhost" && !host.ends_with(".localhost"),
        },
    }
}

/// The innermost cause says most.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        last = inner.to_string();
        source = inner.source();
    }
    last
}
