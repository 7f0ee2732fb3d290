//! The master key is exchanged while control planes run: everything is sealed anew, nobody is held up, and the old key is
//! needed until nothing is sealed under it and nobody seals under it.

mod meanwhile;
mod refusals;

use std::path::PathBuf;

use controlplane::billing::{self, Spending};
use controlplane::{Config, ControlPlane, MasterKey, Origin, accounts, operators};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::engines::shown;
use crate::plane::{KEY_FILE, PASSWORD, Plane, eventually, key_line};
use crate::second_step::{App, challenge, pass, set_up};

/// Columns that hold nothing that opens anything, beside those that are called a hash.
const NOT_SEALED: &[&str] = &[
    "login_failures.account",
    "nodes.public_key",
    "passkey_ceremonies.binding",
    "passkey_ceremonies.state",
    "passkeys.credential_id",
    "passkeys.dynamic_state",
    "passkeys.static_state",
];

impl Plane {
    /// What the key file says from now on.
    fn write_keys(&self, lines: &[String]) {
        // As the command does: never a file that is half there.
        let path = self.folder.path().join(KEY_FILE);
        let beside = path.with_extension("new");
        std::fs::write(&beside, lines.concat()).unwrap();
        std::fs::rename(beside, path).unwrap();
    }

    async fn keys(&self) -> Value {
        let (status, answer) = self.admin(Method::GET, "/master-key", None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn rotate_keys(&self, version: Option<u8>) -> (StatusCode, Value) {
        let wish = json!({ "version": version });
        self.admin(Method::POST, "/master-key/rotate", Some(wish))
            .await
    }

    async fn finish_keys(&self) -> (StatusCode, Value) {
        self.admin(Method::POST, "/master-key/finish", None).await
    }

    /// Waits until it can be finished, and does.
    async fn finished_keys(&self) -> Value {
        eventually(async || self.keys().await["can_finish"] == true).await;
        let (status, answer) = self.finish_keys().await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// A control plane with a key file of its own.
    async fn with_keys(&self, name: &str, lines: &[String]) -> anyhow::Result<ControlPlane> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, lines.concat())?;
        ControlPlane::start(self.config_with(path), self.clock.clone()).await
    }

    fn config_with(&self, path: PathBuf) -> Config {
        let text = std::fs::read_to_string(&path).unwrap();
        Config {
            master_key: MasterKey::parse(&text).unwrap(),
            master_key_file: Some(path),
            ..self.config()
        }
    }

    async fn left_without(&self, cp: &ControlPlane) -> usize {
        cp.shut_down().await;
        self.keys().await["control_planes"]
            .as_array()
            .unwrap()
            .len()
    }
}

fn one() -> String {
    key_line(1, 3)
}

fn two() -> String {
    key_line(2, 4)
}

fn three() -> String {
    key_line(3, 5)
}

fn refused(answer: &(StatusCode, Value), code: &str) -> String {
    let (status, problem) = answer;
    assert_eq!(
        (*status, problem["code"].as_str()),
        (StatusCode::CONFLICT, Some(code)),
        "{problem}"
    );
    problem["detail"].as_str().unwrap().to_owned()
}

/// Every column that the database guards, as `table.column`.
async fn guarded(conn: &mut PgConnection) -> Vec<String> {
    let sql = "SELECT c.relname || '.' || argument
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid,
              LATERAL unnest(string_to_array(encode(substring(t.tgargs FROM 1 FOR length(t.tgargs) - 1), 'escape'), '\\000'))
                  AS argument
         WHERE t.tgname = 'refuse_dropped_master_key' ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(conn).await.unwrap()
}

/// How many values of a column there are, and how many are under another version.
async fn values(conn: &mut PgConnection, column: &str, version: i32) -> (i64, i64) {
    let (table, column) = column.split_once('.').unwrap();
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE get_byte({column}, 0) <> {version}) FROM {table} WHERE length({column}) > 0"
    );
    let sql = AssertSqlSafe(sql);
    sqlx::query_as(sql).fetch_one(conn).await.unwrap()
}

