//! Leases: what nodes hold together is never more than what is left of a quota, whoever asks and whatever changes.

mod lost;

use http::{Method, StatusCode};
use serde_json::json;
use wire::{Ask, FromNode, Full, Grants, Quota, Recall, Resource, ToNode};

use crate::database::Database;
use crate::plane::{NewTenant, Node, Plane, Stream, eventually};

const LIMIT: u64 = 12_000;

/// A connected node with a ledger of its own.
pub struct Holder {
    pub node: Node,
    pub stream: Stream,
    ledger: String,
    asked: u64,
    pub granted: u64,
}

impl Holder {
    pub async fn connect(plane: &Plane, ledger: &str) -> Holder {
        let node = plane.node().await;
        Holder::open(plane, node, ledger).await
    }

    async fn open(plane: &Plane, node: Node, ledger: &str) -> Holder {
        let mut stream = plane.connect(&node, 0).await;
        let revision = stream.snapshot().await.revision;
        stream.ack(revision).await;
        let mut holder = Holder {
            node,
            stream,
            ledger: ledger.to_owned(),
            asked: 0,
            granted: 0,
        };
        let ledger = ledger.to_owned();
        holder.stream.say(&FromNode::Ledger { ledger }).await;
        holder
    }

    pub async fn opened(mut self) -> Holder {
        let grants = self.hear_grants().await;
        assert_eq!(grants.answers, None);
        self
    }

    /// The next word about leases.
    async fn hear(&mut self) -> ToNode {
        loop {
            let message = self.stream.hear().await;
            if let ToNode::Grants(_) | ToNode::Full(_) | ToNode::Recall(_) | ToNode::Renew { .. } =
                message
            {
                return message;
            }
        }
    }

    async fn hear_grants(&mut self) -> Grants {
        loop {
            match self.hear().await {
                ToNode::Grants(grants) => {
                    if let Some(grant) = grants.grants.first() {
                        self.granted = self.granted.max(grant.total);
                    }
                    return grants;
                }
                ToNode::Recall(_) => {}
                other => panic!("no grants but {other:?}"),
            }
        }
    }

    async fn recall(&mut self) -> Recall {
        loop {
            match self.hear().await {
                ToNode::Recall(recall) => return recall,
                ToNode::Grants(_) => {}
                other => panic!("no recall but {other:?}"),
            }
        }
    }

    async fn ask(&mut self, quota: &Quota, need: u64) {
        self.asked += 1;
        let ask = Ask {
            number: self.asked,
            ledger: self.ledger.clone(),
            quota: quota.clone(),
            need,
            want: need,
        };
        self.stream.say(&FromNode::Ask(ask)).await;
    }

    /// Asks, and waits for the answer: what was granted in all, or why nothing was.
    pub async fn answer(&mut self, quota: &Quota, need: u64) -> Result<u64, Full> {
        self.ask(quota, need).await;
        loop {
            match self.hear().await {
                ToNode::Grants(grants) if grants.answers == Some(self.asked) => {
                    self.granted = grants.grants[0].total;
                    return Ok(self.granted);
                }
                ToNode::Full(full) if full.answers == self.asked => return Err(full),
                _ => {}
            }
        }
    }
}

pub fn stored(tenant: &NewTenant) -> Quota {
    quota(tenant, Resource::StoredBytes, 0)
}

pub fn quota(tenant: &NewTenant, resource: Resource, period: u32) -> Quota {
    Quota {
        tenant_id: tenant.id.to_string(),
        resource,
        period,
    }
}

