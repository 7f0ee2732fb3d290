//! How limits are divided among nodes that answer, and what nodes say of those that they refused.

use controlplane::ids::TenantId;
use controlplane::limits::{self, Counted};
use controlplane::refusals::{self, Filter};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use wire::{
    Allotment, Allotted, Demand, FromNode, HeldShares, Refusal, Rule, Shares, ToNode, WHOLE,
};

use crate::plane::{Plane, Stream, eventually, in_time};

/// The next word about shares.
pub async fn shares(stream: &mut Stream) -> Allotment {
    loop {
        if let ToNode::Allotment(allotment) = stream.hear_any().await.expect("the stream is open") {
            return allotment;
        }
    }
}

/// Answers that it holds what it was told.
pub async fn hold(stream: &mut Stream, allotment: &Allotment) {
    let tenants = allotment.tenants.iter().map(|told| HeldShares {
        tenant_id: told.tenant_id.clone(),
        number: told.number,
        shares: told.shares.unwrap_or(Shares::all(allotment.floor)),
    });
    let answer = Allotted {
        number: allotment.number,
        floor: allotment.floor,
        draining: allotment.draining,
        tenants: tenants.collect(),
    };
    stream.say(&FromNode::Allotted(answer)).await;
}

/// Obeys until it was told what is waited for.
pub async fn until(stream: &mut Stream, wanted: impl Fn(&Allotment) -> bool) -> Allotment {
    let told = async {
        loop {
            let told = shares(stream).await;
            hold(stream, &told).await;
            if wanted(&told) {
                return told;
            }
        }
    };
    in_time(told).await
}

/// What a node was told of shares from the first on, one word after the other; it obeys each at once, and takes the
/// configuration as it comes: a word may come amid a snapshot.
pub struct Told(UnboundedReceiver<Allotment>);

impl Told {
    pub fn by(mut stream: Stream) -> Self {
        let (sender, receiver) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = stream.hear_any().await {
                match message {
                    ToNode::Allotment(told) => {
                        hold(&mut stream, &told).await;
                        let _ = sender.send(told);
                    }
                    ToNode::SnapshotEnd { revision } => stream.ack(revision).await,
                    _ => {}
                }
            }
        });
        Self(receiver)
    }

    /// The next such word.
    pub async fn until(&mut self, wanted: impl Fn(&Allotment) -> bool) -> Allotment {
        let told = async {
            loop {
                let told = self.0.recv().await.expect("the stream is open");
                if wanted(&told) {
                    return told;
                }
            }
        };
        in_time(told).await
    }
}

#[tokio::test]
async fn a_floor_is_taken_before_it_is_given() {
    let plane = Plane::start().await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = plane.connect(&one, 0).await;
    let told = match first.hear_any().await {
        Some(ToNode::Allotment(told)) => told,
        other => panic!("the first word is of shares, not {other:?}"),
    };
    assert_eq!(
        (told.floor, told.whole, told.hold_seconds),
        (WHOLE, true, 600)
    );
    hold(&mut first, &told).await;
    let mut second = plane.connect(&two, 0).await;
    let told = shares(&mut second).await;
    assert_eq!(told.floor, 0);
    hold(&mut second, &told).await;
    let less = loop {
        let told = shares(&mut first).await;
        if told.floor != WHOLE {
            break told;
        }
    };
    assert_eq!(less.floor, WHOLE / 2);
    // Unanswered, it is said again, and nothing is given.
    assert_eq!(shares(&mut first).await.floor, WHOLE / 2);
    hold(&mut first, &less).await;
    until(&mut second, |told| told.floor == WHOLE / 2).await;
    plane.stop().await;
}

