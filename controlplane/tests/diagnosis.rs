//! What `vaultaire doctor` is told of a database: the truth, also when someone has been at it.

use controlplane::MasterKey;
use controlplane::diagnosis::{self, Database, Diagnosis};
use http::Method;

use crate::plane::{ENGINE_SECRET, Plane};

async fn of(plane: &Plane) -> Database {
    let key = &plane.config().master_key;
    diagnosis::of_database(&plane.database.url(), Some(key))
        .await
        .unwrap()
}

async fn run(plane: &Plane, sql: &'static str) {
    let mut conn = plane.database.superuser().await;
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
}

#[tokio::test]
async fn a_whole_database_is_found_whole_and_so_says_its_control_plane() {
    let plane = Plane::start().await;
    let found = of(&plane).await;
    let (status, said) = plane.admin(Method::GET, "/diagnosis", None).await;
    assert_eq!(status, 200, "{said}");
    assert!(!said.to_string().contains(ENGINE_SECRET));
    let said: Diagnosis = serde_json::from_value(said).unwrap();
    for found in [found, said.database] {
        assert!(found.server.version >= 150_000);
        assert_eq!(found.roles.len(), 3, "{:?}", found.roles);
        assert!(found.roles[0].is_login && found.roles[0].owned_tables > 10);
        for role in &found.roles[1..] {
            assert!(!role.superuser && !role.bypasses_rls && role.can_be_taken);
            assert_eq!(role.owned_tables, 0);
        }
        assert_eq!(found.unprotected, Vec::<String>::new());
        let migrations = &found.migrations;
        assert!(migrations.newest.is_some());
        let odd = [&migrations.pending, &migrations.unknown];
        assert!(odd.iter().all(|numbers| numbers.is_empty()));
        assert!(migrations.altered.is_empty() && migrations.broken.is_empty());
        assert_eq!(found.master_key_opens, Some(true));
        assert_eq!(found.engines.map(|engines| engines.len()), Some(1));
        assert_eq!(found.nodes.map(|nodes| nodes.len()), Some(0));
        assert_eq!(found.queues.map(|queues| queues.mails), Some(0));
        assert!(found.head.is_some());
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_table_without_forced_row_security_is_named() {
    let plane = Plane::start().await;
    run(&plane, "ALTER TABLE buckets NO FORCE ROW LEVEL SECURITY").await;
    assert_eq!(of(&plane).await.unprotected, ["buckets"]);
    run(
        &plane,
        "ALTER TABLE buckets FORCE ROW LEVEL SECURITY; ALTER TABLE tenants DISABLE ROW LEVEL SECURITY",
    )
    .await;
    assert_eq!(of(&plane).await.unprotected, ["tenants"]);
    plane.stop().await;
}

#[tokio::test]
async fn another_master_key_is_known_for_one() {
    let plane = Plane::start().await;
    let other = MasterKey::from_bytes([1; 32]);
    let found = diagnosis::of_database(&plane.database.url(), Some(&other)).await;
    let found = found.unwrap();
    assert_eq!(found.master_key_opens, Some(false));
    let engines = found.engines.unwrap();
    let looked = diagnosis::look_at_row(&engines[0], &other).await;
    assert!(looked.unwrap().unwrap_err().contains("does not open"));
    let key = &plane.config().master_key;
    let engines = of(&plane).await.engines.unwrap();
    let looked = diagnosis::look_at_row(&engines[0], key).await;
    assert!(looked.unwrap().is_ok(), "the right one opens it");
    plane.stop().await;
}

#[tokio::test]
async fn migrations_of_another_release_are_told_apart() {
    let plane = Plane::start().await;
    run(
        &plane,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of the future', true, 'x', 0);
         DELETE FROM _sqlx_migrations WHERE version = 3;
         UPDATE _sqlx_migrations SET checksum = 'y' WHERE version = 2;
         UPDATE _sqlx_migrations SET success = false WHERE version = 1",
    )
    .await;
    let found = of(&plane).await.migrations;
    assert_eq!(found.unknown, [9999]);
    assert_eq!(found.pending, [3]);
    assert_eq!(found.altered, [2]);
    assert_eq!(found.broken, [1]);
    plane.stop().await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    let found = diagnosis::of_database("postgres://someone:sesame@127.0.0.1:1/v", None).await;
    let error = format!("{:#}", found.unwrap_err());
    assert!(error.contains("127.0.0.1:1"), "{error}");
    assert!(!error.contains("sesame"), "{error}");
}