async fn limited(plane: &Plane, email: &str, limits: serde_json::Value) -> NewTenant {
    let tenant = plane.tenant(email).await;
    let path = format!("/tenants/{}", tenant.id);
    let (status, body) = plane.admin(Method::PATCH, &path, Some(limits)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    tenant
}

/// Used and outstanding of all quotas, as the tables have them.
async fn sum(database: &Database) -> (i64, i64) {
    let mut conn = database.superuser().await;
    let used: i64 =
        sqlx::query_scalar("SELECT COALESCE(sum(stored_bytes), 0)::bigint FROM tenant_usage")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    let outstanding: i64 =
        sqlx::query_scalar("SELECT COALESCE(sum(granted - consumed), 0)::bigint FROM leases")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    (used, outstanding)
}

#[tokio::test]
async fn the_first_question_stocks_every_connected_node() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    let mut two = Holder::connect(&plane, "l2").await.opened().await;
    // 1/(4 × 2) of what is left.
    assert_eq!(one.answer(&stored(&tenant), 10).await, Ok(LIMIT / 8));
    let seeded = two.hear_grants().await;
    assert_eq!((seeded.ledger.as_str(), seeded.answers), ("l2", None));
    assert_eq!(seeded.grants[0].quota, stored(&tenant));
    let second = seeded.grants[0].total;
    assert!((1..=LIMIT / 8).contains(&second), "{second}");
    // A node that comes again is told the same, and not given it twice.
    let Holder { node, stream, .. } = two;
    drop(stream);
    let mut again = Holder::open(&plane, node, "l2").await;
    assert_eq!(again.hear_grants().await.grants, seeded.grants);
    plane.stop().await;
}

#[tokio::test]
async fn many_questions_at_the_edge_grant_what_is_left_and_no_more() {
    let plane = Plane::start().await;
    let other = plane.beside().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut holders = Vec::new();
    for n in 0..6 {
        holders.push(
            Holder::connect(&plane, &format!("l{n}"))
                .await
                .opened()
                .await,
        );
    }
    let asking = holders.into_iter().map(|mut holder| {
        let quota = stored(&tenant);
        tokio::spawn(async move {
            let (mut before, mut refused) = (0, false);
            for need in 400..406 {
                match holder.answer(&quota, need).await {
                    Ok(total) => {
                        assert!(total >= before, "sums only grow");
                        before = total;
                    }
                    Err(full) => {
                        assert_eq!(full.limit, LIMIT);
                        assert!(full.held, "nothing is used yet");
                        refused = true;
                    }
                }
            }
            refused
        })
    });
    let asking: Vec<_> = asking.collect();
    let mut refused = false;
    for task in asking {
        refused |= task.await.unwrap();
    }
    // 6 × 6 × 400 and more were asked for.
    assert!(refused);
    let (used, outstanding) = sum(&plane.database).await;
    assert_eq!(used, 0);
    assert!(outstanding <= LIMIT as i64, "{outstanding}");
    assert!(outstanding > LIMIT as i64 - 406, "{outstanding}");
    other.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn full_says_what_is_used_and_room_is_found_at_once() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    let used = format!(
        "UPDATE tenant_usage SET stored_bytes = {} WHERE tenant_id = '{}'",
        LIMIT - 10,
        tenant.id
    );
    plane.database.execute(&used).await;
    let full = one.answer(&stored(&tenant), 11).await.unwrap_err();
    assert_eq!(
        (full.used, full.limit, full.held),
        (LIMIT - 10, LIMIT, false)
    );
    plane
        .database
        .execute("UPDATE tenant_usage SET stored_bytes = stored_bytes - 1")
        .await;
    assert_eq!(one.answer(&stored(&tenant), 11).await, Ok(11));
    plane.stop().await;
}

#[tokio::test]
async fn what_is_granted_while_a_quota_is_lowered_is_asked_back() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    // By another control plane, which has not committed it yet.
    let mut other = plane.database.superuser().await;
    let grant = format!(
        "BEGIN; SELECT FROM tenant_usage WHERE tenant_id = '{}' FOR UPDATE;
         INSERT INTO leases (tenant_id, resource, period, node_id, ledger, granted, granted_at)
         VALUES ('{}', 'stored_bytes', 0, '{}', 'l1', {LIMIT}, now())",
        tenant.id, tenant.id, one.node.id
    );
    let grant = sqlx::raw_sql(sqlx::AssertSqlSafe(grant));
    grant.execute(&mut other).await.unwrap();
    let path = format!("/tenants/{}", tenant.id);
    let lower = plane.admin(Method::PATCH, &path, Some(json!({ "quota_bytes": 10 })));
    let commit = async {
        eventually(async || {
            let waits = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            plane.database.count(waits).await == 1
        })
        .await;
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    };
    let ((status, body), ()) = tokio::join!(lower, commit);
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(one.recall().await.quota, stored(&tenant));
    plane.stop().await;
}

