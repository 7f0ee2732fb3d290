//! Puts into Stripe's account what the plans say: a product, a price for each version of the terms, meters. Whatever is
//! there already, by its lookup key, is left as it is, so that doing it twice makes nothing twice.

use serde::Serialize;
use serde_json::json;

use super::client::{Failure, Stripe};
use super::events::no_stripe;
use super::objects::{Made, Meter, Price};
use crate::db::stripe as rows;
use crate::plans::Plan;
use crate::{Actor, ControlPlane, Error, Origin, audit, db};

/// What usage beyond the plan is told to; the names under which `meters` sends.
pub(super) const METERS: [(&str, &str, &str); 2] = [
    (
        "storage",
        "vaultaire_storage_gb_months",
        "Storage beyond the plan (GB-months)",
    ),
    (
        "egress",
        "vaultaire_egress_gb",
        "Reading beyond the plan (GB)",
    ),
];

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Synced {
    pub plan: String,
    pub version: i32,
    /// `base`, `storage`, `egress`
    pub kind: &'static str,
    pub price_id: String,
    pub lookup_key: String,
    /// Made now; it was there otherwise.
    pub created: bool,
}

/// Every plan that costs something, on its present terms.
pub async fn sync(cp: &ControlPlane, origin: Origin) -> Result<Vec<Synced>, Error> {
    let stripe = cp.stripe().ok_or_else(no_stripe)?;
    let mut tx = cp.begin_system().await?;
    let offers = db::plans::list(&mut tx).await?;
    drop(tx);
    let meters = meters(stripe).await?;
    let mut done = Vec::new();
    for plan in offers.into_iter().map(|offer| offer.plan) {
        if plan.price_cents == 0 {
            continue;
        }
        for kind in kinds(&plan) {
            let (price, synced) = price(stripe, &plan, kind, &meters).await?;
            let mut tx = cp
                .begin_system()
                .await?
                .acting(Actor::Operator, origin.clone());
            let row = rows::Price {
                price_id: price.id,
                plan_id: plan.id.clone(),
                version: plan.version,
                kind: kind.to_owned(),
            };
            rows::put_price(&mut tx, &row, stripe.live(), &price.product).await?;
            if synced.created {
                let details = json!({ "price": row.price_id, "lookup_key": synced.lookup_key });
                audit::record(&mut tx, cp, None, "billing.sync", &plan.id, details).await?;
            }
            tx.commit().await?;
            done.push(synced);
        }
    }
    Ok(done)
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    let metered = |kind, price: Option<i64>| price.filter(|price| *price > 0).map(|_| kind);
    let kinds = [
        Some("base"),
        metered("storage", plan.storage_price_micros),
        metered(
            "egress",
            plan.egress_price_micros
                .filter(|_| plan.egress_bytes.is_some()),
        ),
    ];
    kinds.into_iter().flatten().collect()
}

async fn meters(stripe: &Stripe) -> Result<Vec<Meter>, Error> {
    let mut known: Vec<Meter> = stripe
        .list("/v1/billing/meters", &[("status", "active")])
        .await?;
    for (_, event_name, display_name) in METERS {
        if known.iter().any(|meter| meter.event_name == event_name) {
            continue;
        }
        let fields = [
            ("display_name", display_name),
            ("event_name", event_name),
            ("default_aggregation[formula]", "sum"),
            ("customer_mapping[type]", "by_id"),
            ("customer_mapping[event_payload_key]", "stripe_customer_id"),
            ("value_settings[event_payload_key]", "value"),
        ];
        known.push(stripe.post("/v1/billing/meters", &fields, None).await?);
    }
    Ok(known)
}

