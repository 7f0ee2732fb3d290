//! What is sold. Plans are rows: an operator changes them, not a release. A change is a new version of the plan's terms;
//! whoever bought an earlier one keeps it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ids::TenantId;
use crate::said::said;
use crate::{ControlPlane, Error, Tx, audit, db, tenants};

/// Requests a second, or at once: more than any node could serve.
const MAX_RATE: i32 = 1_000_000;
/// Of a plan's tenants.
const LISTED: i64 = 100;
/// A hundred million dollars a month.
const MAX_PRICE: i64 = 10_000_000_000;
/// A thousand dollars a GB.
const MAX_UNIT_PRICE: i64 = 100_000_000_000;

/// The terms of a plan: those that are sold now, or those that a tenant bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// `trial`, `business`, …
    pub id: String,
    /// Counts the changes of the plan.
    pub version: i32,
    pub name: String,
    /// A month's price in the smallest unit of `currency`.
    pub price_cents: i64,
    /// ISO 4217, lower case, as Stripe writes it.
    pub currency: String,
    /// Bytes stored that the price includes; GB and TB are decimal.
    pub storage_bytes: i64,
    /// Bytes of answers in a billing period that the price includes; none where reading is not charged.
    pub egress_bytes: Option<i64>,
    /// For each GB-month stored beyond, in millionths of the smallest unit; none where it is not charged.
    pub storage_price_micros: Option<i64>,
    /// For each GB read beyond, likewise.
    pub egress_price_micros: Option<i64>,
    /// Bytes stored beyond which writes are refused; none where more is metered.
    pub quota_bytes: Option<i64>,
    /// Objects, all buckets together; none where there is no limit.
    pub quota_objects: Option<i64>,
    /// Bytes of answers in a calendar month (UTC); none where there is no limit.
    pub quota_egress_bytes: Option<i64>,
    pub requests_per_second: i32,
    pub burst: i32,
    pub concurrent_requests: Option<i32>,
    pub bytes_per_second: Option<i64>,
    pub trial_days: Option<i32>,
    pub bucket_limit: i32,
    pub access_key_limit: i32,
}

/// A plan as it is sold now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    #[serde(flatten)]
    pub plan: Plan,
    /// Customers may choose it themselves.
    pub for_sale: bool,
    /// Nobody comes onto it any more since then, not even by the operator's hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<DateTime<Utc>>,
}

/// A version of a plan's terms, and who is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    #[serde(flatten)]
    pub terms: Plan,
    /// Of those that are not deleted.
    pub tenants: i64,
}

/// A tenant, and the version of the terms that it bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscriber {
    pub tenant_id: TenantId,
    pub name: String,
    pub version: i32,
    pub since: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    #[serde(flatten)]
    pub offer: Offer,
    /// The newest first.
    pub versions: Vec<Version>,
    /// The newest first, a hundred at most.
    pub subscribers: Vec<Subscriber>,
}

/// What an operator says of a plan; an inner `None` takes the figure away.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanChange {
    pub name: Option<String>,
    pub price_cents: Option<i64>,
    pub currency: Option<String>,
    pub storage_bytes: Option<i64>,
    #[serde(default, deserialize_with = "said")]
    pub egress_bytes: Option<Option<i64>>,
    #[serde(default, deserialize_with = "said")]
    pub storage_price_micros: Option<Option<i64>>,
    #[serde(default, deserialize_with = "said")]
    pub egress_price_micros: Option<Option<i64>>,
    #[serde(default, deserialize_with = "said")]
    pub quota_bytes: Option<Option<i64>>,
    #[serde(default, deserialize_with = "said")]
    pub quota_objects: Option<Option<i64>>,
    #[serde(default, deserialize_with = "said")]
    pub quota_egress_bytes: Option<Option<i64>>,
    pub requests_per_second: Option<i32>,
    pub burst: Option<i32>,
    #[serde(default, deserialize_with = "said")]
    pub concurrent_requests: Option<Option<i32>>,
    #[serde(default, deserialize_with = "said")]
    pub bytes_per_second: Option<Option<i64>>,
    #[serde(default, deserialize_with = "said")]
    pub trial_days: Option<Option<i32>>,
    pub bucket_limit: Option<i32>,
    pub access_key_limit: Option<i32>,
    pub for_sale: Option<bool>,
}

