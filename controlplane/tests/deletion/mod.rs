//! An account that its owner deletes: refused at once, restored within thirty days, and gone after them.

mod billing;
mod export;
mod gone;

use chrono::Duration;
use controlplane::accounts::{self, Session, SignedIn};
use controlplane::api_tokens::{self, NewApiToken, TokenScope};
use controlplane::deletion::{self, Deleted};
use controlplane::ids::TenantId;
use controlplane::{Actor, Error, Origin, access_keys, buckets, members};
use http::{Method, StatusCode};
use serde_json::json;
use wire::TenantStatus;

use crate::accounts::{log_in, status};
use crate::authenticator::Authenticator;
use crate::plane::{PASSWORD, Plane};

pub async fn delete(
    plane: &Plane,
    by: &Session,
    company: &str,
    password: &str,
) -> Result<Deleted, Error> {
    deletion::delete(&plane.cp, by, company, password, "", &Origin::default()).await
}

async fn key(plane: &Plane, tenant: TenantId) {
    let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
    let new = access_keys::NewAccessKey {
        name: "backup".to_owned(),
        ..Default::default()
    };
    access_keys::create(&mut tx, &plane.cp, new).await.unwrap();
    tx.commit().await.unwrap();
}

/// Makes one, and gives where it is at the engine.
async fn bucket(plane: &Plane, tenant: TenantId, name: &str) -> (String, String) {
    let new = buckets::NewBucket {
        name: name.to_owned(),
        ..Default::default()
    };
    buckets::create(&plane.cp, tenant, new, Actor::System, Origin::default())
        .await
        .unwrap();
    let mut conn = plane.database.superuser().await;
    sqlx::query_as("SELECT engine_bucket, prefix FROM buckets WHERE tenant_id = $1 AND name = $2")
        .bind(tenant.0)
        .bind(name)
        .fetch_one(&mut conn)
        .await
        .unwrap()
}

async fn token(plane: &Plane, by: &Session) -> String {
    let new = NewApiToken {
        name: "deploy".to_owned(),
        scopes: vec![TokenScope::Read],
        expires_at: None,
    };
    let mut tx = plane.cp.begin_tenant(by.tenant_id).await.unwrap();
    let made = api_tokens::create(&mut tx, &plane.cp, &by.into(), new).await;
    tx.commit().await.unwrap();
    made.unwrap().token.to_string()
}

/// What the API answers to it.
async fn asked(plane: &Plane, token: &str) -> StatusCode {
    let path = "/api/v1/buckets";
    plane.request(Method::GET, path, Some(token), None).await.0
}

async fn colleague(plane: &Plane, owner: &SignedIn, email: &str, role: &str) -> SignedIn {
    let origin = Origin::default();
    members::invite(&plane.cp, &owner.session, email, role, &origin)
        .await
        .unwrap();
    let token = plane.mail("invitation", email).await.token();
    members::accept(&plane.cp, &token, PASSWORD, &origin)
        .await
        .unwrap()
}

/// A row in each of `gone::SETTINGS` and `gone::BOOKS`.
async fn paid(plane: &Plane, tenant: TenantId) {
    let id = tenant.0;
    let sql = format!(
        "INSERT INTO access_key_uses VALUES ('{id}', 'VK1', now());
         INSERT INTO spending (tenant_id, cap_cents, webhook_url, webhook_secret)
             VALUES ('{id}', 500, 'https://example.com/hook-{id}', 'sealed-secret');
         INSERT INTO usage_alerts VALUES ('{id}', 'storage', '2026-03-01', 50, '2026-03-01');
         INSERT INTO customer_webhooks (id, tenant_id, body, created_at, next_attempt_at)
             VALUES (gen_random_uuid(), '{id}', '{{}}', '2026-03-01', 'infinity');
         INSERT INTO metered VALUES ('{id}', 'storage', '2026-03-01', 1);
         INSERT INTO meter_events (identifier, tenant_id, live, customer_id, kind, quantity, at, created_at,
                                   next_attempt_at)
             VALUES ('{id}', '{id}', false, 'cus_{id}', 'storage', 1, '2026-03-01', '2026-03-01', '2026-03-01');
         INSERT INTO invoices (id, tenant_id, company, email, currency, lines, total_cents, period_from, period_to,
                               usage_to, issued_at)
             VALUES (gen_random_uuid(), '{id}', 'Acme', 'to-{id}@example.com', 'usd', '[]', 149900, '2026-03-01',
                     '2026-04-01', '2026-03-01', '2026-03-01');
         INSERT INTO stripe_customers (tenant_id, live, customer_id) VALUES ('{id}', false, 'cus_{id}');
         INSERT INTO stripe_invoices (invoice_id, tenant_id, live, status, currency, total_cents, amount_paid_cents,
                                      created_at)
             VALUES ('in_{id}', '{id}', false, 'paid', 'usd', 149900, 149900, '2026-03-01');
         INSERT INTO billing_accounts (tenant_id, since) VALUES ('{id}', '2026-03-01') ON CONFLICT DO NOTHING;"
    );
    plane.database.execute(&sql).await;
}

