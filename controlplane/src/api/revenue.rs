//! `/api/v1/admin/revenue`, `/usage`, `/refusals`: what the business earns, and what all tenants use and are refused.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::across::{self, Asked, Most};
use crate::usage::Span;
use crate::{ControlPlane, Error, revenue};

/// A query as a structure, refused by name.
pub(super) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Error> {
    let Query(asked) = query.map_err(|error| Error::BadRequest(error.body_text()))?;
    Ok(asked)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevenueQuery {
    #[serde(default = "a_year")]
    months: u32,
}

fn a_year() -> u32 {
    12
}

pub(super) async fn show(
    State(cp): State<ControlPlane>,
    query: Result<Query<RevenueQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Error> {
    let query = asked(query)?;
    let mut tx = cp.begin_system().await?;
    let report = revenue::report(&mut tx, &cp, query.months).await?;
    let mut body = serde_json::to_value(report).map_err(anyhow::Error::from)?;
    let definitions: Map<String, Value> = revenue::DEFINITIONS
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).into()))
        .collect();
    body["definitions"] = definitions.into();
    Ok(Json(body))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopQuery {
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    #[serde(default)]
    to: Option<DateTime<Utc>>,
    #[serde(default)]
    by: Most,
    #[serde(default = "twenty")]
    limit: u32,
}

fn twenty() -> u32 {
    20
}

pub(super) async fn top(
    State(cp): State<ControlPlane>,
    query: Result<Query<TopQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Error> {
    let query = asked(query)?;
    let span = Span::new(query.from, query.to, cp.clock().now())?;
    let mut tx = cp.begin_system().await?;
    let tenants = across::top(&mut tx, span, query.by, query.limit).await?;
    let days = across::days(&mut tx, span).await?;
    Ok(Json(json!({
        "from": span.from(), "to": span.to(), "by": query.by, "tenants": tenants, "days": days,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusalsQuery {
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    since: Option<DateTime<Utc>>,
    #[serde(default = "hundred")]
    limit: u32,
}

fn hundred() -> u32 {
    100
}

impl RefusalsQuery {
    fn read(self) -> Result<Asked, Error> {
        let tenant = self.tenant.map(|tenant| super::admin::tenant_id(&tenant));
        Ok(Asked {
            rule: self.rule.as_deref().map(across::rule).transpose()?,
            tenant: tenant.transpose()?,
            since: self.since,
            limit: self.limit,
        })
    }
}

pub(super) async fn refusals(
    State(cp): State<ControlPlane>,
    query: Result<Query<RefusalsQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Error> {
    let query = asked(query)?.read()?;
    let mut tx = cp.begin_system().await?;
    let refusals = across::refusals(&mut tx, &query, cp.clock().now()).await?;
    Ok(Json(json!({ "refusals": refusals })))
}

pub(super) async fn top_refusals(
    State(cp): State<ControlPlane>,
    query: Result<Query<RefusalsQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Error> {
    let (query, now) = (asked(query)?.read()?, cp.clock().now());
    let mut tx = cp.begin_system().await?;
    let tenants = across::refused(&mut tx, &query, now).await?;
    let days = across::refused_by_day(&mut tx, &query, now).await?;
    Ok(Json(json!({ "tenants": tenants, "days": days })))
}
