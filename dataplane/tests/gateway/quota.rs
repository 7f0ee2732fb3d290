//! Quotas: refused means that the engine heard nothing, and what was promised flows back when it was not used.

use wire::{
    Ask, FromNode, Full, Grant, Grants, Quota, Recall, Resource, Snapshot, Taken, ToNode, UsageLine,
};

use crate::control::Control;
use crate::world::{KEY_A, RunningNode, SECRET_A, World};

/// A quota of tenant A's.
fn quota(resource: Resource) -> Quota {
    let period = match resource {
        Resource::EgressBytes => 202603,
        _ => 0,
    };
    Quota {
        tenant_id: "a".repeat(32),
        resource,
        period,
    }
}

fn limit(snapshot: &mut Snapshot, resource: Resource, limit: u64) {
    let limits = &mut snapshot.tenants[0].limits;
    match resource {
        Resource::StoredBytes => limits.quota_bytes = Some(limit),
        Resource::Objects => limits.quota_objects = Some(limit),
        _ => limits.quota_egress_bytes = Some(limit),
    }
}

/// The node's ledger, as it says it when a stream begins.
async fn ledger(control: &Control) -> String {
    match control
        .heard(|message| matches!(message, FromNode::Ledger { .. }))
        .await
    {
        FromNode::Ledger { ledger } => ledger,
        other => panic!("{other:?}"),
    }
}

