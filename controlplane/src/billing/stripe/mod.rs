//! Stripe: what this system asks of it, what it says, and the copy of its state that the ladder reads. Whatever Stripe
//! says has happened, its present state is fetched and counts, so that order and repetition do not matter.

mod cancel;
mod checkout;
mod client;
mod events;
mod meters;
mod mirror;
mod objects;
mod reconcile;
mod signature;
mod sync;
mod webhook;

use std::fmt;

pub use checkout::{checkout, portal};
pub(crate) use client::Stripe;
pub(super) use events::pause;
pub use events::{StripeEvent, events, retry_events};
pub(crate) use mirror::{Mirror, mirrored};
pub use mirror::{StripeInvoice, stripe_invoices};
pub use reconcile::{Difference, reconcile};
pub(super) use signature::sign;
pub use sync::{Synced, sync};
pub(crate) use webhook::receive;

use tracing::Instrument as _;

use crate::{ControlPlane, Error};

/// How Stripe is reached. Without it billing is by hand.
#[derive(Clone, PartialEq, Eq)]
pub struct StripeConfig {
    /// `sk_live_…`, `sk_test_…` or a restricted key, `rk_…`.
    pub secret_key: String,
    /// `whsec_…`, of the endpoint `/webhooks/stripe`.
    pub webhook_secret: String,
    /// `https://api.stripe.com`; no slash at the end.
    pub api_base: String,
}

impl fmt::Debug for StripeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeConfig")
            .field("api_base", &self.api_base)
            .finish_non_exhaustive()
    }
}

/// What deleted tenants have left there, events that failed, again, and whatever waits to be told.
pub(super) async fn look(cp: &ControlPlane) -> Result<(), Error> {
    let Some(stripe) = cp.stripe() else {
        return Ok(());
    };
    let looking = async {
        cancel::of_deleted(cp, stripe).await?;
        events::retry_due(cp, stripe).await?;
        meters::send(cp, stripe).await?;
        reconcile::daily(cp).await
    };
    looking.instrument(telemetry::job("stripe.look")).await
}

/// Measures what every subscription used beyond its plan, and tells Stripe.
pub async fn meter(cp: &ControlPlane) -> Result<(), Error> {
    let Some(stripe) = cp.stripe() else {
        return Ok(());
    };
    let metering = async {
        meters::measure(cp, stripe).await?;
        meters::send(cp, stripe).await
    };
    metering.instrument(telemetry::job("stripe.meter")).await
}
