//! The audit log's chain: it holds by itself, and whoever gets past the database's rights breaks it.

use controlplane::audit::{self, Filter};
use http::Method;
use sqlx::AssertSqlSafe;

use crate::plane::Plane;

async fn reasons(plane: &Plane) -> Vec<String> {
    let (status, answer) = plane.admin(Method::GET, "/audit/verify", None).await;
    assert_eq!(status, 200);
    assert!(answer["entries"].as_i64().unwrap() >= 1);
    let broken = answer["broken"].as_array().unwrap();
    broken
        .iter()
        .map(|b| b["reason"].as_str().unwrap().to_owned())
        .collect()
}

async fn tamper(plane: &Plane, sql: &str) {
    let mut conn = plane.database.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut conn)
        .await
        .unwrap();
}

#[tokio::test]
async fn row_15_an_altered_a_removed_and_a_slipped_in_entry_are_found() {
    let plane = Plane::start().await;
    for n in 0..4 {
        plane.tenant(&format!("{n}@example.com")).await;
        plane.sign_up(&format!("m{n}@example.com")).await;
    }
    assert_eq!(reasons(&plane).await, Vec::<String>::new());
    let newest = "(SELECT max(id) FROM audit_log)";
    for (harm, mend, reason) in [
        (
            format!("UPDATE audit_log SET actor = actor || 'x' WHERE id = {newest}"),
            format!("UPDATE audit_log SET actor = left(actor, -1) WHERE id = {newest}"),
            "altered",
        ),
        (
            format!("UPDATE audit_log SET at = at + interval '1 microsecond' WHERE id = {newest}"),
            format!("UPDATE audit_log SET at = at - interval '1 microsecond' WHERE id = {newest}"),
            "altered",
        ),
        (
            format!(
                "CREATE TABLE gone AS SELECT * FROM audit_log WHERE id = {newest};
                     DELETE FROM audit_log WHERE id = {newest}"
            ),
            "ALTER TABLE audit_log DISABLE TRIGGER chain_audit_entry;
             INSERT INTO audit_log OVERRIDING SYSTEM VALUE SELECT * FROM gone;
             ALTER TABLE audit_log ENABLE TRIGGER chain_audit_entry"
                .to_owned(),
            "missing",
        ),
        (
            "ALTER TABLE audit_log DISABLE TRIGGER chain_audit_entry;
             INSERT INTO audit_log (at, actor, action, target) VALUES (now(), 'x', 'slipped', 'in');
             ALTER TABLE audit_log ENABLE TRIGGER chain_audit_entry"
                .to_owned(),
            "DELETE FROM audit_log WHERE action = 'slipped'".to_owned(),
            "unchained",
        ),
    ] {
        tamper(&plane, &harm).await;
        assert_eq!(reasons(&plane).await, [reason], "{harm}");
        tamper(&plane, &mend).await;
        assert_eq!(reasons(&plane).await, Vec::<String>::new(), "{mend}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn changes_at_once_make_one_chain_for_each_tenant() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let tenant = ann.session.tenant_id;
    let mut changes = tokio::task::JoinSet::new();
    for n in 0..12 {
        let cp = plane.cp.clone();
        changes.spawn(async move {
            let mut tx = cp.begin_tenant(tenant).await?;
            let new = controlplane::access_keys::NewAccessKey {
                name: format!("key {n}"),
                ..Default::default()
            };
            controlplane::access_keys::create(&mut tx, &cp, new).await?;
            tx.commit().await
        });
    }
    for done in changes.join_all().await {
        done.unwrap();
    }
    assert_eq!(reasons(&plane).await, Vec::<String>::new());

    let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
    let mut filter = Filter {
        action_prefix: "access_key.".to_owned(),
        limit: 5,
        ..Filter::default()
    };
    let first = audit::page(&mut tx, &filter).await.unwrap();
    assert_eq!(first.len(), 5);
    filter.before = first.last().map(|entry| entry.id);
    filter.limit = 100;
    assert_eq!(audit::page(&mut tx, &filter).await.unwrap().len(), 7);
    filter.actor = "nobody".to_owned();
    assert!(audit::page(&mut tx, &filter).await.unwrap().is_empty());
    plane.stop().await;
}
