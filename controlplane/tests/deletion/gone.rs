//! After its time an account is gone: its objects, and its rows but for what bookkeeping needs.

use chrono::Duration;
use controlplane::ids::TenantId;
use controlplane::{Origin, PlacementKind, accounts, audit, deletion};
use http::{Method, StatusCode};

use super::{bucket, delete, key, paid, token};
use crate::engine::{ALL, Lack};
use crate::plane::{PASSWORD, Plane};

const SETTINGS: [&str; 6] = [
    "access_key_uses",
    "spending",
    "usage_alerts",
    "customer_webhooks",
    "metered",
    "meter_events",
];
const BOOKS: [&str; 4] = [
    "invoices",
    "stripe_invoices",
    "stripe_customers",
    "billing_accounts",
];

async fn rows(plane: &Plane, table: &str, tenant: TenantId) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM {table} WHERE tenant_id = '{}'",
        tenant.0
    );
    plane.database.count(&sql).await
}

#[tokio::test]
async fn after_its_time_objects_and_rows_go_and_what_bookkeeping_needs_stays() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let eve = plane.sign_up("eve@example.com").await;
    let (tenant, name) = (ann.session.tenant_id, ann.session.company.clone());
    key(&plane, tenant).await;
    let (photos, _) = bucket(&plane, tenant, "photos").await;
    let (papers, _) = bucket(&plane, tenant, "papers").await;
    let (hers, _) = bucket(&plane, eve.session.tenant_id, "photos").await;
    for name in [&photos, &papers, &hers] {
        plane.engine.change(name, |bucket| {
            bucket.versioned = *name == photos;
            bucket.put("a");
            bucket.put("a");
            bucket.put("b/c");
            bucket.remove("b/c");
            bucket.uploads.insert("big".to_owned());
        });
    }
    let booked = format!(
        "INSERT INTO usage_hours SELECT tenant_id, '2026-03-01', id, '', 'a', 1, 0, 0, 14, 2 FROM buckets;
         INSERT INTO bucket_usage (tenant_id, bucket_id, stored_bytes, objects)
             SELECT tenant_id, id, 14, 2 FROM buckets WHERE tenant_id = '{}';",
        tenant.0
    );
    plane.database.execute(&booked).await;
    token(&plane, &ann.session).await;
    paid(&plane, tenant).await;
    paid(&plane, eve.session.tenant_id).await;
    delete(&plane, &ann.session, &name, PASSWORD).await.unwrap();
    let again = crate::sign_up::sign_up("ann@example.com");
    let taken = accounts::sign_up(&plane.cp, again, &Origin::default()).await;
    assert!(taken.unwrap().link.is_none(), "her address is still hers");

    plane.clock.advance(Duration::days(30));
    plane.engine.set_broken(true);
    assert_eq!(
        deletion::remove_due(&plane.cp).await.unwrap(),
        0,
        "the engine is down"
    );
    let path = format!("/tenants/{tenant}/restore");
    assert_eq!(
        plane.admin(Method::POST, &path, None).await.0,
        StatusCode::CONFLICT,
        "too late"
    );
    plane.engine.set_broken(false);
    let beside = plane.beside().await;
    let (one, other) = tokio::join!(
        deletion::remove_due(&plane.cp),
        deletion::remove_due(&beside)
    );
    assert!(one.unwrap() + other.unwrap() >= 1);
    beside.shut_down().await;
    assert_eq!(
        deletion::remove_due(&plane.cp).await.unwrap(),
        0,
        "and that was all"
    );

    assert_eq!(plane.engine.buckets(), [hers.as_str()]);
    assert_eq!(
        plane.engine.bucket(&hers).unwrap().keys(),
        ["a"],
        "hers are as they were"
    );
    for table in [
        "members",
        "sessions",
        "passkeys",
        "access_keys",
        "buckets",
        "bucket_usage",
        "tenant_usage",
        "leases",
        "api_tokens",
        "idempotent_requests",
        "access_key_uses",
        "spending",
        "usage_alerts",
        "customer_webhooks",
        "metered",
        "meter_events",
    ] {
        assert_eq!(rows(&plane, table, tenant).await, 0, "{table}");
    }
    for table in SETTINGS {
        assert_eq!(
            rows(&plane, table, eve.session.tenant_id).await,
            1,
            "{table}"
        );
    }
    for table in BOOKS {
        assert_eq!(rows(&plane, table, tenant).await, 1, "{table}");
    }
    let hours = format!(
        "SELECT count(*) FROM usage_hours WHERE tenant_id = '{}'",
        tenant.0
    );
    assert_eq!(
        plane.database.count(&hours).await,
        4,
        "what was booked, and that it was given back"
    );
    let stored = format!(
        "SELECT sum(stored_delta)::bigint FROM usage_hours WHERE tenant_id = '{}'",
        tenant.0
    );
    assert_eq!(plane.database.count(&stored).await, 0);
    let kept = format!(
        "SELECT count(*) FROM tenants WHERE id = '{}' AND name <> '' AND email = ''",
        tenant.0
    );
    assert_eq!(plane.database.count(&kept).await, 1);
    let mut tx = plane.cp.begin_system().await.unwrap();
    assert_eq!(
        audit::verify(&mut tx).await.unwrap().1,
        [],
        "its audit log is whole"
    );
    drop(tx);
    assert_eq!(
        plane.sign_up("ann@example.com").await.session.email,
        "ann@example.com"
    );
    plane.stop().await;
}

#[tokio::test]
async fn in_a_pool_nothing_of_a_neighbours_is_touched_and_a_locked_object_stays() {
    let plane = Plane::with(PlacementKind::Pooled).await;
    plane.engine.set_abilities(ALL, Lack::NotImplemented);
    let ann = plane.sign_up("ann@example.com").await;
    let eve = plane.sign_up("eve@example.com").await;
    let name = ann.session.company.clone();
    let (pool, own) = bucket(&plane, ann.session.tenant_id, "photos").await;
    let (_, foreign) = bucket(&plane, eve.session.tenant_id, "photos").await;
    plane.engine.change(&pool, |bucket| {
        for prefix in [&own, &foreign] {
            bucket.put(&format!("{prefix}a"));
            bucket.put(&format!("{prefix}b"));
        }
    });
    delete(&plane, &ann.session, &name, PASSWORD).await.unwrap();
    plane.clock.advance(Duration::days(31));
    plane.engine.deny(Method::DELETE, "x-id");
    assert_eq!(
        deletion::remove_due(&plane.cp).await.unwrap(),
        0,
        "the engine lets none go"
    );
    let members = format!(
        "SELECT count(*) FROM members WHERE tenant_id = '{}'",
        ann.session.tenant_id.0
    );
    assert_eq!(
        plane.database.count(&members).await,
        1,
        "nothing is forgotten before the objects are gone"
    );
    plane.engine.deny(Method::DELETE, "nothing");
    assert_eq!(deletion::remove_due(&plane.cp).await.unwrap(), 1);
    let left = plane.engine.bucket(&pool).unwrap();
    assert_eq!(left.keys(), [format!("{foreign}a"), format!("{foreign}b")]);
    plane.stop().await;
}
