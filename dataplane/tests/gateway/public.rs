//! What is open to strangers: public buckets, to be read, and preflights of browsers. Neither tells of anything else.

use wire::{BucketStatus, CorsRule, TenantStatus, ToNode};

use crate::client::{Answer, parse};
use crate::world::World;

async fn unsigned(world: &World, method: &str, target: &str, headers: &str) -> Answer {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
    );
    parse(&world.a.raw(head.as_bytes()).await)
}

async fn public() -> World {
    World::with(|snapshot| snapshot.tenants[0].buckets[1].public_read = true).await
}

#[tokio::test]
async fn a_public_bucket_is_read_without_a_signature_and_nothing_else() {
    let world = public().await;
    world.a.put("/abkt/k", "x").await;
    world.a.put("/shared-name/k", "x").await;
    world.engine.take_seen();
    let got = unsigned(&world, "GET", "/abkt/k", "").await;
    assert_eq!((got.status, got.body.as_str()), (200, "x"));
    assert_eq!(unsigned(&world, "HEAD", "/abkt/k", "").await.status, 200);
    assert_eq!(unsigned(&world, "HEAD", "/abkt", "").await.status, 200);
    for target in ["/abkt", "/abkt?list-type=2"] {
        let list = unsigned(&world, "GET", target, "").await;
        assert!(list.body.contains("<Key>k</Key>"), "{}", list.body);
    }
    let missing = unsigned(&world, "GET", "/abkt/nothing", "").await;
    assert_eq!((missing.status, missing.code()), (404, "NoSuchKey"));
    world.engine.take_seen();

    for (method, target) in [
        ("PUT", "/abkt/k"),
        ("DELETE", "/abkt/k"),
        ("POST", "/abkt?delete"),
        ("PUT", "/abkt"),
        ("DELETE", "/abkt"),
        ("PUT", "/abkt?acl"),
        ("GET", "/abkt?acl"),
        ("GET", "/abkt?versions"),
        ("GET", "/abkt?uploads"),
        ("GET", "/abkt/k?tagging"),
        ("GET", "/abkt/k?versionId=null"),
        ("POST", "/abkt/k?uploads"),
        ("GET", "/"),
        // Not public, another tenant's, nobody's: all the same.
        ("GET", "/shared-name/k"),
        ("GET", "/bvic/secret"),
        ("GET", "/nobodys/k"),
        ("GET", "/shared-name"),
        ("GET", "/bvic"),
    ] {
        let answer = unsigned(&world, method, target, "").await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "AccessDenied"),
            "{method} {target}"
        );
    }
    let answer = unsigned(
        &world,
        "GET",
        "/abkt/k?response-content-type=text%2Fhtml",
        "",
    )
    .await;
    assert_eq!(answer.code(), "InvalidRequest");
    let copy = unsigned(&world, "PUT", "/abkt/c", "x-amz-copy-source: /abkt/k\r\n").await;
    assert_eq!(copy.code(), "AccessDenied");
    world.assert_engine_saw_nothing("strangers at a public bucket");
}

#[tokio::test]
async fn a_public_bucket_is_public_no_longer_when_its_owner_says_so() {
    let world = public().await;
    world.a.put("/abkt/k", "x").await;
    assert_eq!(unsigned(&world, "GET", "/abkt/k", "").await.status, 200);
    let mut document = world.snapshot.tenants[0].clone();
    document.revision = 11;
    document.buckets[1].public_read = false;
    world.control.push(&ToNode::Tenant(document.clone()));
    world.control.acked(11).await;
    world.engine.take_seen();
    assert_eq!(
        unsigned(&world, "GET", "/abkt/k", "").await.code(),
        "AccessDenied"
    );
    document.revision = 12;
    document.buckets[1].public_read = true;
    document.status = TenantStatus::Suspended;
    world.control.push(&ToNode::Tenant(document));
    world.control.acked(12).await;
    assert_eq!(
        unsigned(&world, "GET", "/abkt/k", "").await.code(),
        "AccountProblem"
    );
    world.assert_engine_saw_nothing("a bucket that is not public");
}

#[tokio::test]
async fn an_account_that_is_read_only_may_take_access_away_and_not_give_it() {
    // The fake control plane refuses what it is asked, with the bucket's name for a code.
    const ASKED: &str = "OperationAborted";
    let world = World::with(|snapshot| {
        snapshot.tenants[0].status = TenantStatus::ReadOnly;
        let bucket = &mut snapshot.tenants[0].buckets[1];
        (bucket.name, bucket.public_read) = (ASKED.into(), true);
    })
    .await;
    let set = async |bucket: &str, acl| {
        let target = format!("/{bucket}?acl");
        let call = world.a.call("PUT", &target).header("x-amz-acl", acl);
        call.send().await.code().to_owned()
    };
    assert_eq!(set("shared-name", "public-read").await, "AccountProblem");
    assert_eq!(set(ASKED, "public-read").await, "AccountProblem");
    assert_eq!(set(ASKED, "private").await, ASKED);
    assert_eq!(set("shared-name", "private").await, "", "it is so already");
    world.assert_engine_saw_nothing("an ACL");
}