#[tokio::test]
async fn an_account_is_deleted_by_its_owner_who_says_so_twice() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let bob = colleague(&plane, &ann, "bob@example.com", "admin").await;
    let eve = plane.sign_up("eve@example.com").await;
    let (tenant, name) = (ann.session.tenant_id, ann.session.company.clone());
    key(&plane, tenant).await;
    bucket(&plane, tenant, "photos").await;
    let (hers, foreign) = (
        token(&plane, &ann.session).await,
        token(&plane, &eve.session).await,
    );
    assert_eq!(asked(&plane, &hers).await, StatusCode::OK);
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let start = stream.snapshot().await.revision;
    stream.ack(start).await;
    let mut heard = stream.obey();

    let refused = delete(&plane, &bob.session, &name, PASSWORD).await;
    assert_eq!(status(&refused), 403, "an admin is no owner");
    for wrong in ["", "Acm", &name.to_uppercase(), "Another"] {
        let refused = delete(&plane, &ann.session, wrong, PASSWORD).await;
        assert_eq!(refused.unwrap_err().field(), Some("company"), "{wrong}");
    }
    let refused = delete(&plane, &ann.session, &name, "wrong").await;
    assert_eq!(refused.unwrap_err().field(), Some("password"));
    assert!(
        accounts::session(&plane.cp, &bob.token)
            .await
            .unwrap()
            .is_some()
    );

    let deleted = delete(&plane, &ann.session, &format!(" {name} "), PASSWORD)
        .await
        .unwrap();
    assert_eq!(deleted.remove_after, plane.clock.now() + Duration::days(30));
    let receipt = plane
        .cp
        .wait_applied(deleted.revision, std::time::Duration::from_secs(10))
        .await;
    assert_eq!((receipt.nodes.len(), receipt.pending.len()), (1, 0));
    match heard.recv().await {
        Some(wire::ToNode::Tenant(document)) => {
            assert_eq!(document.tenant_id, tenant.to_string());
            assert_eq!(document.status, TenantStatus::Deleted);
            assert!(document.access_keys.is_empty() && document.buckets.is_empty());
        }
        other => panic!("{other:?}"),
    }
    let usable = "SELECT count(*) FROM access_keys WHERE revoked_at IS NULL";
    assert_eq!(plane.database.count(usable).await, 0);
    assert_eq!(asked(&plane, &hers).await, StatusCode::UNAUTHORIZED);
    assert_eq!(asked(&plane, &foreign).await, StatusCode::OK);
    for member in [&ann, &bob] {
        assert!(
            accounts::session(&plane.cp, &member.token)
                .await
                .unwrap()
                .is_none()
        );
        let email = &member.session.email;
        assert_eq!(status(&log_in(&plane, email, PASSWORD).await), 401);
        let mail = plane.mail("account_deleted", email).await;
        assert!(
            mail.text.contains(&tenant.to_string()) && mail.text.contains("31 Mar 2026"),
            "{}",
            mail.text
        );
    }
    let again = delete(&plane, &ann.session, &name, PASSWORD).await;
    assert_eq!(
        again.unwrap_err().field(),
        Some("password"),
        "she has none any more"
    );
    assert!(
        accounts::session(&plane.cp, &eve.token)
            .await
            .unwrap()
            .is_some(),
        "another's goes on"
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_second_step_is_asked_for_where_there_is_one_and_opens_nothing_afterwards() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (cp, origin, name) = (&plane.cp, Origin::default(), ann.session.company.clone());
    let mut device = Authenticator::at("http://localhost:8080");
    let begun = accounts::begin_passkey(cp, &ann.session, "a", PASSWORD, "", &origin)
        .await
        .unwrap();
    let made = device.make(&begun.options);
    let codes = accounts::add_passkey(cp, &ann.session, &made, &origin)
        .await
        .unwrap()
        .unwrap();
    let refused = delete(&plane, &ann.session, &name, PASSWORD).await;
    assert_eq!(refused.unwrap_err().field(), Some("code"));
    deletion::delete(cp, &ann.session, &name, PASSWORD, &codes.0[0], &origin)
        .await
        .unwrap();
    let (token, begun) = accounts::begin_passkey_log_in(cp, &origin).await.unwrap();
    let answer = device.answer(&begun.options);
    let refused = accounts::log_in_with_passkey(cp, &token, &answer, &origin).await;
    assert_eq!(status(&refused), 401);
    plane.stop().await;
}

