//! Where a customer is sent to pay and to see to its own: Stripe's Checkout and its portal. What is bought is looked up
//! here, by the plan's id and nothing else that a client sent.

use serde_json::json;
use wire::TenantStatus;

use super::client::Stripe;
use super::events::no_stripe;
use super::objects::{Hosted, Made};
use crate::db::stripe as rows;
use crate::ids::TenantId;
use crate::tenants::{self, Tenant};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db};

/// The address of a Checkout page that sells the plan to the tenant.
pub async fn checkout(
    cp: &ControlPlane,
    tenant: TenantId,
    plan: &str,
    (actor, origin): (Actor, Origin),
) -> Result<String, Error> {
    let stripe = cp.stripe().ok_or_else(no_stripe)?;
    let mut tx = cp.begin_system().await?;
    let offer = db::plans::get(&mut tx, plan).await?;
    let offer = offer.filter(|offer| offer.for_sale && offer.plan.price_cents > 0);
    let terms = offer.ok_or_else(not_for_sale)?.plan;
    let prices = rows::prices(&mut tx, stripe.live()).await?;
    let of_terms = |price: &&rows::Price| price.plan_id == plan && price.version == terms.version;
    let (base, metered): (Vec<_>, Vec<_>) = prices
        .iter()
        .filter(of_terms)
        .partition(|price| price.kind == "base");
    let base = base.first().ok_or(Error::Unavailable(
        "The plan is not in Stripe yet; the operator puts it there with `vaultaire billing sync`.",
    ))?;
    let tenant = tenants::lock(&mut tx, tenant).await?;
    if tenant.operator_status == TenantStatus::Deleted {
        return Err(Error::NotFound("tenant"));
    }
    let mirror = rows::mirror(&mut tx, tenant.id, stripe.live()).await?;
    if mirror.as_ref().is_some_and(super::Mirror::is_subscribed) {
        return Err(Error::Conflict {
            code: "already_subscribed",
            message: "There is a subscription already; it is changed in the portal.".to_owned(),
        });
    }
    let customer = match mirror {
        Some(mirror) => mirror.customer_id,
        None => new_customer(&mut tx, stripe, &tenant).await?,
    };
    // Whatever comes of the session, the customer is known.
    tx.commit().await?;
    let page = format!("{}/billing", cp.config().public_url);
    let success = format!("{page}?notice=checkout");
    let id = tenant.id.to_string();
    let mut fields = vec![
        ("mode", "subscription"),
        ("customer", customer.as_str()),
        ("client_reference_id", id.as_str()),
        ("success_url", success.as_str()),
        ("cancel_url", page.as_str()),
        ("billing_address_collection", "required"),
        ("tax_id_collection[enabled]", "true"),
        ("customer_update[name]", "auto"),
        ("customer_update[address]", "auto"),
        ("subscription_data[metadata][tenant_id]", id.as_str()),
        ("line_items[0][price]", base.price_id.as_str()),
        ("line_items[0][quantity]", "1"),
    ];
    let places = ["line_items[1][price]", "line_items[2][price]"];
    let metered = metered.iter().map(|price| price.price_id.as_str());
    fields.extend(places.into_iter().zip(metered));
    let session: Hosted = stripe.post("/v1/checkout/sessions", &fields, None).await?;
    let details = json!({ "plan": plan, "version": terms.version });
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    audit::record(
        &mut tx,
        cp,
        Some(tenant.id),
        "billing.checkout",
        "",
        details,
    )
    .await?;
    tx.commit().await?;
    page_of(session)
}

fn not_for_sale() -> Error {
    Error::validation("plan", "There is no such plan for sale.")
}

fn page_of(session: Hosted) -> Result<String, Error> {
    let url = session.url;
    url.ok_or_else(|| Error::Internal(anyhow::anyhow!("Stripe made a session without a page")))
}

/// The one customer in Stripe that is ever believed to be this tenant.
async fn new_customer(tx: &mut Tx, stripe: &Stripe, tenant: &Tenant) -> Result<String, Error> {
    let id = tenant.id.to_string();
    let fields = [
        ("name", tenant.name.as_str()),
        ("email", tenant.email.as_str()),
        ("metadata[tenant_id]", id.as_str()),
    ];
    let made: Made = stripe.post("/v1/customers", &fields, None).await?;
    rows::insert_customer(tx, tenant.id, stripe.live(), &made.id).await?;
    Ok(made.id)
}

/// The address of Stripe's page for the tenant's card, address, tax id, invoices and cancellation.
pub async fn portal(cp: &ControlPlane, tenant: TenantId) -> Result<String, Error> {
    let stripe = cp.stripe().ok_or_else(no_stripe)?;
    let mut tx = cp.begin_system().await?;
    let mirror = rows::mirror(&mut tx, tenant, stripe.live()).await?;
    drop(tx);
    let mirror = mirror.ok_or(Error::Conflict {
        code: "no_customer",
        message: "There is nothing to see to yet: choose a plan first.".to_owned(),
    })?;
    let page = format!("{}/billing", cp.config().public_url);
    let fields = [
        ("customer", mirror.customer_id.as_str()),
        ("return_url", page.as_str()),
    ];
    let session: Hosted = stripe
        .post("/v1/billing_portal/sessions", &fields, None)
        .await?;
    page_of(session)
}
