//! `/admin/tenants/{tenant_id}/limits`: a tenant's limits and quotas, in place of its plan's.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::ids::TenantId;
use controlplane::tenants::{self, LimitChange, Tenant};

use super::id;
use crate::App;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;

#[derive(Template)]
#[template(path = "admin/tenant_limits.html")]
struct LimitsPage<'a> {
    frame: Frame<'a>,
    id: String,
    name: String,
    figures: Vec<Figure>,
    errors: FormErrors,
}

struct Figure {
    name: &'static str,
    label: &'static str,
    /// What was typed, or what holds.
    value: String,
    /// The plan's, which an empty field means.
    plan: String,
}

pub async fn show(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    operator: Operator,
) -> Result<Response, Failure> {
    let id = id(&tenant_id)?;
    form(&app, &operator, id, None, FormErrors::default()).await
}

pub async fn submit(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let id = id(&tenant_id)?;
    let mut tx = operator.begin(&app).await?;
    let before = tenants::by_id(&mut tx, id).await?;
    let mut errors = FormErrors::default();
    let change = change(&fields, &before, &mut errors);
    if !errors.is_empty() {
        drop(tx);
        let again = form(&app, &operator, id, Some(&fields), errors).await?;
        return Ok((http::StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    match tenants::set_limits(&mut tx, &app.cp, id, change).await {
        Ok(_) => {
            tx.commit().await?;
            let to = format!("/admin/tenants/{id}?notice=limits");
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => {
            drop(tx);
            let status = error.status();
            let names: Vec<&str> = figures(&before).iter().map(|figure| figure.name).collect();
            let errors = FormErrors::explain(error, &names)?;
            let again = form(&app, &operator, id, Some(&fields), errors).await?;
            Ok((status, again).into_response())
        }
    }
}

/// What differs from what holds; an empty field goes back to the plan's figure.
fn change(fields: &Pairs, before: &Tenant, errors: &mut FormErrors) -> LimitChange {
    let shown = figures(before);
    let mut given = |name: &'static str| -> Option<Option<u64>> {
        let typed = fields.get(name).trim().replace(',', "");
        let held = shown.iter().find(|figure| figure.name == name);
        if held.is_some_and(|figure| figure.value == typed) {
            return None;
        }
        if typed.is_empty() {
            return Some(None);
        }
        match typed.parse() {
            Ok(figure) => Some(Some(figure)),
            Err(_) => {
                errors.add(name, "Give a whole number, or nothing for the plan’s.");
                None
            }
        }
    };
    // Too many for its kind is refused as too many by whoever decides.
    let small = |figure: Option<Option<u64>>| {
        figure.map(|figure| figure.map(|figure| u32::try_from(figure).unwrap_or(u32::MAX)))
    };
    LimitChange {
        requests_per_second: small(given("requests_per_second")),
        burst: small(given("burst")),
        concurrent_requests: small(given("concurrent_requests")),
        bytes_per_second: given("bytes_per_second"),
        quota_bytes: given("quota_bytes"),
        quota_objects: given("quota_objects"),
        quota_egress_bytes: given("quota_egress_bytes"),
        bucket_limit: small(given("bucket_limit")),
        access_key_limit: small(given("access_key_limit")),
        max_staleness_seconds: small(given("max_staleness_seconds")),
    }
}

fn figures(tenant: &Tenant) -> Vec<Figure> {
    let (limits, plan) = (&tenant.limits, &tenant.plan);
    let text = |figure: Option<u64>| figure.map(|figure| figure.to_string()).unwrap_or_default();
    let some = |figure: Option<i64>| match figure {
        Some(figure) => figure.to_string(),
        None => "no limit".to_owned(),
    };
    let figure = |name, label, value, plan| Figure {
        name,
        label,
        value,
        plan,
    };
    vec![
        figure(
            "requests_per_second",
            "Requests a second",
            limits.requests_per_second.to_string(),
            plan.requests_per_second.to_string(),
        ),
        figure(
            "burst",
            "Requests in one burst",
            limits.burst.to_string(),
            plan.burst.to_string(),
        ),
        figure(
            "concurrent_requests",
            "Requests under way at once",
            text(limits.concurrent_requests.map(u64::from)),
            some(plan.concurrent_requests.map(i64::from)),
        ),
        figure(
            "bytes_per_second",
            "Bytes of bodies a second",
            text(limits.bytes_per_second),
            some(plan.bytes_per_second),
        ),
        figure(
            "quota_bytes",
            "Bytes stored",
            text(limits.quota_bytes),
            some(plan.quota_bytes),
        ),
        figure(
            "quota_objects",
            "Objects stored",
            text(limits.quota_objects),
            some(plan.quota_objects),
        ),
        figure(
            "quota_egress_bytes",
            "Bytes downloaded in a calendar month",
            text(limits.quota_egress_bytes),
            some(plan.quota_egress_bytes),
        ),
        figure(
            "bucket_limit",
            "Buckets",
            tenant.bucket_limit.to_string(),
            plan.bucket_limit.to_string(),
        ),
        figure(
            "access_key_limit",
            "Usable access keys",
            tenant.access_key_limit.to_string(),
            plan.access_key_limit.to_string(),
        ),
        figure(
            "max_staleness_seconds",
            "Seconds that a node serves it without hearing from here",
            text(tenant.max_staleness_seconds.map(u64::from)),
            "as long as it has keys".to_owned(),
        ),
    ]
}

async fn form(
    app: &App,
    operator: &Operator,
    id: TenantId,
    typed: Option<&Pairs>,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let tenant = tenants::by_id(&mut tx, id).await?;
    drop(tx);
    let mut shown = figures(&tenant);
    for figure in &mut shown {
        if let Some(typed) = typed {
            typed.get(figure.name).clone_into(&mut figure.value);
        }
    }
    page(&LimitsPage {
        frame: Frame::new(operator, Area::Tenants),
        id: id.to_string(),
        name: tenant.name,
        figures: shown,
        errors,
    })
}
