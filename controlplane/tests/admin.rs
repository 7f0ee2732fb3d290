//! The operator's API: closed without the token, exact in what it takes and answers.

use chrono::Duration;
use controlplane::buckets::{self, NewBucket};
use controlplane::{Actor, Origin};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::{BucketSetting, CorsRule, TenantStatus};

use crate::plane::{ADMIN_TOKEN, Plane};

#[tokio::test]
async fn row_07_no_admin_route_opens_without_the_admin_token() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let session = plane.sign_up("one@example.com").await;
    let node_token = node.token(plane.clock.now());
    let almost = &ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1];
    let foreign = ["", almost, session.token.expose(), &node_token];
    let table = controlplane::admin_route_table();
    assert!(table.len() >= 13);
    for (method, path) in table {
        let path = path.replace("{id}", &"0".repeat(32)).replace("{akid}", "A");
        for token in foreign.iter().copied().map(Some).chain([None]) {
            let (status, problem) = plane.request(method.clone(), &path, token, None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(problem["status"], json!(401));
        }
        let (status, _) = plane
            .request(method.clone(), &path, Some(ADMIN_TOKEN), None)
            .await;
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    // Nor does it tell which routes there are.
    let (status, _) = plane
        .request(Method::GET, "/api/v1/admin/nothing", None, None)
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = plane.admin(Method::GET, "/nothing", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    plane.stop().await;
}

#[tokio::test]
async fn a_tenant_is_made_shown_limited_suspended_and_resumed() {
    let plane = Plane::start().await;
    let body = json!({ "name": "Acme", "email": "Ann@Example.com", "plan": "business" });
    let (status, made) = plane.admin(Method::POST, "/tenants", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(made["endpoint"], "http://127.0.0.1:9000");
    assert_eq!(made["region"], "us-east-1");
    assert_eq!(made["access_key_id"].as_str().unwrap().len(), 20);
    assert_eq!(made["secret_access_key"].as_str().unwrap().len(), 40);
    let id = made["tenant_id"].as_str().unwrap();
    let path = format!("/tenants/{id}");
    let (_, shown) = plane.admin(Method::GET, &path, None).await;
    let mut expected = json!({
        "tenant_id": id, "name": "Acme", "email": "ann@example.com", "status": "active", "plan": "business",
        "requests_per_second": 100, "burst": 200, "concurrent_requests": null, "bytes_per_second": null,
        "quota_bytes": null, "max_staleness_seconds": null,
        "quota_objects": null, "quota_egress_bytes": null, "bucket_limit": 100, "access_key_limit": 500,
        "created_at": "2026-03-01T12:00:00Z", "trial_ends_at": null, "engine": null,
    });
    let (_, list) = plane.admin(Method::GET, "/tenants", None).await;
    assert_eq!(list["tenants"], json!([expected]));
    expected["stored_bytes"] = json!(0);
    expected["objects"] = json!(0);
    expected["egress_bytes"] = json!(0);
    assert_eq!(shown, expected);

    let change = json!({ "requests_per_second": 5, "quota_bytes": 1000 });
    let (status, changed) = plane.admin(Method::PATCH, &path, Some(change)).await;
    assert_eq!(status, StatusCode::OK);
    let figures = |t: &Value| {
        (
            t["requests_per_second"].clone(),
            t["burst"].clone(),
            t["quota_bytes"].clone(),
        )
    };
    assert_eq!(figures(&changed), (json!(5), json!(200), json!(1000)));
    let change = json!({ "requests_per_second": null });
    let (_, changed) = plane.admin(Method::PATCH, &path, Some(change)).await;
    assert_eq!(
        figures(&changed),
        (json!(100), json!(200), json!(1000)),
        "the plan's again"
    );

    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    assert_eq!(
        stream.snapshot().await.tenants[0].limits.quota_bytes,
        Some(1000)
    );
    for (verb, word, status) in [
        ("suspend", "suspended", TenantStatus::Suspended),
        ("resume", "active", TenantStatus::Active),
    ] {
        let (_, tenant) = plane
            .admin(Method::POST, &format!("{path}/{verb}"), None)
            .await;
        assert_eq!(tenant["status"], json!(word));
        assert_eq!(stream.tenant().await.status, status);
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_refusal_names_the_field_and_changes_nothing() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let path = format!("/tenants/{}", tenant.id);
    let keys = format!("{path}/access-keys");
    let cases = [
        (Method::POST, "/tenants", json!({ "name": "x" }), "email"),
        (
            Method::POST,
            "/tenants",
            json!({ "name": "x", "email": "x" }),
            "email",
        ),
        (
            Method::POST,
            "/tenants",
            json!({ "name": "x", "email": "ONE@example.com" }),
            "email",
        ),
        (
            Method::POST,
            "/tenants",
            json!({ "name": " ", "email": "a@b" }),
            "name",
        ),
        (
            Method::POST,
            "/tenants",
            json!({ "name": "x", "email": "a@b", "plan": "free" }),
            "plan",
        ),
        (
            Method::POST,
            "/tenants",
            json!({ "name": "x", "email": "a@b", "admin": true }),
            "admin",
        ),
        (Method::PATCH, path.as_str(), json!({ "burst": 0 }), "burst"),
        (
            Method::PATCH,
            path.as_str(),
            json!({ "burst": "9" }),
            "burst",
        ),
        (
            Method::PATCH,
            path.as_str(),
            json!({ "quota_bytes": -1 }),
            "quota_bytes",
        ),
        (
            Method::PATCH,
            path.as_str(),
            json!({ "quota_bytes": u64::MAX }),
            "quota_bytes",
        ),
        (
            Method::PATCH,
            path.as_str(),
            json!({ "price_cents": 0 }),
            "price_cents",
        ),
        (
            Method::POST,
            keys.as_str(),
            json!({ "permission": "root" }),
            "permission",
        ),
        (
            Method::POST,
            keys.as_str(),
            json!({ "buckets": ["../x"] }),
            "buckets",
        ),
        (
            Method::POST,
            keys.as_str(),
            json!({ "expires_in_seconds": 0 }),
            "expires_at",
        ),
        (
            Method::POST,
            keys.as_str(),
            json!({ "actions": ["list", "admin"] }),
            "actions",
        ),
        (
            Method::POST,
            keys.as_str(),
            json!({ "permission": "read", "actions": ["write"] }),
            "actions",
        ),
        (
            Method::POST,
            keys.as_str(),
            json!({ "source_addresses": ["10.0.0.0/33"] }),
            "source_addresses",
        ),
        (
            Method::POST,
            keys.as_str(),
            json!({ "source_addresses": vec!["10.0.0.1"; 101] }),
            "source_addresses",
        ),
    ];
    for (method, path, body, field) in cases {
        let (status, problem) = plane.admin(method, path, Some(body.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(problem["field"], json!(field), "{body}: {problem}");
    }
    let (_, list) = plane.admin(Method::GET, "/tenants", None).await;
    assert_eq!(list["tenants"].as_array().unwrap().len(), 1);
    assert_eq!(list["tenants"][0]["burst"], json!(200));
    let nobody = format!("/tenants/{}", "0".repeat(32));
    for (method, path) in [
        (Method::GET, nobody.clone()),
        (Method::PATCH, nobody.clone()),
        (Method::POST, format!("{nobody}/suspend")),
        (Method::GET, format!("{nobody}/access-keys")),
        (Method::GET, format!("{nobody}/buckets")),
        (Method::POST, format!("{nobody}/access-keys")),
        (Method::GET, "/tenants/x".to_owned()),
    ] {
        let (status, _) = plane.admin(method, &path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn an_access_key_bears_its_scope_and_its_end() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let path = format!("/tenants/{}/access-keys", tenant.id);
    let body = json!({
        "name": "backup", "buckets": ["photos"], "prefixes": ["2026/"], "permission": "read",
        "actions": ["read"], "source_addresses": ["203.0.113.7", "10.1.2.3/8"], "expires_in_seconds": 3600,
    });
    let (status, made) = plane.admin(Method::POST, &path, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(made["expires_at"], "2026-03-01T13:00:00Z");
    let node = plane.node().await;
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    let id = made["access_key_id"].as_str().unwrap();
    let pushed = snapshot.tenants[0]
        .access_keys
        .iter()
        .find(|k| k.access_key_id == id)
        .unwrap();
    assert_eq!(pushed.scope.buckets, ["photos"]);
    assert_eq!(pushed.scope.prefixes, ["2026/"]);
    assert_eq!(pushed.scope.permission, wire::Permission::Read);
    assert_eq!(pushed.scope.actions, [wire::Action::Read]);
    let networks = ["203.0.113.7/32", "10.0.0.0/8"];
    assert_eq!(json!(pushed.scope.source_addresses), json!(networks));
    assert_eq!(
        pushed.expires_at,
        Some(plane.clock.now() + Duration::hours(1))
    );
    let (_, list) = plane.admin(Method::GET, &path, None).await;
    assert_eq!(list["access_keys"].as_array().unwrap().len(), 2);
    assert!(list.to_string().contains("backup") && !list.to_string().contains("secret"));
    let scope = &list["access_keys"].as_array().unwrap().iter();
    let mut scopes = scope.clone().map(|key| &key["scope"]);
    assert!(
        scopes.any(|s| s["actions"] == json!(["read"]) && s["source_addresses"] == json!(networks))
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_tenants_buckets_are_listed_with_their_settings() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let make = async |tenant, name: &str, public_read| {
        let new = NewBucket {
            name: name.to_owned(),
            public_read,
            ..NewBucket::default()
        };
        let made = buckets::create(&plane.cp, tenant, new, Actor::Operator, Origin::default());
        made.await.unwrap()
    };
    make(one.id, "photos", true).await;
    make(one.id, "backup", false).await;
    make(two.id, "others", false).await;
    let cors = BucketSetting::Cors(vec![CorsRule {
        allowed_origins: vec!["*".to_owned()],
        allowed_methods: vec!["GET".to_owned()],
        ..CorsRule::default()
    }]);
    let (actor, origin) = (Actor::Operator, Origin::default());
    let set = buckets::set(&plane.cp, one.id, "photos", cors, actor, origin);
    set.await.unwrap();
    let path = format!("/tenants/{}/buckets", one.id);
    let (status, body) = plane.admin(Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::OK);
    let bucket = |name: &str, public_read: bool, cors_rules: u32| {
        json!({
            "name": name, "created_at": "2026-03-01T12:00:00Z", "public_read": public_read,
            "object_lock": false, "cors_rules": cors_rules,
        })
    };
    let expected = json!({ "buckets": [bucket("backup", false, 0), bucket("photos", true, 1)] });
    assert_eq!(body, expected);
    plane.stop().await;
}

#[tokio::test]
async fn the_plans_are_those_that_are_sold() {
    let plane = Plane::start().await;
    let (_, body) = plane.admin(Method::GET, "/plans", None).await;
    let plans = body["plans"].as_array().unwrap();
    assert_eq!(plans.len(), 2);
    assert_eq!(
        (&plans[0]["id"], &plans[0]["price_cents"]),
        (&json!("trial"), &json!(0))
    );
    assert_eq!(plans[0]["trial_days"], json!(14));
    assert_eq!(plans[0]["quota_bytes"], json!(25_000_000_000_u64));
    assert_eq!(
        (&plans[1]["id"], &plans[1]["price_cents"]),
        (&json!("business"), &json!(149_900))
    );
    assert_eq!(plans[1]["storage_bytes"], json!(40_000_000_000_000_u64));
    assert_eq!(
        (&plans[1]["requests_per_second"], &plans[1]["burst"]),
        (&json!(100), &json!(200))
    );
    plane.stop().await;
}
