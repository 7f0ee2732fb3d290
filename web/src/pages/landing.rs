//! `/`: what it is, for whom, what it costs, how it keeps customers apart, and how to start.
//! Prices and limits come from the plans as they are sold now.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use controlplane::plans::{self, Plan};
use http::HeaderMap;

use crate::App;
use crate::failure::{Failure, page};
use crate::figures::{Size, count, money};
use crate::session;

/// The plan that is sold.
const OFFER: &str = "business";
/// The plan that everyone starts with.
const TRIAL: &str = "trial";

#[derive(Template)]
#[template(path = "pages/landing.html")]
struct Landing<'a> {
    signed_in: bool,
    offer: Option<Offer>,
    trial: Option<Trial>,
    endpoint: &'a str,
    region: &'a str,
}

struct Offer {
    name: String,
    price: String,
    storage: Size,
    rate: String,
    burst: String,
}

/// What the trial gives.
pub struct Trial {
    pub days: i32,
    pub storage: Size,
}

pub async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    let plans = all_plans(&app).await?;
    page(&Landing {
        signed_in: session::find(&app, &headers).await?.is_some(),
        offer: plans.iter().find(|plan| plan.id == OFFER).map(offer),
        trial: trial(&plans),
        endpoint: &app.cp.config().s3_endpoint,
        region: &app.cp.config().region,
    })
}

pub async fn all_plans(app: &App) -> Result<Vec<Plan>, Failure> {
    let mut tx = app.cp.begin_system().await?;
    let plans = plans::list(&mut tx).await?;
    tx.commit().await?;
    Ok(plans.into_iter().map(|offer| offer.plan).collect())
}

/// The trial, if one is on offer.
pub fn trial(plans: &[Plan]) -> Option<Trial> {
    let plan = plans.iter().find(|plan| plan.id == TRIAL)?;
    Some(Trial {
        days: plan.trial_days?,
        storage: storage(plan),
    })
}

fn offer(plan: &Plan) -> Offer {
    Offer {
        name: plan.name.clone(),
        price: money(plan.price_cents, &plan.currency),
        storage: storage(plan),
        rate: count(plan.requests_per_second.unsigned_abs().into()),
        burst: count(plan.burst.unsigned_abs().into()),
    }
}

fn storage(plan: &Plan) -> Size {
    Size::of(u64::try_from(plan.storage_bytes).unwrap_or_default())
}
