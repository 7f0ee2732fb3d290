//! For whom passkeys are made: the name in the dashboard's public address.
//! Browsers keep passkeys for a name, never for an address in digits, and use them over TLS or on their own machine alone.

use std::net::Ipv4Addr;

use webauthn_rp::request::{AsciiDomain, RpId};

use crate::Config;

/// Source: <https://www.w3.org/TR/webauthn-3/#relying-party-identifier>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    pub(super) id: RpId,
    /// Where pages with passkeys must be opened: `https://storage.example`.
    pub origin: String,
}

/// Why there can be no passkeys at the dashboard's public address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPasskeys {
    /// It has digits in place of a name.
    NoName,
    /// It is reached without TLS, from other machines.
    NoTls,
}

impl NoPasskeys {
    pub fn why(self) -> &'static str {
        match self {
            Self::NoName => {
                "Browsers keep passkeys for a name, and this installation is reached by an address in digits. \
                 Its operator can give it a name (VAULTAIRE_PUBLIC_URL)."
            }
            Self::NoTls => {
                "Browsers use passkeys over https alone, and this installation is reached over http. \
                 Its operator can put TLS before it (VAULTAIRE_PUBLIC_URL)."
            }
        }
    }
}

impl RelyingParty {
    /// On one's own machine passkeys belong to `localhost`, whatever loopback address is configured: browsers refuse
    /// them for `127.0.0.1`.
    pub fn of(config: &Config) -> Result<Self, NoPasskeys> {
        let origin = config.dashboard_origin().ok_or(NoPasskeys::NoName)?;
        let (scheme, authority) = origin.split_once("://").ok_or(NoPasskeys::NoName)?;
        let (host, port) = split(authority);
        let in_digits = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
        let (name, origin) = match scheme {
            "https" if in_digits => return Err(NoPasskeys::NoName),
            "https" => (host, origin.clone()),
            _ if host == "localhost" || host.ends_with(".localhost") => (host, origin.clone()),
            _ if is_loopback(host) => ("localhost", format!("http://localhost{port}")),
            _ => return Err(NoPasskeys::NoTls),
        };
        let name = AsciiDomain::try_from(name.to_owned()).map_err(|_| NoPasskeys::NoName)?;
        Ok(Self {
            id: RpId::Domain(name),
            origin,
        })
    }

    /// Whether a page that was asked for by this `Host` can use passkeys. What a proxy makes of the host cannot be known:
    /// only on one's own machine is the answer ever no.
    pub fn is_at(&self, host: Option<&str>) -> bool {
        let asked = host.map_or("", |host| split(host).0);
        !is_loopback(asked) || !self.origin.starts_with("http://localhost")
    }
}

/// The host, and the port with its colon.
fn split(authority: &str) -> (&str, &str) {
    let end = authority.rfind(']').unwrap_or(0);
    match authority[end..].find(':') {
        Some(colon) => authority.split_at(end + colon),
        None => (authority, ""),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineConfig, MailConfig, MasterKey, PlacementKind};

    fn at(public_url: &str) -> Result<RelyingParty, NoPasskeys> {
        RelyingParty::of(&config(public_url))
    }

    fn config(public_url: &str) -> Config {
        Config {
            database_url: String::new(),
            public_url: public_url.to_owned(),
            s3_endpoint: String::new(),
            region: String::new(),
            master_key: MasterKey::from_bytes([0; 32]),
            master_key_file: None,
            admin_token: String::new(),
            engine: EngineConfig {
                endpoint: String::new(),
                region: String::new(),
                access_key_id: String::new(),
                secret_access_key: String::new(),
                placement: PlacementKind::Dedicated,
                pool_bucket: None,
            },
            share_hold_seconds: 600,
            mail: MailConfig::Folder("mail".into()),
            trusted_proxies: Vec::new(),
            stripe: None,
            webhooks_to_private: false,
        }
    }

    /// Uploads from the page that has passkeys would be refused otherwise.
    #[test]
    fn wherever_there_are_passkeys_is_an_origin_of_the_dashboard() {
        for (url, origins) in [
            (
                "http://127.0.0.1:8080",
                &["http://127.0.0.1:8080", "http://localhost:8080"][..],
            ),
            ("https://storage.example", &["https://storage.example"]),
            ("http://localhost:8080", &["http://localhost:8080"]),
        ] {
            assert_eq!(config(url).dashboard_origins(), origins, "{url}");
            let party = at(url).expect("there are passkeys");
            assert!(origins.contains(&party.origin.as_str()), "{url}");
        }
    }

    #[test]
    fn a_name_over_tls_and_the_own_machine_have_passkeys() {
        for (url, id, origin) in [
            (
                "https://Storage.example",
                "storage.example",
                "https://storage.example",
            ),
            (
                "https://a.example:8443",
                "a.example",
                "https://a.example:8443",
            ),
            (
                "http://localhost:8080",
                "localhost",
                "http://localhost:8080",
            ),
            (
                "http://127.0.0.1:8080",
                "localhost",
                "http://localhost:8080",
            ),
            ("http://[::1]:8080", "localhost", "http://localhost:8080"),
            ("http://127.0.0.1", "localhost", "http://localhost"),
        ] {
            let party = at(url).expect(url);
            assert_eq!((party.id.as_ref(), party.origin.as_str()), (id, origin));
        }
    }

    #[test]
    fn digits_and_plain_http_have_none() {
        assert_eq!(at("https://203.0.113.7"), Err(NoPasskeys::NoName));
        assert_eq!(at("https://[2001:db8::1]:8443"), Err(NoPasskeys::NoName));
        assert_eq!(at("http://203.0.113.7:8080"), Err(NoPasskeys::NoTls));
        assert_eq!(at("http://storage.example"), Err(NoPasskeys::NoTls));
        assert_eq!(at("http://localhost.example"), Err(NoPasskeys::NoTls));
    }

    #[test]
    fn on_ones_own_machine_the_page_must_be_opened_by_name() {
        let own = at("http://127.0.0.1:8080").expect("it has passkeys");
        assert!(own.is_at(Some("localhost:8080")));
        for digits in ["127.0.0.1:8080", "[::1]:8080", "127.0.0.1"] {
            assert!(!own.is_at(Some(digits)), "{digits}");
        }
        // A proxy may say whatever host it likes.
        let public = at("https://storage.example").expect("it has passkeys");
        assert!(public.is_at(Some("127.0.0.1:8080")) && public.is_at(None));
    }
}
