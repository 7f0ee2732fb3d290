//! Row-level security: what a forgotten WHERE shows, and what no role may do.

use controlplane::access_keys;
use controlplane::ids::TenantId;
use controlplane::{Actor, Origin, buckets};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::plane::Plane;

const TABLES: &[(&str, &str)] = &[
    ("tenants", "id"),
    ("members", "tenant_id"),
    ("sessions", "tenant_id"),
    ("email_changes", "tenant_id"),
    ("invitations", "tenant_id"),
    ("totp", "tenant_id"),
    ("recovery_codes", "tenant_id"),
    ("passkeys", "tenant_id"),
    ("access_keys", "tenant_id"),
    ("api_tokens", "tenant_id"),
    ("idempotent_requests", "tenant_id"),
    ("buckets", "tenant_id"),
    ("audit_log", "tenant_id"),
    ("usage_hours", "tenant_id"),
    ("bucket_usage", "tenant_id"),
    ("tenant_usage", "tenant_id"),
    ("audit_chain", "tenant_id"),
    ("access_key_uses", "tenant_id"),
    ("allotments", "tenant_id"),
    ("demands", "tenant_id"),
    ("leases", "tenant_id"),
    ("billing_accounts", "tenant_id"),
    ("invoices", "tenant_id"),
    ("stripe_customers", "tenant_id"),
    ("stripe_invoices", "tenant_id"),
    ("usage_alerts", "tenant_id"),
    ("notice_dismissals", "tenant_id"),
];

/// Whose rows a query without any WHERE shows.
async fn owners(conn: &mut PgConnection, table: &str, column: &str) -> Vec<Uuid> {
    let sql = format!("SELECT DISTINCT {column} FROM {table}");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(conn)
        .await
        .unwrap()
}

/// A row in each table of the accounts' that a sign-up leaves empty.
fn accounts_rows(tenant: TenantId) -> String {
    let id = tenant.0;
    let hash = |what: &str| format!("sha256('{what} {id}')");
    let member = format!("(SELECT id FROM members WHERE tenant_id = '{id}')");
    format!(
        "INSERT INTO email_changes (id, tenant_id, member_id, old_email, new_email, undo_hash, expires_at)
             VALUES (gen_random_uuid(), '{id}', {member}, 'a', 'b', {}, now());
         INSERT INTO invitations (id, tenant_id, email, role, token_hash, invited_by, created_at, expires_at)
             VALUES (gen_random_uuid(), '{id}', 'c', 'admin', {}, 'a', now(), now());
         INSERT INTO totp (member_id, tenant_id, secret, last_step, created_at)
             VALUES ({member}, '{id}', '', 0, now());
         INSERT INTO recovery_codes (code_hash, tenant_id, member_id) VALUES ({}, '{id}', {member});
         INSERT INTO api_tokens (id, tenant_id, member_id, name, token_hash, ending, scopes, created_at, expires_at)
             VALUES ('{id}', '{id}', {member}, 'x', {}, 'abcd', '{{}}', now(), now());
         INSERT INTO idempotent_requests (token_id, key_hash, tenant_id, request_hash, created_at)
             VALUES ('{id}', {}, '{id}', {}, now());
         INSERT INTO passkeys (id, tenant_id, member_id, name, credential_id, static_state, dynamic_state, created_at)
             VALUES (gen_random_uuid(), '{id}', {member}, 'a', {}, '', '1234567', now())",
        hash("undo"),
        hash("invitation"),
        hash("code"),
        hash("token"),
        hash("key"),
        hash("request"),
        hash("passkey")
    )
}