/// All plans, in the order in which they are shown.
pub async fn list(tx: &mut Tx) -> Result<Vec<Offer>, Error> {
    db::plans::list(tx).await
}

/// A plan that is not for sale unless that is said. Needs a system transaction.
pub async fn create(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: &str,
    change: &PlanChange,
) -> Result<Offer, Error> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || id.len() > 40 || !id.bytes().all(known) {
        let message = "Give 1 to 40 lower-case letters, digits and hyphens.";
        return Err(Error::validation("id", message));
    }
    let missing = |field: &str| Error::validation(field, "A new plan needs it.");
    let name = change.name.clone().ok_or_else(|| missing("name"))?;
    let price_cents = change.price_cents.ok_or_else(|| missing("price_cents"))?;
    let storage_bytes = change
        .storage_bytes
        .ok_or_else(|| missing("storage_bytes"))?;
    let mut offer = Offer {
        plan: Plan {
            id: id.to_owned(),
            version: 1,
            name,
            price_cents,
            currency: "usd".to_owned(),
            storage_bytes,
            egress_bytes: None,
            storage_price_micros: None,
            egress_price_micros: None,
            quota_bytes: None,
            quota_objects: None,
            quota_egress_bytes: None,
            requests_per_second: 100,
            burst: 200,
            concurrent_requests: None,
            bytes_per_second: None,
            trial_days: None,
            bucket_limit: 100,
            access_key_limit: 500,
        },
        for_sale: false,
        retired_at: None,
    };
    apply(&mut offer, change);
    check(&offer.plan)?;
    if !db::plans::insert(tx, &offer).await? {
        return Err(Error::validation("id", "There is a plan with this id."));
    }
    db::plans::keep_terms(tx, &offer.plan).await?;
    audit::record(tx, cp, None, "plan.create", id, json!(offer)).await?;
    Ok(offer)
}

/// Changes what is sold from now on. Needs a system transaction.
pub async fn set(
    tx: &mut Tx,
    cp: &ControlPlane,
    id: &str,
    change: &PlanChange,
) -> Result<Offer, Error> {
    let before = db::plans::lock(tx, id).await?;
    let before = before.ok_or(Error::NotFound("plan"))?;
    let mut offer = before.clone();
    apply(&mut offer, change);
    check(&offer.plan)?;
    if offer.retired_at.is_some() && offer != before {
        let message = "The plan is retired: take that back first.".to_owned();
        return Err(Error::Conflict {
            code: "plan_retired",
            message,
        });
    }
    if offer.plan != before.plan {
        offer.plan.version = before.plan.version + 1;
        db::plans::keep_terms(tx, &offer.plan).await?;
    }
    if offer != before {
        db::plans::update(tx, &offer).await?;
        audit::record(tx, cp, None, "plan.set", id, json!(offer)).await?;
    }
    Ok(offer)
}

/// Everything about one plan. Needs a system transaction.
pub async fn detail(tx: &mut Tx, id: &str) -> Result<Detail, Error> {
    let offer = db::plans::get(tx, id).await?;
    Ok(Detail {
        offer: offer.ok_or(Error::NotFound("plan"))?,
        versions: db::plans::versions(tx, id).await?,
        subscribers: db::plans::subscribers(tx, id, LISTED).await?,
    })
}

/// Not sold any more: nobody comes onto it. Who is on it stays on it, and no tenant changes. The plan on which everybody
/// begins cannot be retired. Needs a system transaction.
pub async fn retire(tx: &mut Tx, cp: &ControlPlane, id: &str) -> Result<Offer, Error> {
    let offer = db::plans::lock(tx, id).await?;
    let mut offer = offer.ok_or(Error::NotFound("plan"))?;
    if id == tenants::TRIAL {
        let message = "Everybody begins on this plan.".to_owned();
        return Err(Error::Conflict {
            code: "plan_needed",
            message,
        });
    }
    if offer.retired_at.is_some() {
        return Ok(offer);
    }
    offer.for_sale = false;
    offer.retired_at = Some(cp.clock().now());
    db::plans::update(tx, &offer).await?;
    audit::record(tx, cp, None, "plan.retire", id, json!({})).await?;
    Ok(offer)
}

