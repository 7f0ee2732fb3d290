//! `/admin/fleet/{node_id}`: one node, what it holds of limits and quotas, and how it is taken out of service.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::ids::NodeId;
use controlplane::nodes::{self, Drained, NodeState};
use controlplane::{Error, Tx};

use super::list::{NodeRow, percent};
use crate::App;
use crate::admin::forms::FormPage;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::figures::{Moment, Size, count};
use crate::forgery::Button;
use crate::pages::forms::Words;

/// A drained node has said so by then.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

#[derive(Template)]
#[template(path = "admin/node.html")]
struct NodePage<'a> {
    frame: Frame<'a>,
    row: NodeRow,
    receipt: Option<Receipt>,
    errors: FormErrors,
    joined: Moment,
    draining: Option<Moment>,
    left: Option<Moment>,
    may_drain: bool,
    may_remove: bool,
    shares: String,
    largest_shares: Vec<ShareRow>,
    leases: Vec<(String, String, String)>,
    largest_leases: Vec<LeaseRow>,
}

/// What the node said to being drained.
struct Receipt {
    told: bool,
    millis: u64,
    ready: usize,
}

struct ShareRow {
    tenant_id: String,
    name: String,
    requests: String,
    concurrency: String,
    bandwidth: String,
}

struct LeaseRow {
    tenant_id: String,
    name: String,
    resource: &'static str,
    amount: String,
}

pub async fn show(
    State(app): State<App>,
    Path(node_id): Path<String>,
    operator: Operator,
) -> Result<Response, Failure> {
    let id = read(&node_id)?;
    render(&app, &operator, id, None, FormErrors::default()).await
}

fn read(node_id: &str) -> Result<NodeId, Failure> {
    Ok(node_id.parse().map_err(|_| Error::NotFound("node"))?)
}

/// The answer is the receipt.
pub async fn drain(
    State(app): State<App>,
    Path(node_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let id = read(&node_id)?;
    let mut tx = operator.begin(&app).await?;
    let drained = nodes::drain(&mut tx, &app.cp, id, fields.is_set("force")).await;
    match drained {
        Ok(()) => {
            tx.commit().await?;
            let receipt = nodes::wait_drained(&app.cp, id, TOLD_WITHIN).await?;
            render(&app, &operator, id, Some(&receipt), FormErrors::default()).await
        }
        Err(error) => refused(&app, &operator, id, tx, error).await,
    }
}

pub async fn undrain(
    State(app): State<App>,
    Path(node_id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let id = read(&node_id)?;
    let mut tx = operator.begin(&app).await?;
    nodes::undrain(&mut tx, &app.cp, id).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/admin/fleet/{id}")).into_response())
}

/// It cannot be taken back, so it asks.
pub async fn show_remove(
    State(app): State<App>,
    Path(node_id): Path<String>,
    operator: Operator,
) -> Result<Response, Failure> {
    let id = read(&node_id)?;
    let mut tx = operator.begin(&app).await?;
    let node = nodes::get(&mut tx, &app.cp, id).await?;
    drop(tx);
    FormPage {
        frame: Frame::new(&operator, Area::Fleet),
        above: (&format!("/admin/fleet/{id}"), &node.s3_address),
        words: Words {
            title: &format!("Remove {}", node.s3_address),
            lead: "For good: it comes back only with a new join token. What was held for it goes to the others, and usage that it has not told is lost. If it is still there, start it once and drain it instead.",
            action: &format!("/admin/fleet/{id}/remove"),
            submit: "Remove for good",
        },
        danger: true,
        hidden: Vec::new(),
        fields: Vec::new(),
        errors: FormErrors::default(),
    }
    .show()
}

pub async fn remove(
    State(app): State<App>,
    Path(node_id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let id = read(&node_id)?;
    let mut tx = operator.begin(&app).await?;
    match nodes::remove(&mut tx, &app.cp, id).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Redirect::to("/admin/fleet?notice=removed").into_response())
        }
        Err(error) => refused(&app, &operator, id, tx, error).await,
    }
}

async fn refused(
    app: &App,
    operator: &Operator,
    id: NodeId,
    tx: Tx,
    error: Error,
) -> Result<Response, Failure> {
    drop(tx);
    let status = error.status();
    let errors = FormErrors::explain(error, &[])?;
    let shown = render(app, operator, id, None, errors).await?;
    Ok((status, shown).into_response())
}

async fn render(
    app: &App,
    operator: &Operator,
    id: NodeId,
    receipt: Option<&Drained>,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let mut tx = operator.begin(app).await?;
    let node = nodes::get(&mut tx, &app.cp, id).await?;
    let held = nodes::holding(&mut tx, id).await?;
    drop(tx);
    let figure = |amount: i64| amount.max(0).unsigned_abs();
    page(&NodePage {
        frame: Frame::new(operator, Area::Fleet),
        row: NodeRow::new(&node, now),
        receipt: receipt.map(|receipt| Receipt {
            told: receipt.told,
            millis: receipt.millis.unwrap_or_default(),
            ready: receipt.ready,
        }),
        errors,
        joined: Moment(node.joined_at),
        draining: node.draining_since.map(Moment),
        left: node.left_at.map(Moment),
        may_drain: node.draining_since.is_none() && node.state != NodeState::Left,
        may_remove: !node.connected,
        shares: count(figure(held.shares)),
        largest_shares: held
            .largest_shares
            .iter()
            .map(|share| ShareRow {
                tenant_id: share.tenant_id.to_string(),
                name: share.name.clone(),
                requests: percent(share.requests),
                concurrency: percent(share.concurrency),
                bandwidth: percent(share.bandwidth),
            })
            .collect(),
        leases: held
            .leases
            .iter()
            .map(|lease| {
                let (name, amount) = lease_words(&lease.resource, figure(lease.amount));
                (name.to_owned(), amount, count(figure(lease.tenants)))
            })
            .collect(),
        largest_leases: held
            .largest_leases
            .iter()
            .map(|lease| {
                let (resource, amount) = lease_words(&lease.resource, figure(lease.amount));
                LeaseRow {
                    tenant_id: lease.tenant_id.to_string(),
                    name: lease.name.clone(),
                    resource,
                    amount,
                }
            })
            .collect(),
    })
}

fn lease_words(resource: &str, amount: u64) -> (&'static str, String) {
    match resource {
        "objects" => ("Objects", count(amount)),
        "egress_bytes" => ("Data out", Size::of(amount).to_string()),
        _ => ("Stored", Size::of(amount).to_string()),
    }
}