async fn asked(control: &Control) -> Ask {
    let asked = |message: &FromNode| matches!(message, FromNode::Ask(ask) if ask.need > 0);
    match control.heard(asked).await {
        FromNode::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

/// Grants so much in all.
async fn grant(control: &Control, grants: &[(Resource, u64)], answers: Option<u64>) {
    let ledger = ledger(control).await;
    let grants = grants.iter().map(|(resource, total)| Grant {
        quota: quota(*resource),
        total: *total,
    });
    control.push(&ToNode::Grants(Grants {
        ledger,
        answers,
        grants: grants.collect(),
    }));
}

/// A node with this much of tenant A's quota, which is in all leases together.
pub async fn world(resource: Resource, total: u64) -> World {
    let world = World::with(|snapshot| limit(snapshot, resource, 1_000_000)).await;
    grant(&world.control, &[(resource, total)], None).await;
    arrived(&world).await;
    world
}

/// What was said to the node so far has arrived.
async fn arrived(world: &World) {
    let mut settings = world.snapshot.settings.clone();
    settings.revision = world.snapshot.revision + 1;
    let revision = settings.revision;
    world.control.push(&ToNode::Settings(settings));
    world.control.acked(revision).await;
}

fn full(ask: &Ask, used: u64, held: bool) -> ToNode {
    ToNode::Full(Full {
        answers: ask.number,
        used,
        limit: 1_000_000,
        held,
    })
}

/// Every request that needs more is told that all is used.
pub fn always_full(control: &Control) -> tokio::task::JoinHandle<()> {
    let control = control.clone();
    tokio::spawn(async move {
        let mut answered = 0;
        loop {
            let next = |message: &FromNode| matches!(message, FromNode::Ask(ask) if ask.need > 0 && ask.number > answered);
            let FromNode::Ask(ask) = control.heard_at_last(next).await else {
                return;
            };
            answered = ask.number;
            control.push(&full(&ask, 999_990, false));
        }
    })
}

/// What the batches so far took of the leases, and their lines.
async fn booked(
    control: &Control,
    until: impl Fn(&[Taken]) -> bool,
) -> (Vec<Taken>, Vec<UsageLine>) {
    let sums = std::sync::Mutex::new((Vec::new(), Vec::new()));
    control
        .heard_all(|said| {
            let mut sums = sums.lock().unwrap();
            *sums = (Vec::new(), Vec::new());
            for message in said {
                if let FromNode::Usage { lines, taken, .. } = message {
                    sums.0.extend(taken.clone());
                    sums.1.extend(lines.clone());
                }
            }
            until(&sums.0)
        })
        .await;
    sums.into_inner().unwrap()
}

fn amount(taken: &[Taken]) -> u64 {
    taken.iter().map(|taken| taken.amount).sum()
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_the_engine_hears_of_it() {
    let world = world(Resource::StoredBytes, 10).await;
    let answering = always_full(&world.control);
    let refused = world.a.put("/abkt/k", "elevenbytes").await;
    assert_eq!((refused.status, refused.code()), (403, "QuotaExceeded"));
    let text = &refused.body;
    for part in [
        "<Quota>StoredBytes</Quota>",
        "<Used>999990</Used>",
        "<Limit>1000000</Limit>",
        "<Needed>11</Needed>",
        "Delete something",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!refused.headers.contains_key("retry-after"));
    world.assert_engine_saw_nothing("a write beyond the quota");
    assert_eq!(world.a.put("/abkt/k", "ten bytes!").await.status, 200);
    assert_eq!(world.engine.objects().len(), 1);
    // All of it is promised now; what needs nothing goes on.
    assert_eq!(world.a.put("/abkt/l", "x").await.code(), "QuotaExceeded");
    assert_eq!(world.a.put("/abkt/empty", "").await.status, 200);
    assert_eq!(world.a.get("/abkt/k").await.status, 200);
    // Another tenant has no quota.
    assert_eq!(world.b.put("/bvic/k", "elevenbytes").await.status, 200);
    answering.abort();
}

#[tokio::test]
async fn what_does_not_fit_is_not_told_to_go_on() {
    let world = world(Resource::StoredBytes, 10).await;
    let answering = always_full(&world.control);
    let put = |body: &'static [u8]| world.a.call("PUT", "/abkt/k").body(body).send_when_told();
    let (told, refused) = put(b"elevenbytes").await;
    assert_eq!((told, refused.code()), (false, "QuotaExceeded"));
    world.assert_engine_saw_nothing("a write beyond the quota");
    let (told, answer) = put(b"ten bytes!").await;
    assert_eq!((told, answer.status), (true, 200));
    answering.abort();
}

#[tokio::test]
async fn a_request_waits_for_a_grant() {
    let world = world(Resource::StoredBytes, 10).await;
    let (answer, ()) = tokio::join!(world.a.put("/abkt/k", "elevenbytes"), async {
        let ask = asked(&world.control).await;
        assert_eq!(
            (ask.need, ask.want, ask.quota),
            (11, 1, quota(Resource::StoredBytes))
        );
        grant(
            &world.control,
            &[(Resource::StoredBytes, 11)],
            Some(ask.number),
        )
        .await;
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_others_hold_and_what_nobody_knows_is_not_the_customers_fault() {
    let world = world(Resource::StoredBytes, 10).await;
    let (answer, ()) = tokio::join!(world.a.put("/abkt/k", "elevenbytes"), async {
        let ask = asked(&world.control).await;
        world.control.push(&full(&ask, 0, true));
    });
    assert_eq!((answer.status, answer.code()), (503, "ServiceUnavailable"));
    assert_eq!(answer.headers["retry-after"], "1");
    // Nobody answers.
    world.control.set_first(&[]);
    world.control_task.abort();
    world.control.cut();
    let answer = world.a.put("/abkt/k", "elevenbytes").await;
    assert_eq!((answer.status, answer.code()), (503, "ServiceUnavailable"));
    world.assert_engine_saw_nothing("writes that nobody allows");
    assert_eq!(world.a.put("/abkt/k", "ten bytes!").await.status, 200);
}

#[tokio::test]
async fn every_way_of_writing_takes_what_it_stores() {
    let world = World::with(|snapshot| {
        limit(snapshot, Resource::StoredBytes, 1_000_000);
        limit(snapshot, Resource::Objects, 1_000_000);
    })
    .await;
    let grants = [(Resource::StoredBytes, 1000), (Resource::Objects, 1000)];
    grant(&world.control, &grants, None).await;
    arrived(&world).await;
    let control = &world.control;
    let mut expected: Vec<(Resource, u64)> = Vec::new();
    let mut check = async |bytes: u64, objects: u64, what: &str| {
        expected.extend([(Resource::StoredBytes, bytes), (Resource::Objects, objects)]);
        let sum = |resource| -> u64 {
            let of = expected.iter().filter(|(other, _)| *other == resource);
            of.map(|(_, amount)| amount).sum()
        };
        let wanted = (sum(Resource::StoredBytes), sum(Resource::Objects));
        let taken = |taken: &[Taken], resource| -> u64 {
            let of = taken.iter().filter(|t| t.quota.resource == resource);
            of.map(|taken| taken.amount).sum()
        };
        let found = |all: &[Taken]| {
            (
                taken(all, Resource::StoredBytes),
                taken(all, Resource::Objects),
            )
        };
        let (all, _) = booked(control, |all| found(all) >= wanted).await;
        assert_eq!(found(&all), wanted, "{what}");
    };
    assert_eq!(world.a.put("/abkt/k", "hello").await.status, 200);
    check(5, 1, "PutObject").await;
    let chunked = crate::writes::trailer_body(crate::writes::CRC32_OF_HELLO);
    let answer = crate::writes::put_with_trailer(&world, &chunked, "5").await;
    assert_eq!(answer.status, 200);
    check(5, 1, "aws-chunked, its decoded length").await;
    let copy = world
        .a
        .call("PUT", "/abkt/copy")
        .header("x-amz-copy-source", "/abkt/k");
    assert_eq!(copy.send().await.status, 200);
    check(5, 1, "CopyObject").await;
    let wrong = hex::encode([1; 32]);
    let answer = world
        .a
        .call("PUT", "/abkt/k")
        .payload(&wrong)
        .body(b"hello");
    assert_eq!(answer.send().await.code(), "XAmzContentSHA256Mismatch");
    check(5, 1, "what was refused is taken, so that it flows back").await;
    let (_, lines) = booked(control, |_| true).await;
    let stored: u64 = lines.iter().map(|line| line.stored_bytes).sum();
    assert_eq!(stored, 15, "and not stored");
}

#[tokio::test]
async fn an_object_too_many_is_refused() {
    let world = world(Resource::Objects, 1).await;
    let answering = always_full(&world.control);
    assert_eq!(world.a.put("/abkt/k", "").await.status, 200);
    world.engine.take_seen();
    world.engine.take_looks();
    let refused = world.a.put("/abkt/l", "").await;
    assert_eq!(refused.code(), "QuotaExceeded");
    assert!(refused.body.contains("<Quota>Objects</Quota>"));
    world.assert_engine_saw_nothing("an object too many");
    answering.abort();
}

#[tokio::test]
async fn what_is_read_is_promised_before_its_first_byte() {
    let world = world(Resource::EgressBytes, 10).await;
    let answering = always_full(&world.control);
    assert_eq!(world.a.put("/abkt/k", "8 bytes!").await.status, 200);
    assert_eq!(world.a.get("/abkt/k").await.body, "8 bytes!");
    let refused = world.a.get("/abkt/k").await;
    assert_eq!((refused.status, refused.code()), (403, "QuotaExceeded"));
    assert!(
        refused.body.contains("<Needed>8</Needed>"),
        "{}",
        refused.body
    );
    assert_eq!(world.a.call("HEAD", "/abkt/k").send().await.status, 200);
    let (taken, lines) = booked(&world.control, |taken| amount(taken) >= 8).await;
    assert_eq!(amount(&taken), 8);
    assert_eq!(taken[0].quota, quota(Resource::EgressBytes));
    let out: u64 = lines.iter().map(|line| line.bytes_out).sum();
    assert_eq!(out, 8, "what was refused costs nothing");
    answering.abort();
}

#[tokio::test]
async fn a_recall_gives_back_what_nobody_was_promised() {
    let world = world(Resource::StoredBytes, 10).await;
    assert_eq!(world.a.put("/abkt/k", "four").await.status, 200);
    let recall = |keeps: Option<&str>| {
        ToNode::Recall(Recall {
            quota: quota(Resource::StoredBytes),
            keeps: keeps.map(Into::into),
        })
    };
    world.control.push(&recall(Some("node-1")));
    let (taken, _) = booked(&world.control, |taken| amount(taken) >= 4).await;
    assert_eq!(
        amount(&taken),
        4,
        "the node for which it is wanted keeps the rest"
    );
    world.control.push(&recall(None));
    let (taken, _) = booked(&world.control, |taken| amount(taken) >= 10).await;
    assert_eq!(amount(&taken), 10);
    let answering = always_full(&world.control);
    assert_eq!(world.a.put("/abkt/k", "x").await.code(), "QuotaExceeded");
    answering.abort();
}

#[tokio::test]
async fn a_node_goes_on_with_what_it_held_when_it_starts_without_a_control_plane() {
    let world = world(Resource::StoredBytes, 10).await;
    assert_eq!(world.a.put("/abkt/k", "six by").await.status, 200);
    let ledger = ledger(&world.control).await;
    world.control_task.abort();
    world.node.stop().await.unwrap();
    let node = RunningNode::start(&world.control_url, world.dir.path()).await;
    let a = node.client(KEY_A, SECRET_A);
    assert_eq!(a.put("/abkt/k", "five!").await.status, 503);
    assert_eq!(a.put("/abkt/k", "four").await.status, 200);
    assert_eq!(a.put("/abkt/k", "x").await.status, 503);
    assert_eq!(ledger.len(), 32);
}

#[tokio::test]
async fn a_void_ledger_is_begun_anew() {
    let world = world(Resource::StoredBytes, 10).await;
    let first = ledger(&world.control).await;
    world.control.push(&ToNode::Renew {
        ledger: first.clone(),
    });
    let renewed =
        |message: &FromNode| matches!(message, FromNode::Ledger { ledger } if *ledger != first);
    world.control.heard(renewed).await;
    let answering = always_full(&world.control);
    world.control.push(&ToNode::Grants(Grants {
        ledger: match world.control.heard(renewed).await {
            FromNode::Ledger { ledger } => ledger,
            other => panic!("{other:?}"),
        },
        answers: None,
        grants: Vec::new(),
    }));
    assert_eq!(world.a.put("/abkt/k", "x").await.code(), "QuotaExceeded");
    answering.abort();
}