#[tokio::test]
async fn the_operator_restores_it_within_its_time_as_it_was() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let (tenant, name) = (ann.session.tenant_id, ann.session.company.clone());
    key(&plane, tenant).await;
    // A trial goes on ending while its account is deleted.
    let endless = "UPDATE tenants SET trial_ends_at = NULL";
    plane.database.execute(endless).await;
    let old = token(&plane, &ann.session).await;
    let (engine_bucket, _) = bucket(&plane, tenant, "photos").await;
    let path = format!("/tenants/{tenant}");
    let restore = async || {
        let (status, body) = plane
            .admin(Method::POST, &format!("{path}/restore"), None)
            .await;
        (status, body)
    };
    assert_eq!(restore().await.0, StatusCode::CONFLICT, "it is not deleted");
    plane
        .admin(Method::POST, &format!("{path}/suspend"), None)
        .await;
    delete(&plane, &ann.session, &name, PASSWORD).await.unwrap();
    for verb in ["suspend", "resume"] {
        let (status, _) = plane
            .admin(Method::POST, &format!("{path}/{verb}"), None)
            .await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{verb}");
    }
    let (_, listed) = plane.admin(Method::GET, "/tenants", None).await;
    assert_eq!(listed["tenants"], json!([]));
    let (_, listed) = plane.admin(Method::GET, "/deleted-tenants", None).await;
    let expected = json!([{
        "tenant_id": tenant, "name": name, "email": "ann@example.com",
        "deleted_at": "2026-03-01T12:00:00Z", "remove_after": "2026-03-31T12:00:00Z",
    }]);
    assert_eq!(listed["tenants"], expected);

    plane
        .clock
        .advance(Duration::days(30) - Duration::seconds(1));
    assert_eq!(
        deletion::remove_due(&plane.cp).await.unwrap(),
        0,
        "its time is not over"
    );
    let (status_, body) = restore().await;
    assert_eq!(
        (status_, &body["status"]),
        (StatusCode::OK, &json!("suspended")),
        "as before"
    );
    let (_, body) = plane
        .admin(Method::POST, &format!("{path}/resume"), None)
        .await;
    assert_eq!(body["status"], json!("active"));
    let again = log_in(&plane, "ann@example.com", PASSWORD).await;
    assert!(again.is_ok());
    assert_eq!(
        asked(&plane, &old).await,
        StatusCode::UNAUTHORIZED,
        "a token stays revoked"
    );
    let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
    assert_eq!(buckets::list(&mut tx).await.unwrap().len(), 1);
    let keys = access_keys::list(&mut tx).await.unwrap();
    assert!(
        keys.iter().all(|key| key.revoked_at.is_some()),
        "what was revoked stays so"
    );
    drop(tx);
    assert!(plane.engine.bucket(&engine_bucket).is_some());
    let (_, listed) = plane.admin(Method::GET, "/deleted-tenants", None).await;
    assert_eq!(listed["tenants"], json!([]));
    plane.clock.advance(Duration::days(40));
    assert_eq!(
        deletion::remove_due(&plane.cp).await.unwrap(),
        0,
        "it is not forgotten that it came back"
    );
    plane.stop().await;
}
