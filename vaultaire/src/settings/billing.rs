//! Settings of billing: the Stripe account, if there is one, and where customers' webhooks may go.

use anyhow::bail;
use controlplane::billing::StripeConfig;

use super::{Environment, url};

/// `None`: billing is by hand.
pub fn stripe(environment: &Environment) -> anyhow::Result<Option<StripeConfig>> {
    const BASE: &str = "STRIPE_API_BASE";
    let secret_key = environment.secret("STRIPE_SECRET_KEY")?;
    let webhook_secret = environment.secret("STRIPE_WEBHOOK_SECRET")?;
    match (secret_key, webhook_secret) {
        (None, None) => Ok(None),
        (Some(secret_key), Some(webhook_secret)) => {
            let base = environment.get(BASE).unwrap_or("https://api.stripe.com");
            let (secret_key, webhook_secret) = (secret_key.trim(), webhook_secret.trim());
            if !secret_key.starts_with("sk_") && !secret_key.starts_with("rk_") {
                bail!("STRIPE_SECRET_KEY is no secret key: it begins with sk_ or rk_.");
            }
            Ok(Some(StripeConfig {
                secret_key: secret_key.to_owned(),
                webhook_secret: webhook_secret.to_owned(),
                api_base: url(BASE, base)?,
            }))
        }
        _ => bail!("STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET are set together or not at all."),
    }
}

pub fn webhooks_to_private(environment: &Environment) -> anyhow::Result<bool> {
    const NAME: &str = "VAULTAIRE_WEBHOOKS_TO_PRIVATE";
    match environment.get(NAME) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => bail!("{NAME} is {other:?}; it can be true or false."),
    }
}