#[tokio::test]
async fn two_public_buckets_of_one_name_are_neither() {
    let world = World::with(|snapshot| {
        for tenant in &mut snapshot.tenants {
            tenant.buckets[0].public_read = true;
        }
    })
    .await;
    assert_eq!(
        unsigned(&world, "GET", "/shared-name/k", "").await.code(),
        "AccessDenied"
    );
    world.assert_engine_saw_nothing("an ambiguous name");
}

#[tokio::test]
async fn strangers_count_towards_the_owners_limit() {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].buckets[1].public_read = true;
        snapshot.tenants[0].limits.requests_per_second = 1;
        snapshot.tenants[0].limits.burst = 2;
    })
    .await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(unsigned(&world, "HEAD", "/abkt", "").await.status);
    }
    assert_eq!(codes[..2], [200, 200]);
    assert!(codes.contains(&503), "{codes:?}");
}

fn rules() -> Vec<CorsRule> {
    vec![CorsRule {
        allowed_origins: vec!["https://app.example".into()],
        allowed_methods: vec!["GET".into(), "PUT".into()],
        allowed_headers: vec!["*".into()],
        ..CorsRule::default()
    }]
}

const PREFLIGHT: &str = "origin: https://app.example\r\naccess-control-request-method: PUT\r\n";

#[tokio::test]
async fn preflights_are_answered_here() {
    let world = World::with(|snapshot| snapshot.tenants[0].buckets[1].cors = rules()).await;
    let good = unsigned(&world, "OPTIONS", "/abkt/k", PREFLIGHT).await;
    assert_eq!(good.status, 200);
    assert_eq!(
        good.headers["access-control-allow-origin"],
        "https://app.example"
    );
    let evil = PREFLIGHT.replace("app.example", "evil.example");
    let missing = unsigned(&world, "OPTIONS", "/nobodys/k", PREFLIGHT).await;
    for (target, headers) in [
        ("/abkt/k", evil.as_str()),
        ("/bvic/k", PREFLIGHT),
        ("/shared-name/k", PREFLIGHT),
    ] {
        let refused = unsigned(&world, "OPTIONS", target, headers).await;
        assert_eq!(
            (refused.status, refused.code()),
            (403, "AccessForbidden"),
            "{target}"
        );
        assert_eq!(
            refused.body_without_id().replace(target, ""),
            missing.body_without_id().replace("/nobodys/k", "")
        );
    }
    world.assert_engine_saw_nothing("preflights");
}

#[tokio::test]
async fn answers_bear_the_rule_that_fits_and_refusals_too() {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].buckets[1].cors = rules();
        snapshot.tenants[1].buckets[0].cors = rules();
    })
    .await;
    let origin = ("origin", "https://app.example");
    let allowed = |answer: &Answer| answer.headers.get("access-control-allow-origin").cloned();
    let got = world
        .a
        .call("GET", "/abkt/k")
        .header(origin.0, origin.1)
        .send()
        .await;
    assert_eq!(
        (got.status, allowed(&got).as_deref()),
        (404, Some("https://app.example"))
    );
    let refused = unsigned(&world, "PUT", "/abkt/k", "origin: https://app.example\r\n").await;
    assert_eq!(
        (refused.status, allowed(&refused).as_deref()),
        (403, Some("https://app.example"))
    );
    let other = world
        .a
        .call("GET", "/abkt/k")
        .header("origin", "https://evil")
        .send()
        .await;
    assert_eq!(allowed(&other), None);
    // The rules of another tenant's bucket of the same name are not this one's.
    let own = world
        .a
        .call("GET", "/shared-name/k")
        .header(origin.0, origin.1)
        .send()
        .await;
    assert_eq!(allowed(&own), None);
}

#[tokio::test]
async fn a_bucket_that_is_going_is_nobodys_business() {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].buckets[1].cors = rules();
        snapshot.tenants[0].buckets[1].status = BucketStatus::Deleting;
    })
    .await;
    let refused = unsigned(&world, "OPTIONS", "/abkt/k", PREFLIGHT).await;
    assert_eq!(refused.code(), "AccessForbidden");
}
