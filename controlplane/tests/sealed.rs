//! Secrets at rest: nowhere in the database in the clear, and bound to their rows.

use http::Method;
use sqlx::AssertSqlSafe;

use crate::plane::{ENGINE_SECRET, NewTenant, PASSWORD, Plane};

/// Every row of every table, as text.
async fn dump(plane: &Plane) -> String {
    let mut conn = plane.database.superuser().await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    let mut all = String::new();
    for table in tables {
        let sql = format!("SELECT t::text FROM {table} t");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut conn)
            .await
            .unwrap();
        all.push_str(&rows.join("\n"));
    }
    all
}

#[tokio::test]
async fn row_10_no_secret_stands_in_any_table() {
    let plane = Plane::start().await;
    let signed_in = plane.sign_up("one@example.com").await;
    let tenant = plane.tenant("two@example.com").await;
    let (_, token) = plane.admin(Method::POST, "/join-tokens", None).await;
    let all = dump(&plane).await;
    assert!(all.contains(&tenant.access_key_id) && all.contains("one@example.com"));
    for secret in [
        tenant.secret_access_key.as_str(),
        signed_in.token.expose(),
        signed_in.session.csrf_token.as_str(),
        token["join_token"].as_str().unwrap(),
        ENGINE_SECRET,
        PASSWORD,
    ] {
        assert!(!all.contains(secret), "{secret} in the clear");
        assert!(
            !all.contains(&hex::encode(secret)),
            "{secret} in hexadecimal"
        );
    }
    plane.stop().await;
}

/// The secret of the one's access key stands in the other's row too, where it does not open.
pub async fn mix_up(plane: &Plane, from: &NewTenant, to: &NewTenant) {
    let sql = format!(
        "UPDATE access_keys SET secret = (SELECT secret FROM access_keys WHERE access_key_id = '{}')
         WHERE access_key_id = '{}'",
        from.access_key_id, to.access_key_id
    );
    plane.database.execute(&sql).await;
}

#[tokio::test]
async fn a_sealed_secret_moved_to_another_row_does_not_open_and_holds_nobody_up() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await;
    let two = plane.tenant("two@example.com").await;
    let three = plane.tenant("three@example.com").await;
    mix_up(&plane, &one, &two).await;
    let node = plane.node().await;
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    let keys = |id: &controlplane::ids::TenantId| {
        let document = snapshot
            .tenants
            .iter()
            .find(|t| t.tenant_id == id.to_string())
            .unwrap();
        document.access_keys.len()
    };
    assert_eq!((keys(&one.id), keys(&two.id), keys(&three.id)), (1, 0, 1));
    plane.stop().await;
}

#[tokio::test]
async fn another_master_key_is_noticed_at_the_start() {
    use controlplane::{Clock, Config, ControlPlane, MasterKey};
    let plane = Plane::start().await;
    let config = |key| Config {
        master_key: MasterKey::from_bytes(key),
        master_key_file: None,
        ..plane.config()
    };
    let clock = Clock::at(plane.clock.now());
    let wrong = ControlPlane::start(config([4; 32]), clock.clone()).await;
    let text = format!("{:#}", wrong.err().unwrap());
    assert!(text.contains("master key"), "{text}");
    let right = ControlPlane::start(config([3; 32]), clock).await.unwrap();
    right.shut_down().await;
    plane.stop().await;
}