/// With a row in each of [`TABLES`].
pub async fn two_tenants(plane: &Plane) -> (TenantId, TenantId) {
    let one = plane.sign_up("one@example.com").await.session.tenant_id;
    let two = plane.sign_up("two@example.com").await.session.tenant_id;
    for tenant in [one, two] {
        plane.database.execute(&accounts_rows(tenant)).await;
        let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
        let new = access_keys::NewAccessKey {
            name: "key".to_owned(),
            ..Default::default()
        };
        access_keys::create(&mut tx, &plane.cp, new).await.unwrap();
        tx.commit().await.unwrap();
        let new = buckets::NewBucket {
            name: "photos".to_owned(),
            ..Default::default()
        };
        buckets::create(&plane.cp, tenant, new, Actor::System, Origin::default())
            .await
            .unwrap();
    }
    plane
        .database
        .execute(
            "INSERT INTO tenant_usage (tenant_id) SELECT id FROM tenants;
             INSERT INTO bucket_usage (tenant_id, bucket_id) SELECT tenant_id, id FROM buckets;
             INSERT INTO usage_hours SELECT tenant_id, now(), id, '', 'a', 1, 0, 0, 0, 0 FROM buckets;
             INSERT INTO access_key_uses (tenant_id, access_key_id, used_at) SELECT id, 'K', now() FROM tenants;
             INSERT INTO nodes (id, public_key, s3_address, last_seen, connected_until, created_at)
                 VALUES (gen_random_uuid(), sha256('node'), '127.0.0.1:9', now(), now() + interval '1 day', now());
             INSERT INTO allotments SELECT tenants.id, nodes.id, 1, 1, now(), now(), false, 0, 0, 0, 0, 0, 0
                 FROM tenants, nodes;
             INSERT INTO demands SELECT tenants.id, nodes.id, 1, 1, 1, now() FROM tenants, nodes;
             INSERT INTO leases (tenant_id, resource, period, node_id, ledger, granted, granted_at)
                 SELECT tenants.id, 'objects', 0, nodes.id, '', 1, now() FROM tenants, nodes;
             INSERT INTO billing_accounts (tenant_id, since) SELECT id, now() FROM tenants ON CONFLICT DO NOTHING;
             INSERT INTO invoices (id, tenant_id, company, email, currency, lines, total_cents, period_from, period_to,
                                   usage_to, issued_at)
                 SELECT gen_random_uuid(), id, '', '', 'usd', '[]', 0, now(), now() + interval '1 day', now(), now() FROM tenants;
             INSERT INTO stripe_customers (tenant_id, live, customer_id) SELECT id, false, 'cus_' || id FROM tenants;
             INSERT INTO stripe_invoices (invoice_id, tenant_id, live, status, currency, total_cents, amount_paid_cents,
                                          created_at)
                 SELECT 'in_' || id, id, false, 'open', 'usd', 0, 0, now() FROM tenants;
             INSERT INTO usage_alerts SELECT id, 'storage', now(), 50, now() FROM tenants;
             INSERT INTO notices (id, title, body, level, from_at, until_at, tenants, created_at, created_by)
                 VALUES (gen_random_uuid(), 'a', 'b', 'info', now(), now() + interval '1 day', 2, now(), 'operator');
             INSERT INTO notice_dismissals
                 SELECT notices.id, members.tenant_id, members.id, now() FROM notices, members;",
        )
        .await;
    (one, two)
}

#[tokio::test]
async fn a_forgotten_where_shows_ones_own_rows_and_no_others() {
    let plane = Plane::start().await;
    let (one, two) = two_tenants(&plane).await;
    for &(table, column) in TABLES {
        for tenant in [one, two] {
            let mut tx = plane.cp.begin_tenant(tenant).await.unwrap();
            assert_eq!(
                owners(tx.connection(), table, column).await,
                [tenant.0],
                "{table}"
            );
        }
        let mut tx = plane.cp.begin_tenant(TenantId::random()).await.unwrap();
        assert!(
            owners(tx.connection(), table, column).await.is_empty(),
            "{table}: a stranger"
        );
        let mut owner = plane.database.owner().await;
        assert!(
            owners(&mut owner, table, column).await.is_empty(),
            "{table}: no role taken"
        );
        let mut tx = plane.cp.begin_system().await.unwrap();
        assert_eq!(
            owners(tx.connection(), table, column).await.len(),
            2,
            "{table}: system"
        );
    }
    plane.stop().await;
}

