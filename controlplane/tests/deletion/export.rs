//! What an owner takes along: everything of the account, and nothing that is secret or another's.

use controlplane::{Origin, export};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{bucket, colleague, key, paid, token};
use crate::accounts::status;
use crate::plane::{Plane, eventually};

#[tokio::test]
async fn the_export_is_whole_and_holds_no_secret_and_nothing_of_anothers() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let bob = colleague(&plane, &ann, "bob@example.com", "admin").await;
    let eve = plane.sign_up("eve@example.com").await;
    for tenant in [ann.session.tenant_id, eve.session.tenant_id] {
        key(&plane, tenant).await;
        bucket(&plane, tenant, "photos").await;
    }
    token(&plane, &ann.session).await;
    for tenant in [ann.session.tenant_id, eve.session.tenant_id] {
        paid(&plane, tenant).await;
    }
    // More than one page.
    let many = format!(
        "INSERT INTO usage_hours SELECT '{}', timestamptz '2026-01-01' + n * interval '1 hour', gen_random_uuid(), '',
             'a', n, 0, 0, 0, 0 FROM generate_series(1, 2500) n",
        ann.session.tenant_id.0
    );
    plane.database.execute(&many).await;
    let origin = Origin::default();
    assert_eq!(
        status(
            &export::export(&plane.cp, &bob.session, &origin)
                .await
                .map(drop)
        ),
        403
    );
    let pages = export::export(&plane.cp, &ann.session, &origin)
        .await
        .unwrap();
    let pages: Vec<_> = pages.map(Result::unwrap).collect().await;
    let text = String::from_utf8(pages.concat()).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["account"]["id"], json!(ann.session.tenant_id));
    let mut emails: Vec<_> = read["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["email"].as_str().unwrap())
        .collect();
    emails.sort_unstable();
    assert_eq!(emails, ["ann@example.com", "bob@example.com"]);
    assert_eq!(read["access_keys"][0]["name"], "backup");
    assert_eq!(read["buckets"][0]["name"], "photos");
    assert_eq!(read["api_tokens"][0]["name"], "deploy");
    assert_eq!(read["invoices"][0]["total_cents"], 149_900);
    assert_eq!(read["stripe_invoices"][0]["status"], "paid");
    assert_eq!(read["alerts"][0]["cap_cents"], 500);
    for section in ["api_tokens", "invoices", "stripe_invoices", "alerts"] {
        assert_eq!(read[section].as_array().unwrap().len(), 1, "{section}");
    }
    assert!(!text.contains(&eve.session.tenant_id.to_string()));
    let hours = read["usage_by_hour"].as_array().unwrap();
    assert_eq!(hours.len(), 2500);
    assert!(
        hours
            .iter()
            .enumerate()
            .all(|(n, hour)| hour["requests"] == json!(n + 1))
    );
    let actions: Vec<_> = read["audit_log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions.first(), Some(&"tenant.create"));
    assert_eq!(actions.last(), Some(&"tenant.export"));
    assert!(!text.contains("eve@example.com"));
    for secret in [
        "password_hash",
        "argon2",
        "token_hash",
        "\"secret",
        "session_hash",
        "webhook_secret",
        "sealed-secret",
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
    plane.stop().await;
}

/// A page that nobody reads on holds nothing up.
#[tokio::test]
async fn an_export_that_nobody_reads_ends() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let pages = export::export(&plane.cp, &ann.session, &Origin::default())
        .await
        .unwrap();
    drop(pages);
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    eventually(async || plane.database.count(open).await == 0).await;
    plane.stop().await;
}
