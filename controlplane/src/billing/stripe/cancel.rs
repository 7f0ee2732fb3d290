//! Who deleted its account is not billed again: its subscriptions in Stripe are cancelled at once. What is still to be
//! cancelled is read from the database, so that it is done after an outage of Stripe's or of this system too.

use serde_json::{Value, json};
use wire::TenantStatus;

use super::client::Stripe;
use super::mirror;
use super::objects::Subscription;
use crate::db::stripe as rows;
use crate::{ControlPlane, Error, audit, tenants};

const ENDED: [&str; 2] = ["canceled", "incomplete_expired"];

/// Every deleted tenant's that is not known to be ended. What fails is tried again at the next look.
pub(super) async fn of_deleted(cp: &ControlPlane, stripe: &Stripe) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    let customers = rows::to_cancel(&mut tx, stripe.live()).await?;
    drop(tx);
    for customer in customers {
        if let Err(error) = cancel(cp, stripe, &customer).await {
            tracing::error!(customer, %error, "a deleted account's subscription is not cancelled yet");
        }
    }
    Ok(())
}

/// Customer and tenant are held for as long: whoever restores the tenant comes before it or after it.
async fn cancel(cp: &ControlPlane, stripe: &Stripe, customer: &str) -> Result<(), Error> {
    let _place = stripe.at_once.acquire().await;
    let mut tx = cp.begin_system().await?;
    let Some(mirror) = rows::lock_customer(&mut tx, customer, stripe.live()).await? else {
        return Ok(());
    };
    let tenant = tenants::lock(&mut tx, mirror.tenant).await?;
    if tenant.operator_status != TenantStatus::Deleted {
        return Ok(());
    }
    // Of any price: nothing of what this customer has goes on.
    let of = [("customer", customer)];
    let subscriptions: Vec<Subscription> = stripe.list("/v1/subscriptions", &of).await?;
    let ended = |s: &Subscription| ENDED.contains(&s.status.as_str());
    for subscription in subscriptions.iter().filter(|s| !ended(s)) {
        let path = format!("/v1/subscriptions/{}", subscription.id);
        match stripe.delete::<Value>(&path).await {
            Ok(_) => {}
            // Somebody else cancelled it in between.
            Err(failure) if failure.is("resource_missing") => continue,
            Err(failure) => return Err(failure.into()),
        }
        let details = json!({ "subscription": subscription.id });
        let action = "billing.cancel";
        audit::record(&mut tx, cp, Some(tenant.id), action, "", details).await?;
    }
    mirror::refresh(&mut tx, cp, stripe, customer).await?;
    tx.commit().await
}
