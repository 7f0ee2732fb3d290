//! `/admin/drift`: where database and engines disagree, and putting it right. A repair names what it will do before it is
//! done, and asks for each number: of tenants, of what is deleted for good, and of what is made anew, empty.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use controlplane::Error;
use controlplane::drift::{self, Finding, Kind, Report, Wish};
use serde::Deserialize;

use super::Route;
use super::frame::{Area, Frame, Operator, OperatorForm};
use crate::Access;
use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::figures::{Moment, Size, count};

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/admin/drift", Access::Operator, get(show).post(look)),
        ("/admin/drift/repair", Access::Operator, post(repair)),
    ]
}

#[derive(Template)]
#[template(path = "admin/drift.html")]
struct DriftPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    report: Option<&'a Report>,
    at: Option<Moment>,
    rows: Vec<Row>,
    errors: FormErrors,
}

#[derive(Template)]
#[template(path = "admin/drift_repair.html")]
struct RepairPage<'a> {
    frame: Frame<'a>,
    rows: Vec<Row>,
    usage: bool,
    delete_orphans: bool,
    remake: bool,
    tenants: usize,
    orphans_hint: String,
    missing_hint: String,
    errors: FormErrors,
}

struct Row {
    what: &'static str,
    engine: String,
    place: String,
    /// Address of its tenant's page.
    tenant: Option<String>,
    bucket: String,
    holds: String,
    note: String,
    done: String,
    /// What a repair does about it.
    act: &'static str,
}

#[derive(Deserialize, Default)]
pub struct DriftQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<DriftQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let notice = match query.notice.as_str() {
        "looked" => "Database and engines were compared.",
        "repaired" => "It is repaired: what was done stands beside each finding.",
        _ => "",
    };
    list(&app, &operator, notice, FormErrors::default()).await
}

/// Compares, and changes nothing.
pub async fn look(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let wish = Wish {
        usage: fields.is_set("usage"),
        ..Wish::default()
    };
    match run(&app, &operator, wish).await {
        Ok(()) => Ok(Redirect::to("/admin/drift?notice=looked").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &[])?;
            let again = list(&app, &operator, "", errors).await?;
            Ok((status, again).into_response())
        }
    }
}

/// The first time it asks; it is done for who types the numbers that are asked for.
pub async fn repair(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    if fields.get("step") != "confirm" {
        return ask(&app, &operator, &fields, FormErrors::default()).await;
    }
    // What is no number confirms none.
    let number = |name: &str| fields.get(name).trim().parse().unwrap_or(usize::MAX);
    let delete_orphans = fields.is_set("delete_orphans");
    let wish = Wish {
        usage: fields.is_set("usage"),
        repair: true,
        delete_orphans,
        confirm: delete_orphans.then(|| number("orphans")),
        remake: fields.is_set("remake").then(|| number("missing")),
        tenants: Some(number("tenants")),
    };
    match run(&app, &operator, wish).await {
        Ok(()) => Ok(Redirect::to("/admin/drift?notice=repaired").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = match error.code() {
                "confirm_orphans" => FormErrors::on("orphans", &error.message()),
                "confirm_missing" => FormErrors::on("missing", &error.message()),
                "confirm_tenants" => FormErrors::on("tenants", &error.message()),
                _ => FormErrors::explain(error, &[])?,
            };
            let again = ask(&app, &operator, &fields, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

/// Goes on when the browser goes away.
async fn run(app: &App, operator: &Operator, wish: Wish) -> Result<(), Error> {
    let (cp, (actor, origin)) = (app.cp.clone(), operator.acting());
    let running = tokio::spawn(async move { drift::run(&cp, wish, actor, origin).await });
    let report = running
        .await
        .map_err(|error| Error::Internal(error.into()))?;
    report.map(|_| ())
}

async fn list(
    app: &App,
    operator: &Operator,
    notice: &'static str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let report = drift::last(&mut tx).await?;
    drop(tx);
    let findings = report.iter().flat_map(|report| &report.findings);
    page(&DriftPage {
        frame: Frame::new(operator, Area::Drift),
        notice,
        at: report.as_ref().map(|report| Moment(report.at)),
        rows: findings.map(|finding| row(finding, true, true)).collect(),
        report: report.as_ref(),
        errors,
    })
}

async fn ask(
    app: &App,
    operator: &Operator,
    fields: &Pairs,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let report = drift::last(&mut tx)
        .await?
        .ok_or(Error::NotFound("report"))?;
    drop(tx);
    let (delete_orphans, remake) = (fields.is_set("delete_orphans"), fields.is_set("remake"));
    let rows = report
        .findings
        .iter()
        .map(|finding| row(finding, delete_orphans, remake));
    page(&RepairPage {
        frame: Frame::new(operator, Area::Drift),
        rows: rows.filter(|row| !row.act.is_empty()).collect(),
        usage: report.usage,
        delete_orphans,
        remake,
        tenants: report.tenants(remake),
        orphans_hint: format!("Type {}: they are in no row.", report.orphans),
        missing_hint: format!("Type {}: what was in them stays lost.", report.missing),
        errors,
    })
}

fn row(finding: &Finding, delete_orphans: bool, remake: bool) -> Row {
    let (what, act) = match finding.kind {
        Kind::OrphanBucket if delete_orphans => {
            ("Bucket in no row", "Deleted for good, with all in it")
        }
        Kind::OrphanBucket => ("Bucket in no row", ""),
        Kind::OrphanPrefix if delete_orphans => {
            ("Prefix in no row", "Deleted for good, with all in it")
        }
        Kind::OrphanPrefix => ("Prefix in no row", ""),
        Kind::MissingBucket if remake => ("Bucket is gone", "Made anew, empty"),
        Kind::MissingBucket => ("Bucket is gone", ""),
        Kind::MissingPool => ("Pool is gone", ""),
        Kind::BrokenCreation => ("Creation broke off", "Given up, if nothing is in it"),
        Kind::ProbeLeftover => ("Left by a probe", "Deleted"),
        Kind::Usage => ("Booked otherwise", "Booked as it is there"),
    };
    Row {
        what,
        act,
        engine: finding.engine.clone(),
        place: finding.place.clone(),
        tenant: finding
            .tenant_id
            .map(|tenant| format!("/admin/tenants/{tenant}")),
        bucket: finding.bucket.clone().unwrap_or_default(),
        holds: holds(finding),
        note: finding.note.clone(),
        done: finding.done.clone().unwrap_or_default(),
    }
}

/// `3 kB, 2 objects`; of usage by how much it differs.
fn holds(finding: &Finding) -> String {
    let (Some(bytes), Some(objects)) = (finding.bytes, finding.objects) else {
        return "–".to_owned();
    };
    let sign = |number: i64| match number.signum() {
        1 if finding.kind == Kind::Usage => "+",
        -1 => "−",
        _ => "",
    };
    format!(
        "{}{}, {}{} objects",
        sign(bytes),
        Size::of(bytes.unsigned_abs()),
        sign(objects),
        count(objects.unsigned_abs())
    )
}
