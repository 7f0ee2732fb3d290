//! Settings of the dashboard alone: how its mail leaves, and which proxies before it are believed.

use std::net::IpAddr;

use anyhow::{Context, bail};
use controlplane::MailConfig;
use ipnet::IpNet;

use super::Environment;

pub fn mail(environment: &Environment) -> anyhow::Result<MailConfig> {
    let from = environment.get("VAULTAIRE_MAIL_FROM");
    match (environment.secret("VAULTAIRE_SMTP_URL")?, from) {
        (Some(url), Some(from)) => Ok(MailConfig::Smtp {
            url,
            from: from.to_owned(),
        }),
        (Some(_), None) => {
            bail!("VAULTAIRE_SMTP_URL is set, but VAULTAIRE_MAIL_FROM, the sender, is not.")
        }
        (None, _) => Ok(MailConfig::Folder(
            environment
                .get("VAULTAIRE_MAIL_DIR")
                .unwrap_or("vaultaire-mail")
                .into(),
        )),
    }
}

pub fn trusted_proxies(environment: &Environment) -> anyhow::Result<Vec<IpNet>> {
    const NAME: &str = "VAULTAIRE_TRUSTED_PROXIES";
    let list = environment.get(NAME).unwrap_or_default().split(',');
    let networks = list.map(str::trim).filter(|text| !text.is_empty());
    networks
        .map(|text| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            let network = address.or_else(|_| text.parse::<IpNet>());
            network.with_context(|| format!("{NAME}: {text:?} is no address and no network."))
        })
        .collect()
}