#[tokio::test]
async fn shares_go_where_the_demand_is() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = plane.connect(&one, 0).await;
    until(&mut first, |told| told.floor == WHOLE).await;
    let mut second = plane.connect(&two, 0).await;
    until(&mut first, |told| told.floor == WHOLE / 2).await;
    until(&mut second, |told| told.floor == WHOLE / 2).await;
    let demand = FromNode::Demands {
        demands: vec![Demand {
            tenant_id: tenant.id.to_string(),
            requests: 500_000,
            concurrency: 0,
            bandwidth: 0,
        }],
    };
    second.say(&demand).await;
    let share = |told: &Allotment| told.tenants.first()?.shares.map(|shares| shares.requests);
    until(&mut first, |told| {
        share(told).is_some_and(|share| share < WHOLE / 50)
    })
    .await;
    let grown = |told: &Allotment| share(told).is_some_and(|share| share > WHOLE / 100 * 97);
    until(&mut second, grown).await;
    // A node that comes again is told the same before anything else.
    drop(first);
    let mut first = plane.connect(&one, 0).await;
    let told = shares(&mut first).await;
    assert!(
        told.whole && share(&told).is_some_and(|share| share < WHOLE / 50),
        "{told:?}"
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_is_gone_for_good_is_removed_and_leaves_its_part() {
    let plane = Plane::start().await;
    let (one, two) = (plane.node().await, plane.node().await);
    let mut first = plane.connect(&one, 0).await;
    until(&mut first, |told| told.floor == WHOLE).await;
    let path = format!("/nodes/{}", one.id);
    let (status, body) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::CONFLICT, &json!("node_connected"))
    );
    drop(first);
    eventually(async || {
        let (_, body) = plane.admin(Method::GET, "/nodes", None).await;
        let nodes = body["nodes"].as_array().expect("a list of nodes");
        let gone = nodes.iter().find(|node| node["node_id"] == json!(one.id));
        gone.expect("it is listed")["connected"] == json!(false)
    })
    .await;
    let (status, _) = plane.admin(Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let mut second = plane.connect(&two, 0).await;
    assert_eq!(shares(&mut second).await.floor, WHOLE);
    plane.stop().await;
}

fn refusal(tenant: &str, n: i64) -> Refusal {
    Refusal {
        request_id: format!("{n:016X}"),
        tenant_id: tenant.to_owned(),
        at: chrono::DateTime::from_timestamp(1_772_000_000 + n, 0).unwrap(),
        operation: "GetObject".to_owned(),
        bucket: "photos".to_owned(),
        access_key_id: "VLTAAAAAAAAAAAAAAAAA".to_owned(),
        status: 503,
        code: "SlowDown".to_owned(),
        rule: Rule::RateLimit,
        counter: Some(250_000),
        limit: Some(100_000),
        revision: 7,
        clears_at: None,
        more: 3,
    }
}

async fn listed(plane: &Plane, tenant: &str) -> Vec<Value> {
    let path = format!("/tenants/{tenant}/refusals");
    let (status, body) = plane.admin(Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::OK);
    body["refusals"].as_array().unwrap().clone()
}

#[tokio::test]
async fn refusals_are_kept_and_found_by_request_id() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id.to_string();
    let two = plane.tenant("two@example.com").await.id.to_string();
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let nobody = refusal(&"f".repeat(32), 9999);
    for page in 0..6 {
        let mut refusals: Vec<Refusal> = (page * 200..page * 200 + 200)
            .map(|n| refusal(&one, n))
            .collect();
        refusals.push(nobody.clone());
        stream.say(&FromNode::Refusals { refusals }).await;
    }
    eventually(async || {
        listed(&plane, &one)
            .await
            .first()
            .is_some_and(|newest| newest["request_id"] == json!(format!("{:016X}", 1199)))
    })
    .await;
    assert_eq!(listed(&plane, &one).await.len(), 1000);
    assert!(listed(&plane, &two).await.is_empty());
    let show = async |n: i64| {
        let path = format!("/refusals/{n:016X}");
        plane.admin(Method::GET, &path, None).await
    };
    let (status, found) = show(1000).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["rule"], json!("rate_limit"));
    assert_eq!(found["limit"], json!(100_000));
    assert_eq!(found["more"], json!(3));
    let text = found["explanation"].as_str().unwrap();
    assert!(text.contains("250.0") && text.contains("3 more"), "{text}");
    assert_eq!(
        show(0).await.0,
        StatusCode::NOT_FOUND,
        "the oldest are gone"
    );
    assert_eq!(show(9999).await.0, StatusCode::NOT_FOUND, "of no tenant");
    // A customer finds its own, and no other's.
    for (tenant, finds) in [(&one, true), (&two, false)] {
        let mut tx = plane
            .cp
            .begin_tenant(tenant.parse().unwrap())
            .await
            .unwrap();
        let found = refusals::by_request(&mut tx, &format!("{:016X}", 1000)).await;
        assert_eq!(found.is_ok(), finds);
        let odd = refusals::by_request(&mut tx, "\0").await;
        assert!(odd.is_err_and(|error| error.status() == StatusCode::NOT_FOUND));
    }
    plane.stop().await;
}