/// The operator may put tenants onto it again; customers choose it themselves when it is for sale. Needs a system
/// transaction.
pub async fn reinstate(tx: &mut Tx, cp: &ControlPlane, id: &str) -> Result<Offer, Error> {
    let offer = db::plans::lock(tx, id).await?;
    let mut offer = offer.ok_or(Error::NotFound("plan"))?;
    if offer.retired_at.take().is_some() {
        db::plans::update(tx, &offer).await?;
        audit::record(tx, cp, None, "plan.reinstate", id, json!({})).await?;
    }
    Ok(offer)
}

fn apply(offer: &mut Offer, change: &PlanChange) {
    fn put<T: Clone>(place: &mut T, said: &Option<T>) {
        if let Some(value) = said {
            *place = value.clone();
        }
    }
    let plan = &mut offer.plan;
    if let Some(name) = &change.name {
        plan.name = name.trim().to_owned();
    }
    put(&mut plan.price_cents, &change.price_cents);
    put(&mut plan.currency, &change.currency);
    put(&mut plan.storage_bytes, &change.storage_bytes);
    put(&mut plan.egress_bytes, &change.egress_bytes);
    put(&mut plan.storage_price_micros, &change.storage_price_micros);
    put(&mut plan.egress_price_micros, &change.egress_price_micros);
    put(&mut plan.quota_bytes, &change.quota_bytes);
    put(&mut plan.quota_objects, &change.quota_objects);
    put(&mut plan.quota_egress_bytes, &change.quota_egress_bytes);
    put(&mut plan.requests_per_second, &change.requests_per_second);
    put(&mut plan.burst, &change.burst);
    put(&mut plan.concurrent_requests, &change.concurrent_requests);
    put(&mut plan.bytes_per_second, &change.bytes_per_second);
    put(&mut plan.trial_days, &change.trial_days);
    put(&mut plan.bucket_limit, &change.bucket_limit);
    put(&mut plan.access_key_limit, &change.access_key_limit);
    put(&mut offer.for_sale, &change.for_sale);
}

fn check(plan: &Plan) -> Result<(), Error> {
    crate::tenants::check_name("name", &plan.name)?;
    if plan.currency.len() != 3 || !plan.currency.bytes().all(|b| b.is_ascii_lowercase()) {
        return Err(Error::validation(
            "currency",
            "It is three lower-case letters, such as `usd`.",
        ));
    }
    let whole = i64::MAX;
    let rate = i64::from(MAX_RATE);
    let of = i64::from;
    let figures = [
        ("price_cents", Some(plan.price_cents), 0, MAX_PRICE),
        ("storage_bytes", Some(plan.storage_bytes), 0, whole),
        ("egress_bytes", plan.egress_bytes, 0, whole),
        (
            "storage_price_micros",
            plan.storage_price_micros,
            0,
            MAX_UNIT_PRICE,
        ),
        (
            "egress_price_micros",
            plan.egress_price_micros,
            0,
            MAX_UNIT_PRICE,
        ),
        ("quota_bytes", plan.quota_bytes, 0, whole),
        ("quota_objects", plan.quota_objects, 0, whole),
        ("quota_egress_bytes", plan.quota_egress_bytes, 0, whole),
        (
            "requests_per_second",
            Some(of(plan.requests_per_second)),
            1,
            rate,
        ),
        ("burst", Some(of(plan.burst)), 1, rate),
        (
            "concurrent_requests",
            plan.concurrent_requests.map(of),
            1,
            rate,
        ),
        (
            "bytes_per_second",
            plan.bytes_per_second,
            1,
            1_000_000_000_000,
        ),
        ("trial_days", plan.trial_days.map(of), 1, 3650),
        ("bucket_limit", Some(of(plan.bucket_limit)), 0, rate),
        ("access_key_limit", Some(of(plan.access_key_limit)), 0, rate),
    ];
    for (field, value, least, most) in figures {
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            return Err(Error::validation(
                field,
                format!("It is {least} to {most}."),
            ));
        }
    }
    Ok(())
}