async fn price(
    stripe: &Stripe,
    plan: &Plan,
    kind: &'static str,
    meters: &[Meter],
) -> Result<(Price, Synced), Error> {
    let lookup_key = format!("vaultaire_{}_v{}_{kind}", plan.id, plan.version);
    let found: Vec<Price> = stripe
        .list(
            "/v1/prices",
            &[("lookup_keys[]", &lookup_key), ("active", "true")],
        )
        .await?;
    let amount = amount(plan, kind);
    let (price, created) = match found.into_iter().next() {
        Some(price) if same(&price, plan, &amount) => (price, false),
        Some(price) => return Err(differs(&price, &lookup_key)),
        None => (
            make(stripe, plan, kind, meters, &lookup_key, &amount).await?,
            true,
        ),
    };
    let synced = Synced {
        plan: plan.id.clone(),
        version: plan.version,
        kind,
        price_id: price.id.clone(),
        lookup_key,
        created,
    };
    Ok((price, synced))
}

/// In the smallest unit, with its fractions: `149900`, `0.375`.
fn amount(plan: &Plan, kind: &str) -> String {
    let micros = match kind {
        "storage" => plan.storage_price_micros.unwrap_or(0),
        "egress" => plan.egress_price_micros.unwrap_or(0),
        _ => return plan.price_cents.to_string(),
    };
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn same(price: &Price, plan: &Plan, amount: &str) -> bool {
    price.currency == plan.currency && price.unit_amount_decimal.as_deref() == Some(amount)
}

fn differs(price: &Price, lookup_key: &str) -> Error {
    Error::Conflict {
        code: "price_differs",
        message: format!(
            "The price {} with the lookup key {lookup_key} is another than the plan's; nothing was changed.",
            price.id
        ),
    }
}

async fn make(
    stripe: &Stripe,
    plan: &Plan,
    kind: &str,
    meters: &[Meter],
    lookup_key: &str,
    amount: &str,
) -> Result<Price, Error> {
    let product = product(stripe, plan, kind).await?;
    let mut fields = vec![
        ("product", product.as_str()),
        ("currency", plan.currency.as_str()),
        ("unit_amount_decimal", amount),
        ("recurring[interval]", "month"),
        ("lookup_key", lookup_key),
        ("tax_behavior", "exclusive"),
    ];
    let event_name = METERS.iter().find(|(of, _, _)| *of == kind);
    if let Some((_, event_name, _)) = event_name {
        let meter = meters.iter().find(|meter| meter.event_name == *event_name);
        let meter =
            meter.ok_or_else(|| Error::Internal(anyhow::anyhow!("no meter {event_name}")))?;
        fields.push(("recurring[usage_type]", "metered"));
        fields.push(("recurring[meter]", &meter.id));
    }
    Ok(stripe.post("/v1/prices", &fields, Some(lookup_key)).await?)
}

/// Its id, which is the same whoever makes it.
async fn product(stripe: &Stripe, plan: &Plan, kind: &str) -> Result<String, Error> {
    let (suffix, name) = match kind {
        "storage" => (
            "_storage",
            format!("{}: storage beyond the plan, GB-months", plan.name),
        ),
        "egress" => (
            "_egress",
            format!("{}: reading beyond the plan, GB", plan.name),
        ),
        _ => ("", plan.name.clone()),
    };
    let id = format!("vaultaire_{}{suffix}", plan.id);
    let path = format!("/v1/products/{id}");
    match stripe.get::<Made>(&path, &[]).await {
        Ok(_) => return Ok(id),
        Err(Failure::Refused { status: 404, .. }) => {}
        Err(failure) => return Err(failure.into()),
    }
    let fields = [("id", id.as_str()), ("name", name.as_str())];
    match stripe.post::<Made>("/v1/products", &fields, None).await {
        Ok(_) => Ok(id),
        // Another control plane was quicker.
        Err(failure) if failure.is("resource_already_exists") => Ok(id),
        Err(failure) => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::usage::tests::business;

    #[test]
    fn an_amount_keeps_its_fractions() {
        let mut plan = business();
        assert_eq!(amount(&plan, "base"), "149900");
        assert_eq!(amount(&plan, "storage"), "4");
        plan.egress_price_micros = Some(375_000);
        assert_eq!(amount(&plan, "egress"), "0.375");
        assert_eq!(kinds(&plan), ["base", "storage", "egress"]);
        plan.egress_bytes = None;
        assert_eq!(kinds(&plan), ["base", "storage"]);
    }
}
