//! `/access-keys/{id}/revoke`: asks first, then revokes and shows the receipt.
//! The figures on the receipt are the nodes' own acknowledgements.

use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use controlplane::access_keys::{self, AccessKey};
use controlplane::{Error, NodeAck, PendingNode, Receipt};
use serde::Deserialize;
use wire::Revision;

use crate::App;
use crate::failure::{Failure, page};
use crate::figures::{Moment, ago};
use crate::forgery::{Fields, MemberForm};
use crate::pages::access_keys::permission_word;
use crate::pages::buckets::may_write;
use crate::pages::{Here, Shell};
use crate::session::Member;

/// How long the page waits for nodes to acknowledge.
pub const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Template)]
#[template(path = "pages/revoke_access_key.html")]
struct RevokePage<'a> {
    shell: Shell<'a>,
    name: &'a str,
    access_key_id: &'a str,
    permission: &'a str,
    created: Moment,
    created_by: &'a str,
    revoked: Option<Moment>,
    /// When, in words, and at which node.
    last_use: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "pages/access_key_revoked.html")]
struct RevokedPage<'a> {
    shell: Shell<'a>,
    name: &'a str,
    access_key_id: &'a str,
    revision: Revision,
    headline: String,
    nodes: &'a [NodeAck],
    pending: &'a [PendingNode],
}

#[derive(Deserialize)]
pub struct RevokeFields {
    #[serde(default)]
    csrf_token: String,
}

impl Fields for RevokeFields {
    fn csrf_token(&self) -> &str {
        &self.csrf_token
    }
}

pub async fn show(
    State(app): State<App>,
    Path(access_key_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let keys = access_keys::list(&mut tx).await?;
    let uses = access_keys::last_uses(&mut tx).await?;
    tx.commit().await?;
    let key = find(keys, &access_key_id)?;
    let now = app.cp.clock().now();
    page(&RevokePage {
        shell: Shell::new(&member.session, Here::AccessKeys),
        name: &key.name,
        access_key_id: &key.access_key_id,
        permission: permission_word(key.scope.permission),
        created: Moment(key.created_at),
        created_by: &key.created_by,
        revoked: key.revoked_at.map(Moment),
        last_use: uses.get(&key.access_key_id).map(|last| {
            let node = last.s3_address.as_ref();
            let at = node.map(|node| format!(", at {node}"));
            (ago(last.at, now), at.unwrap_or_default())
        }),
    })
}

pub async fn submit(
    State(app): State<App>,
    Path(access_key_id): Path<String>,
    MemberForm { member, .. }: MemberForm<RevokeFields>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let start = Instant::now();
    let mut tx = member.begin(&app).await?;
    let key = find(access_keys::list(&mut tx).await?, &access_key_id)?;
    let revision = access_keys::revoke(&mut tx, &app.cp, &key.access_key_id).await?;
    tx.commit().await?;
    let before = start.elapsed();
    let mut receipt = app.cp.wait_applied(revision, PATIENCE).await;
    // A node may acknowledge before the wait begins: the receipt counts from the click.
    for node in &mut receipt.nodes {
        node.millis += u64::try_from(before.as_millis()).unwrap_or_default();
    }
    page(&RevokedPage {
        shell: Shell::new(&member.session, Here::AccessKeys),
        name: &key.name,
        access_key_id: &key.access_key_id,
        revision: receipt.revision,
        headline: headline(&receipt),
        nodes: &receipt.nodes,
        pending: &receipt.pending,
    })
}

/// Another tenant's key is not in the list, and so is as unknown as one that never was.
fn find(keys: Vec<AccessKey>, access_key_id: &str) -> Result<AccessKey, Error> {
    keys.into_iter()
        .find(|key| key.access_key_id == access_key_id)
        .ok_or(Error::NotFound("access key"))
}

/// `Refused on 2 of 3 nodes after 41 ms`: the time of the slowest that answered.
pub fn headline(receipt: &Receipt) -> String {
    let total = receipt.nodes.len() + receipt.pending.len();
    let noun = if total == 1 { "node" } else { "nodes" };
    let start = format!("Refused on {} of {total} {noun}", receipt.nodes.len());
    match receipt.nodes.iter().map(|node| node.millis).max() {
        Some(millis) => format!("{start} after {millis} ms"),
        None => start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use controlplane::ids::NodeId;

    fn ack(millis: u64) -> NodeAck {
        NodeAck {
            node_id: NodeId::random(),
            s3_address: "127.0.0.1:9000".to_owned(),
            millis,
        }
    }

    #[test]
    fn the_receipt_counts_pending_nodes_and_takes_the_slowest_time() {
        let mut receipt = Receipt {
            revision: 7,
            nodes: vec![ack(12), ack(41)],
            pending: Vec::new(),
        };
        assert_eq!(headline(&receipt), "Refused on 2 of 2 nodes after 41 ms");
        receipt.pending.push(PendingNode {
            node_id: NodeId::random(),
            s3_address: "127.0.0.1:9010".to_owned(),
            connected: false,
        });
        assert_eq!(headline(&receipt), "Refused on 2 of 3 nodes after 41 ms");
        receipt.nodes.clear();
        assert_eq!(headline(&receipt), "Refused on 0 of 1 node");
    }
}