#[tokio::test]
async fn every_column_that_may_hold_a_secret_is_sealed_or_known_not_to_be() {
    let plane = Plane::start().await;
    let mut conn = plane.database.superuser().await;
    let sql = "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND a.atttypid = 'bytea'::regtype AND NOT a.attisdropped
           AND c.relname <> '_sqlx_migrations' ORDER BY 1";
    let all: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap();
    let guarded = guarded(&mut conn).await;
    let open = all
        .iter()
        .filter(|c| !guarded.contains(c) && !c.ends_with("hash"));
    let open: Vec<&String> = open.collect();
    assert_eq!(
        open, NOT_SEALED,
        "seal it, and enter it into db/sealed.rs and a trigger; or enter it here"
    );
    assert_eq!(guarded.len(), 11, "{guarded:?}");
    plane.stop().await;
}

/// A value in every sealed column, and what it takes to see that they open.
struct Filled {
    tenant: crate::plane::NewTenant,
    member: App,
    operator: App,
}

async fn filled(plane: &Plane) -> Filled {
    let tenant = plane.tenant("one@example.com").await;
    let signed_in = plane.sign_up("two@example.com").await;
    let (member, _) = set_up(plane, &signed_in).await;
    let (_, made) = plane
        .admin(
            Method::POST,
            "/operators",
            Some(json!({ "email": "op@example.com" })),
        )
        .await;
    let token = made["setup_url"].as_str().unwrap();
    let token = token.split_once("token=").unwrap().1;
    let begun = operators::begin_set_up(&plane.cp, token).await.unwrap();
    let operator = App::new(&begun.totp.secret);
    let code = operator.code(plane);
    let shown = (begun.totp.sealed.as_str(), code.as_str());
    operators::set_up(&plane.cp, token, PASSWORD, shown, &Origin::default())
        .await
        .unwrap();
    plane.clock.advance(chrono::Duration::seconds(30));
    let mut tx = plane.cp.begin_tenant(tenant.id).await.unwrap();
    billing::set_spending(&mut tx, &plane.cp, with_webhook())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    idempotent(plane, &signed_in).await;
    // The environment says something new: the engine's old credentials, and its words of before.
    let mut config = plane.config();
    config.engine.access_key_id = "the-new-key".to_owned();
    config.engine.secret_access_key = "the-new-secret".to_owned();
    let other = ControlPlane::start(config, plane.clock.clone()).await;
    other.unwrap().shut_down().await;
    // Where the folder for mail would be is a file: what is to be sent stays.
    plane.outbox_is_empty().await;
    let mail = plane.folder.path().join("mail");
    std::fs::remove_dir_all(&mail).unwrap();
    std::fs::write(&mail, "").unwrap();
    accounts::forgot_password(&plane.cp, "two@example.com", &Origin::default())
        .await
        .unwrap();
    let waiting = "SELECT count(*) FROM mails WHERE length(content) > 0";
    eventually(async || plane.database.count(waiting).await > 0).await;
    Filled {
        tenant,
        member,
        operator,
    }
}

fn with_webhook() -> Spending {
    Spending {
        thresholds: vec![50],
        webhook_url: Some("http://127.0.0.1:9/hook".to_owned()),
        ..Spending::default()
    }
}