#[tokio::test]
async fn row_08_another_tenants_rows_can_be_neither_changed_nor_made() {
    let plane = Plane::start().await;
    let (one, two) = two_tenants(&plane).await;
    let mut tx = plane.cp.begin_tenant(one).await.unwrap();
    let changed = sqlx::query("UPDATE access_keys SET revoked_at = now()")
        .execute(tx.connection())
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1, "one's own alone");
    let insert =
        "INSERT INTO access_keys (access_key_id, tenant_id, name, secret, created_at, created_by)
                  VALUES ($1, $2, 'x', '', now(), 'x')";
    let own = sqlx::query(insert)
        .bind("A".repeat(20))
        .bind(one.0)
        .execute(tx.connection())
        .await;
    assert!(own.is_ok(), "{own:?}");
    let foreign = sqlx::query(insert)
        .bind("B".repeat(20))
        .bind(two.0)
        .execute(tx.connection())
        .await;
    assert!(
        foreign
            .unwrap_err()
            .to_string()
            .contains("row-level security")
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_tenants_transaction_cannot_read_secrets_of_the_installation() {
    let plane = Plane::start().await;
    let (one, _) = two_tenants(&plane).await;
    for sql in [
        "SELECT password_hash FROM members",
        "SELECT * FROM sessions",
        "SELECT secret FROM engines",
        "SELECT * FROM settings",
        "SELECT * FROM nodes",
        "SELECT * FROM join_tokens",
        "SELECT * FROM mails",
        "SELECT * FROM sign_ups",
        "SELECT * FROM password_resets",
        "SELECT * FROM log_in_challenges",
        "SELECT * FROM revenue_steps",
        "SELECT created_by FROM notices",
        "UPDATE notices SET title = 'x'",
        "DELETE FROM notice_dismissals",
        "SELECT token_hash FROM sessions",
        "SELECT token_hash FROM invitations",
        "SELECT undo_hash FROM email_changes",
        "SELECT secret FROM totp",
        "SELECT token_hash FROM api_tokens",
        "UPDATE api_tokens SET scopes = '{}'",
        "UPDATE api_tokens SET expires_at = now()",
        "SELECT code_hash FROM recovery_codes",
        "UPDATE members SET email = 'x@example.com'",
        "UPDATE members SET password_hash = NULL",
        "UPDATE invitations SET tenant_id = gen_random_uuid()",
        "UPDATE tenants SET status = 'active'",
        "UPDATE tenants SET quota_bytes = NULL",
        "UPDATE plans SET price_cents = 0",
    ] {
        let mut tx = plane.cp.begin_tenant(one).await.unwrap();
        let error = sqlx::query(AssertSqlSafe(sql))
            .execute(tx.connection())
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("permission denied"),
            "{sql}: {error}"
        );
    }
    let mut tx = plane.cp.begin_tenant(one).await.unwrap();
    let plans = sqlx::query("SELECT id FROM plans")
        .fetch_all(tx.connection())
        .await
        .unwrap();
    assert_eq!(plans.len(), 2);
    drop(tx);
    plane.stop().await;
}

#[tokio::test]
async fn row_15_the_audit_log_is_added_to_and_nothing_else() {
    let plane = Plane::start().await;
    let (one, _) = two_tenants(&plane).await;
    for sql in [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ] {
        let mut tx = plane.cp.begin_tenant(one).await.unwrap();
        let app = sqlx::query(AssertSqlSafe(sql))
            .execute(tx.connection())
            .await;
        assert!(
            app.unwrap_err().to_string().contains("permission denied"),
            "{sql}"
        );
        let mut tx = plane.cp.begin_system().await.unwrap();
        let system = sqlx::query(AssertSqlSafe(sql))
            .execute(tx.connection())
            .await;
        assert!(
            system
                .unwrap_err()
                .to_string()
                .contains("permission denied"),
            "{sql}"
        );
        let mut owner = plane.database.owner().await;
        let owner = sqlx::query(AssertSqlSafe(sql)).execute(&mut owner).await;
        assert!(
            owner.unwrap_err().to_string().contains("permission denied"),
            "{sql}"
        );
    }
    let mut tx = plane.cp.begin_tenant(one).await.unwrap();
    let entries = controlplane::audit::list(&mut tx, 10).await.unwrap();
    let actions: Vec<&str> = entries.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(
        actions,
        ["bucket.create", "access_key.create", "tenant.create"]
    );
    assert_eq!(entries[2].actor, "one@example.com");
    drop(tx);
    plane.stop().await;
}
