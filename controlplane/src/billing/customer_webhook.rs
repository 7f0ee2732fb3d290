//! Signed webhooks to addresses that customers choose. They reach nothing but the public internet, unless the operator
//! said so: not by a name, not by a number, not by a redirect. Only the status of the answer is looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::stripe::{pause, sign};
use crate::db::spending as rows;
use crate::secrets::Purpose;
use crate::{ControlPlane, Error};

const PATIENCE: Duration = Duration::from_secs(5);
const TRIED_FOR: chrono::Duration = chrono::Duration::days(1);
/// That a webhook was given up can be looked up, and tried again, for so long.
const GIVEN_UP_KEPT: chrono::Duration = chrono::Duration::days(7);
const LONGEST_URL: usize = 2000;

/// A sentence for the form, if it cannot be one.
pub(super) fn check_url(text: &str, private: bool) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST_URL);
    let url = url.ok_or("Give an address such as https://example.com/hook.")?;
    if url.scheme() != "https" && !(private && url.scheme() == "http") {
        return Err("It must begin with https://.".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("It must not hold a name or password.".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_matches(['[', ']']);
    if !private && bare.parse().is_ok_and(|address| !is_public(address)) {
        return Err("That address is not on the public internet.".to_owned());
    }
    Ok(url)
}

/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry/>, and the registry for version 6.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224..=255, _, _)
    );
    !special
}

/// Global unicast, without what stands for an address of version 4 in some way.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global = (0x2000..=0x3fff).contains(&a);
    let special = a == 0x2002 || (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x3fff;
    global && !special
}

/// Names that lead to a private address lead nowhere.
struct Public;

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err("the name leads to no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

fn client(private: bool) -> anyhow::Result<reqwest::Client> {
    // Fails only where one was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let builder = match private {
        true => builder,
        false => builder.dns_resolver(Arc::new(Public)),
    };
    builder.build().context("a client for webhooks")
}

/// Sends what is due, one after the other.
pub(super) async fn deliver(cp: &ControlPlane) -> Result<(), Error> {
    let private = cp.config().webhooks_to_private;
    let client = client(private)?;
    loop {
        let now = cp.clock().now();
        let mut tx = cp.begin_system().await?;
        let Some(due) = rows::due(&mut tx, now).await? else {
            return Ok(());
        };
        match send(cp, &client, &due, private).await {
            Ok(()) => rows::delivered(&mut tx, due.id).await?,
            Err(error) if now - due.created_at > TRIED_FOR => {
                let error = format!("{error:#}");
                tracing::warn!(webhook = %due.id, error, "a webhook was given up");
                rows::give_up(&mut tx, due.id, now, &error, now - GIVEN_UP_KEPT).await?;
            }
            Err(error) => {
                let at = now + pause(due.attempts);
                rows::postpone(&mut tx, due.id, at, &format!("{error:#}")).await?;
            }
        }
        tx.commit().await?;
    }
}

async fn send(
    cp: &ControlPlane,
    client: &reqwest::Client,
    due: &rows::Due,
    private: bool,
) -> anyhow::Result<()> {
    let (Some(url), Some(sealed)) = (&due.url, &due.secret) else {
        return Ok(()); // nobody wants it any more
    };
    let url = check_url(url, private).map_err(anyhow::Error::msg)?;
    let key = cp.master_key();
    let secret = key.open(Purpose::WebhookSecret, &due.tenant.to_string(), sealed)?;
    let secret = std::str::from_utf8(&secret).context("the webhook's secret")?;
    let now = cp.clock().now();
    let answer = client
        .post(url)
        .header("content-type", "application/json")
        .header(
            "vaultaire-signature",
            sign(secret, due.body.as_bytes(), now),
        )
        .body(due.body.clone())
        .send()
        .await
        .map_err(reqwest::Error::without_url)?;
    anyhow::ensure!(answer.status().is_success(), "status {}", answer.status());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_public_internet_is_refused() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_is_https_and_holds_no_secret() {
        assert!(check_url("https://example.com/hook?a=b", false).is_ok());
        assert!(check_url("https://8.8.8.8:8443/", false).is_ok());
        for bad in [
            "",
            "example.com",
            "http://example.com/",
            "ftp://example.com/",
            "https://u:p@example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
        assert!(
            check_url("http://127.0.0.1:9/hook", true).is_ok(),
            "the operator said so"
        );
        assert!(check_url("file:///etc/passwd", true).is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_leads_nowhere() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        assert!(Public.resolve(name("localhost")).await.is_err());
        let refused = client(false)
            .unwrap()
            .get("http://localhost:9/")
            .send()
            .await;
        let why = format!("{:?}", refused.unwrap_err());
        assert!(why.contains("no public address"), "{why}");
    }
}