/// A request to the customers' API whose answer is kept.
async fn idempotent(plane: &Plane, of: &accounts::SignedIn) {
    use tower::ServiceExt;
    let by = accounts::Caller::from(&of.session);
    let mut tx = plane.cp.begin_tenant(by.tenant_id).await.unwrap();
    let new = controlplane::api_tokens::NewApiToken {
        name: "test".to_owned(),
        scopes: controlplane::api_tokens::TokenScope::ALL.to_vec(),
        expires_at: None,
    };
    let made = controlplane::api_tokens::create(&mut tx, &plane.cp, &by, new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let request = http::Request::post("/api/v1/access-keys")
        .header("authorization", format!("Bearer {}", made.token.as_str()))
        .header("idempotency-key", "one")
        .body(axum::body::Body::from(r#"{"name":"ci"}"#))
        .unwrap();
    let answer = plane.cp.api().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn everything_is_sealed_anew_opens_and_the_old_key_can_go() {
    let plane = Plane::start().await;
    let beside = plane.beside().await;
    let filled = filled(&plane).await;
    let mut conn = plane.database.superuser().await;
    let guarded = guarded(&mut conn).await;
    for column in &guarded {
        let (all, elsewhere) = values(&mut conn, column, 1).await;
        assert!(all > 0 && elsewhere == 0, "{column}: {all}, {elsewhere}");
    }
    let (status, _) = plane.finish_keys().await;
    assert_eq!(status, StatusCode::CONFLICT, "nothing to finish");

    plane.write_keys(&[one(), two()]);
    eventually(async || {
        let keys = plane.keys().await;
        let planes = keys["control_planes"].as_array().unwrap().clone();
        planes.len() == 2 && planes.iter().all(|one| one["master_keys"]["2"].is_string())
    })
    .await;
    assert_eq!(plane.keys().await["version"], 1, "known, and not used");
    let (status, answer) = plane.rotate_keys(None).await;
    assert_eq!((status, &answer["version"]), (StatusCode::OK, &json!(2)));
    let done = plane.finished_keys().await;
    assert_eq!(done["dropped"], json!([1]));
    assert_eq!(done["behind"], json!({}));
    for column in &guarded {
        let (all, elsewhere) = values(&mut conn, column, 2).await;
        assert!(all > 0 && elsewhere == 0, "{column}: {all}, {elsewhere}");
    }

    // Without the old key: whoever runs, and whoever is started.
    plane.write_keys(&[two()]);
    let lacks_old = |keys: &Value| {
        let planes = keys["control_planes"].as_array().unwrap();
        planes.iter().all(|one| one["master_keys"]["1"].is_null())
    };
    eventually(async || lacks_old(&plane.keys().await)).await;
    beside.shut_down().await;
    let started = plane.beside().await;
    opens(&plane, &started, &filled).await;
    // Each once more, of which all must open for that.
    plane.write_keys(&[two(), three()]);
    eventually(async || plane.rotate_keys(Some(3)).await.0 == StatusCode::OK).await;
    assert_eq!(plane.finished_keys().await["dropped"], json!([1, 2]));
    for column in &guarded {
        let (all, elsewhere) = values(&mut conn, column, 3).await;
        assert!(all > 0 && elsewhere == 0, "{column}: {all}, {elsewhere}");
    }
    started.shut_down().await;
    plane.stop().await;
}

async fn opens(plane: &Plane, cp: &ControlPlane, filled: &Filled) {
    let node = plane.node().await;
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    let document = snapshot
        .tenants
        .iter()
        .find(|tenant| tenant.tenant_id == filled.tenant.id.to_string())
        .unwrap();
    assert_eq!(document.access_keys.len(), 1);
    assert_eq!(snapshot.settings.engines.len(), 1);
    let challenge = challenge(plane, "two@example.com", PASSWORD).await;
    let code = filled.member.code(plane);
    assert!(pass(plane, &challenge, &code).await.is_ok());
    let origin = Origin::default();
    let challenge = operators::log_in(cp, "op@example.com", PASSWORD, &origin)
        .await
        .unwrap();
    let code = filled.operator.code(plane);
    operators::log_in_with_code(cp, &challenge, &code, &origin)
        .await
        .unwrap();
    let engine = shown(plane, "main").await;
    assert_eq!(engine["rotation"]["old_access_key_id"], "engine-access-key");
}