#[tokio::test]
async fn refusals_are_paged_and_filtered_and_ones_own() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id;
    let two = plane.tenant("two@example.com").await.id;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    // Two in each second, so that the order within one counts.
    let refusals: Vec<Refusal> = (0..6)
        .map(|n| Refusal {
            at: chrono::DateTime::from_timestamp(1_772_000_000 + n / 2, 0).unwrap(),
            rule: if n == 3 {
                Rule::ScopeBucket
            } else {
                Rule::RateLimit
            },
            bucket: if n == 4 { "other" } else { "photos" }.to_owned(),
            ..refusal(&one.to_string(), n)
        })
        .collect();
    stream.say(&FromNode::Refusals { refusals }).await;
    eventually(async || listed(&plane, &one.to_string()).await.len() == 6).await;
    let page = async |tenant: TenantId, filter: Filter| -> Vec<i64> {
        let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
        let found = refusals::page(&mut tx, &filter).await.unwrap();
        let ids = found.iter().map(|refusal| &refusal.request_id);
        ids.map(|id| i64::from_str_radix(id, 16).unwrap()).collect()
    };
    let all = || Filter {
        limit: 10,
        ..Filter::default()
    };
    assert_eq!(page(one, all()).await, [5, 4, 3, 2, 1, 0]);
    assert!(page(two, all()).await.is_empty());
    let before = |n: i64| Filter {
        before: Some(format!("{n:016X}")),
        limit: 2,
        ..Filter::default()
    };
    assert_eq!(page(one, before(4)).await, [3, 2]);
    assert_eq!(page(one, before(0)).await, [] as [i64; 0]);
    let by_rule = Filter {
        rules: vec![Rule::ScopeBucket, Rule::KeyRevoked],
        ..all()
    };
    assert_eq!(page(one, by_rule).await, [3]);
    let of_bucket = Filter {
        bucket: "other".to_owned(),
        ..all()
    };
    assert_eq!(page(one, of_bucket).await, [4]);
    let of_key = Filter {
        access_key_id: "VLTNOBODY".to_owned(),
        ..all()
    };
    assert!(page(one, of_key).await.is_empty());
    let mut tx = plane.cp.begin_tenant(one).await.unwrap();
    let since = chrono::DateTime::from_timestamp(1_772_000_001, 0).unwrap();
    let counts = refusals::counts(&mut tx, since).await.unwrap();
    assert_eq!(counts, [(Rule::RateLimit, 12), (Rule::ScopeBucket, 4)]);
    drop(tx);
    plane.stop().await;
}

#[tokio::test]
async fn limits_stand_as_they_are_enforced() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await.id;
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    until(&mut stream, |told| told.floor == WHOLE).await;
    let standing = async || {
        let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
        limits::standing(&mut tx, &plane.cp).await.unwrap()
    };
    // All of the limits is the only node's.
    eventually(async || {
        let requests = standing().await.paces.remove(0);
        requests.nodes.len() == 1 && requests.nodes[0].share == Some(100)
    })
    .await;
    let demand = Demand {
        tenant_id: tenant.to_string(),
        requests: 12_400,
        concurrency: 3,
        bandwidth: 0,
    };
    let demands = vec![demand];
    stream.say(&FromNode::Demands { demands }).await;
    eventually(async || {
        let paces = standing().await.paces;
        (paces[0].asked, paces[1].asked) == (12, 3)
    })
    .await;
    let id = tenant.as_uuid();
    let sql = format!(
        "INSERT INTO tenant_usage VALUES ('{id}', 1000, 7)
             ON CONFLICT (tenant_id) DO UPDATE SET stored_bytes = 1000, objects = 7;
         INSERT INTO leases (tenant_id, resource, period, node_id, ledger, granted, consumed, granted_at)
             SELECT '{id}', 'stored_bytes', 0, id, 'l', 900, 400, now() FROM nodes;"
    );
    plane.database.execute(&sql).await;
    let quotas = standing().await.quotas;
    let stored = &quotas[0];
    assert_eq!((stored.what, stored.used), (Counted::StoredBytes, 1000));
    assert_eq!((stored.limit, stored.held()), (Some(25_000_000_000), 500));
    assert_eq!(stored.left(), Some(24_999_999_000));
    assert_eq!(
        (quotas[1].used, quotas[1].limit, quotas[1].held()),
        (7, None, 0)
    );
    assert_eq!((quotas[3].limit, quotas[4].used), (Some(100), 1));
    // Another tenant sees the nodes, and nothing of this one's.
    let other = plane.tenant("two@example.com").await.id;
    let mut tx = plane.cp.begin_tenant(other).await.unwrap();
    let theirs = limits::standing(&mut tx, &plane.cp).await.unwrap();
    assert_eq!((theirs.paces[0].asked, theirs.quotas[0].used), (0, 0));
    assert_eq!(theirs.quotas[0].held(), 0);
    drop(tx);
    plane.stop().await;
}