/// As when nobody was there to hear it.
#[tokio::test]
async fn what_is_held_beyond_a_quota_is_asked_back_by_and_by() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let within = limited(&plane, "b@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    assert!(one.answer(&stored(&within), LIMIT).await.is_ok());
    assert!(one.answer(&stored(&tenant), LIMIT).await.is_ok());
    let lowered = format!(
        "UPDATE tenants SET quota_bytes = 10 WHERE id = '{}'",
        tenant.id
    );
    plane.database.execute(&lowered).await;
    // One that starts looks at once.
    let beside = plane.beside().await;
    assert_eq!(one.recall().await.quota, stored(&tenant));
    beside.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn what_others_hold_is_asked_back() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    let mut two = Holder::connect(&plane, "l2").await.opened().await;
    assert_eq!(
        one.answer(&stored(&tenant), LIMIT - 5000).await,
        Ok(LIMIT - 5000)
    );
    let held = two.hear_grants().await.grants[0].total;
    assert!(held > 0);
    // By what is used it fits; it is there when the other has given back.
    one.ask(&stored(&tenant), 5000).await;
    let recall = two.recall().await;
    assert_eq!(recall.quota, stored(&tenant));
    assert_eq!(recall.keeps.as_ref(), Some(&one.node.id));
    plane
        .database
        .execute("UPDATE leases SET consumed = granted WHERE ledger = 'l2'")
        .await;
    // Its own total is said again when others are stocked.
    while one.hear_grants().await.grants[0].total != LIMIT {}
    // Of one that does not give back it is held, and not used.
    let tenant = limited(&plane, "b@example.com", json!({ "quota_bytes": LIMIT })).await;
    assert!(one.answer(&stored(&tenant), LIMIT - 5000).await.is_ok());
    let full = one.answer(&stored(&tenant), 5000).await.unwrap_err();
    assert!(full.held && full.used == 0, "{full:?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_lowered_quota_is_asked_back_and_grants_nothing_until_there_is_room() {
    let plane = Plane::start().await;
    let tenant = limited(&plane, "a@example.com", json!({ "quota_bytes": LIMIT })).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    assert_eq!(one.answer(&stored(&tenant), 8000).await, Ok(8000));
    let path = format!("/tenants/{}", tenant.id);
    plane
        .admin(Method::PATCH, &path, Some(json!({ "quota_bytes": 9000 })))
        .await;
    assert_eq!(one.answer(&stored(&tenant), 900).await, Ok(8900));
    let lower = json!({ "quota_bytes": 1000 });
    plane.admin(Method::PATCH, &path, Some(lower)).await;
    let recall = one.recall().await;
    assert_eq!((recall.quota, recall.keeps), (stored(&tenant), None));
    let full = one.answer(&stored(&tenant), 1).await.unwrap_err();
    assert_eq!((full.limit, full.held), (1000, true));
    plane
        .database
        .execute("UPDATE leases SET consumed = granted - 100")
        .await;
    assert_eq!(one.answer(&stored(&tenant), 900).await, Ok(9800));
    let (_, outstanding) = sum(&plane.database).await;
    assert_eq!(outstanding, 1000);
    plane.stop().await;
}

#[tokio::test]
async fn egress_is_of_one_month() {
    let plane = Plane::start().await;
    let limits = json!({ "quota_egress_bytes": LIMIT });
    let tenant = limited(&plane, "a@example.com", limits).await;
    let mut one = Holder::connect(&plane, "l1").await.opened().await;
    let month = |period| quota(&tenant, Resource::EgressBytes, period);
    assert_eq!(one.answer(&month(202603), LIMIT).await, Ok(LIMIT));
    assert!(one.answer(&month(202603), 1).await.is_err());
    // Of months that are not now nothing is granted, and nothing said.
    for other in [202602, 202604, 202503] {
        one.ask(&month(other), 1).await;
    }
    assert!(one.answer(&month(202603), 1).await.is_err());
    plane.clock.advance(chrono::Duration::days(31));
    // The streams' own times have passed as well.
    let Holder { node, stream, .. } = one;
    drop(stream);
    let mut one = Holder::open(&plane, node, "l1").await;
    one.hear_grants().await;
    assert_eq!(one.answer(&month(202604), LIMIT).await, Ok(LIMIT));
    plane.stop().await;
}
