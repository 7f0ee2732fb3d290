//! Those who run the installation: made by the API, and what they do is in a log that nobody alters.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::plane::Plane;

async fn create(plane: &Plane, email: &str) -> (StatusCode, Value) {
    let body = json!({ "email": email });
    plane.admin(Method::POST, "/operators", Some(body)).await
}

#[tokio::test]
async fn an_operator_is_made_listed_reset_and_disabled() {
    let plane = Plane::start().await;
    let (status, made) = create(&plane, "Otto@Example.com").await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["email"], "otto@example.com");
    assert_eq!(made["expires_at"], "2026-03-01T13:00:00Z");
    let url = made["setup_url"].as_str().unwrap().to_owned();
    assert!(url.contains("/admin/setup?token="), "{url}");
    for (email, word) in [("otto@example.com", "already"), ("nonsense", "address")] {
        let (status, problem) = create(&plane, email).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["field"], "email");
        assert!(problem["detail"].as_str().unwrap().contains(word));
    }
    let (_, list) = plane.admin(Method::GET, "/operators", None).await;
    assert_eq!(list["operators"].as_array().unwrap().len(), 1);
    assert_eq!(list["operators"][0]["set_up_at"], Value::Null);
    assert!(!list.to_string().contains("token"));

    let path = "/operators/otto@example.com";
    let (_, again) = plane
        .admin(Method::POST, &format!("{path}/reset"), None)
        .await;
    assert_ne!(again["setup_url"].as_str().unwrap(), url);
    let token = url.split_once("token=").unwrap().1;
    let old = controlplane::operators::begin_set_up(&plane.cp, token).await;
    assert!(old.is_err(), "replaced by the newer one");
    let url = again["setup_url"].as_str().unwrap();
    let token = url.split_once("token=").unwrap().1;
    let new = controlplane::operators::begin_set_up(&plane.cp, token).await;
    assert_eq!(new.unwrap().email, "otto@example.com");

    let id = made["operator_id"].as_str().unwrap();
    let path = format!("/operators/{id}/disable");
    for expected in [StatusCode::OK, StatusCode::CONFLICT] {
        let (status, _) = plane.admin(Method::POST, &path, None).await;
        assert_eq!(status, expected);
    }
    let gone = controlplane::operators::begin_set_up(&plane.cp, token).await;
    assert!(gone.is_err());
    let nobody = format!("/operators/{}/reset", "0".repeat(32));
    let (status, _) = plane.admin(Method::POST, &nobody, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    plane.stop().await;
}

#[tokio::test]
async fn row_15_the_operators_log_is_added_to_and_altering_it_is_found() {
    let plane = Plane::start().await;
    create(&plane, "otto@example.com").await;
    let tenant = plane.tenant("one@example.com").await;
    // In a tenant's own transaction, which reads nothing of it.
    let path = format!("/tenants/{}/access-keys", tenant.id);
    let (status, _) = plane.admin(Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::CREATED);
    for sql in [
        "UPDATE operator_audit SET actor = 'x'",
        "DELETE FROM operator_audit",
        "TRUNCATE operator_audit",
        "DELETE FROM operator_audit_chain",
        "UPDATE operator_audit_chain SET position = 9",
    ] {
        let mut owner = plane.database.owner().await;
        let mut tx = plane.cp.begin_system().await.unwrap();
        let mut app = plane.cp.begin_tenant(tenant.id).await.unwrap();
        for connection in [&mut owner, tx.connection(), app.connection()] {
            let refused = sqlx::query(AssertSqlSafe(sql)).execute(connection).await;
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("permission denied"), "{sql}: {error}");
        }
    }
    for sql in [
        "SELECT * FROM operators",
        "SELECT * FROM operator_sessions",
        "SELECT * FROM operator_challenges",
        "SELECT * FROM operator_recovery_codes",
        "SELECT * FROM operator_audit",
        "SELECT * FROM operator_audit_chain",
    ] {
        let mut app = plane.cp.begin_tenant(tenant.id).await.unwrap();
        let read = sqlx::query(AssertSqlSafe(sql)).execute(app.connection());
        let error = read.await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{sql}: {error}");
    }
    let mut app = plane.cp.begin_tenant(tenant.id).await.unwrap();
    let foreign =
        "INSERT INTO operator_audit (at, actor, action, target) VALUES (now(), 'x', 'x', 'x')";
    let forged = sqlx::query(foreign).execute(app.connection()).await;
    assert!(
        forged
            .unwrap_err()
            .to_string()
            .contains("row-level security")
    );
    drop(app);

    let mut tx = plane.cp.begin_system().await.unwrap();
    let filter = controlplane::operators::audit::Filter {
        limit: 10,
        ..Default::default()
    };
    let entries = controlplane::operators::audit::page(&mut tx, &filter).await;
    drop(tx);
    let entries = entries.unwrap();
    let actions: Vec<&str> = entries.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(actions[0], "access_key.create");
    assert!(actions.contains(&"operator.create"));
    assert_eq!(entries[0].tenant_id, Some(tenant.id));
    assert_eq!(entries[0].actor, "admin token");

    let verify = async || {
        let (_, answer) = plane.admin(Method::GET, "/audit/verify", None).await;
        answer["broken"].clone()
    };
    assert_eq!(verify().await, json!([]));
    let mut superuser = plane.database.superuser().await;
    let harm = "UPDATE operator_audit SET target = 'other' WHERE id = (SELECT min(id) FROM operator_audit)";
    sqlx::raw_sql(harm).execute(&mut superuser).await.unwrap();
    let broken = verify().await;
    assert_eq!(broken[0]["log"], "operators", "{broken}");
    assert_eq!(broken[0]["reason"], "altered");
    plane.stop().await;
}

