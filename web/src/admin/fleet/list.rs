//! `/admin/fleet`: the nodes, how far each has come and what it holds; and a token that lets one more in.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use controlplane::nodes::{self, JoinToken, Node, NodeState};
use serde::Deserialize;
use wire::WHOLE;

use crate::App;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::failure::{Failure, page};
use crate::figures::{Moment, ago, count};
use crate::forgery::Button;

#[derive(Template)]
#[template(path = "admin/fleet.html")]
struct FleetPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    rows: Vec<NodeRow>,
    ready: usize,
    versions: Vec<String>,
    /// Made just now, and shown this once.
    token: Option<Shown>,
    as_of: Moment,
}

struct Shown {
    token: String,
    until: Moment,
}

pub struct NodeRow {
    pub id: String,
    pub address: String,
    pub state: &'static str,
    pub tone: &'static str,
    pub revision: String,
    pub lag: String,
    pub version: String,
    pub since: String,
    pub floor: String,
    pub skew: String,
    /// The clock is off by more than a second.
    pub skewed: bool,
    pub refused: Option<String>,
}

impl NodeRow {
    pub fn new(node: &Node, now: DateTime<Utc>) -> Self {
        let since = match (node.connected_since, node.last_seen) {
            (Some(since), _) => format!("connected {}", ago(since, now)),
            (None, Some(seen)) => format!("last seen {}", ago(seen, now)),
            (None, None) => "never connected".to_owned(),
        };
        Self {
            id: node.node_id.to_string(),
            address: node.s3_address.clone(),
            state: node.state.as_str(),
            tone: match node.state {
                NodeState::Ready => "good",
                NodeState::Starting | NodeState::Draining => "warn",
                NodeState::CutOff => "bad",
                NodeState::Left => "",
            },
            revision: count(node.revision.max(0).unsigned_abs()),
            lag: count(node.lag.max(0).unsigned_abs()),
            version: node.version.clone(),
            since,
            floor: percent(node.floor),
            skew: node.clock_skew_ms.map_or("–".to_owned(), skew),
            skewed: node
                .clock_skew_ms
                .is_some_and(|skew| skew.unsigned_abs() > 1000),
            refused: node.refused_reason.clone(),
        }
    }
}

/// Of a limit, from parts per billion.
pub fn percent(share: u32) -> String {
    format!("{:.1}\u{a0}%", 100.0 * f64::from(share) / f64::from(WHOLE))
}

fn skew(millis: i64) -> String {
    let sign = if millis < 0 { "−" } else { "+" };
    format!("{sign}{:.1}\u{a0}s", millis.unsigned_abs() as f64 / 1000.0)
}

#[derive(Deserialize, Default)]
pub struct FleetQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<FleetQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let notice = match query.notice.as_str() {
        "removed" => "The node is removed, and let in no more.",
        _ => "",
    };
    render(&app, &operator, notice, None).await
}

/// The answer shows the token: nobody can look it up later.
pub async fn create_join_token(
    State(app): State<App>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(&app).await?;
    let token = nodes::create_join_token(&mut tx, &app.cp).await?;
    tx.commit().await?;
    render(&app, &operator, "", Some(&token)).await
}

async fn render(
    app: &App,
    operator: &Operator,
    notice: &'static str,
    token: Option<&JoinToken>,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let mut tx = operator.begin(app).await?;
    let nodes = nodes::list(&mut tx, &app.cp).await?;
    drop(tx);
    let connected = nodes.iter().filter(|node| node.connected);
    let mut versions: Vec<String> = connected.map(|node| node.version.clone()).collect();
    versions.sort_unstable();
    versions.dedup();
    let is_ready = |node: &&Node| node.state == NodeState::Ready;
    page(&FleetPage {
        frame: Frame::new(operator, Area::Fleet),
        notice,
        ready: nodes.iter().filter(is_ready).count(),
        rows: nodes.iter().map(|node| NodeRow::new(node, now)).collect(),
        versions,
        token: token.map(|token| Shown {
            token: token.join_token.as_str().to_owned(),
            until: Moment(token.expires_at),
        }),
        as_of: Moment(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_is_less() {
        assert_eq!(skew(-2500), "−2.5\u{a0}s");
        assert_eq!(skew(40), "+0.0\u{a0}s");
        assert_eq!(percent(WHOLE / 3), "33.3\u{a0}%");
    }
}