#[tokio::test]
async fn tenants_are_found_noted_and_suspended_several_at_once_by_their_number() {
    let plane = Plane::start().await;
    let (one, two) = (
        plane.tenant("one@example.com").await,
        plane.tenant("two@example.com").await,
    );
    let names = async |query: &str| {
        let (status, found) = plane
            .admin(Method::GET, &format!("/tenants?{query}"), None)
            .await;
        assert_eq!(status, StatusCode::OK, "{query}");
        let found = found["tenants"].as_array().unwrap().clone();
        let emails = found
            .iter()
            .map(|t| t["email"].as_str().unwrap().to_owned());
        emails.collect::<Vec<_>>()
    };
    assert_eq!(names("search=ONE").await, ["one@example.com"]);
    assert_eq!(
        names(&format!("search={}", two.id)).await,
        ["two@example.com"]
    );
    assert_eq!(names("status=active").await.len(), 2);
    assert_eq!(names("status=suspended").await.len(), 0);
    let (status, _) = plane.admin(Method::GET, "/tenants?status=odd", None).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = plane.admin(Method::GET, "/tenants?nonsense=1", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let notes = format!("/tenants/{}/notes", one.id);
    let (status, problem) = plane
        .admin(Method::POST, &notes, Some(json!({ "text": " " })))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["field"], "text");
    let note = json!({ "text": "pays by wire" });
    let (status, made) = plane.admin(Method::POST, &notes, Some(note)).await;
    assert_eq!(
        (status, &made["author"]),
        (StatusCode::CREATED, &json!("admin token"))
    );
    let (_, list) = plane.admin(Method::GET, &notes, None).await;
    assert_eq!(list["notes"], json!([made]));

    let both = json!([{ "tenant_id": one.id }, { "tenant_id": two.id }]);
    let body = |confirm: Value| json!({ "tenants": both, "reason": "abuse", "confirm": confirm });
    for confirm in [json!(null), json!(1), json!(3)] {
        let (status, problem) = plane
            .admin(Method::POST, "/tenants/suspend", Some(body(confirm)))
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["field"], "confirm");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Suspend 2 tenants"), "{detail}");
    }
    let (status, _) = plane
        .admin(
            Method::POST,
            "/tenants/suspend",
            Some(json!({ "tenants": [] })),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(names("status=active").await.len(), 2);
    // One that is another by then, or that is suspended already, keeps all of them from it.
    let stale = json!({
        "tenants": [{ "tenant_id": one.id, "revision": 0 }, { "tenant_id": two.id }], "confirm": 2,
    });
    let (status, problem) = plane
        .admin(Method::POST, "/tenants/suspend", Some(stale))
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::CONFLICT, &json!("tenants_changed"))
    );
    assert_eq!(names("status=active").await.len(), 2);
    let (status, done) = plane
        .admin(Method::POST, "/tenants/suspend", Some(body(json!(2))))
        .await;
    assert_eq!(status, StatusCode::OK, "{done}");
    assert_eq!(names("status=suspended").await.len(), 2);
    let (status, _) = plane
        .admin(Method::POST, "/tenants/suspend", Some(body(json!(2))))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, _) = plane
        .admin(Method::POST, "/tenants/resume", Some(body(json!(2))))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(names("status=active").await.len(), 2);
    plane.stop().await;
}
