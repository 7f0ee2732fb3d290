//! What is refused, and until when; each with what passes afterwards.

use controlplane::ControlPlane;
use http::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::{one, refused, three, two};
use crate::plane::{Plane, eventually, key_line};
use crate::sealed::mix_up;

#[tokio::test]
async fn a_control_plane_that_lacks_the_new_key_holds_the_rotation_up_and_one_that_is_gone_does_not()
 {
    let plane = Plane::start().await;
    plane.write_keys(&[one(), two()]);
    let other = plane.with_keys("other.key", &[one()]).await.unwrap();
    let ids = async || {
        let keys = plane.keys().await;
        let planes = keys["control_planes"].as_array().unwrap().clone();
        let ids = planes
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids().await.len(), 2);
    eventually(async || {
        let keys = plane.keys().await;
        keys["control_planes"].to_string().contains("\"2\"")
    })
    .await;
    let answer = plane.rotate_keys(None).await;
    let detail = refused(&answer, "control_planes_behind");
    let named = ids().await;
    let named = named.iter().filter(|id| detail.contains(*id)).count();
    assert_eq!(named, 1, "{detail}");
    assert_eq!(plane.keys().await["version"], 1);
    assert_eq!(plane.left_without(&other).await, 1);
    assert_eq!(plane.rotate_keys(None).await.0, StatusCode::OK);

    // Now none without it begins; nor one without the old, as long as that is needed.
    let why = |started: anyhow::Result<ControlPlane>| format!("{:#}", started.err().unwrap());
    let lacks = why(plane.with_keys("other.key", &[one()]).await);
    assert!(lacks.contains("version"), "{lacks}");
    plane.finished_keys().await;
    let lacks = why(plane.with_keys("other.key", &[one()]).await);
    assert!(lacks.contains('2'), "{lacks}");
    let other = plane.with_keys("other.key", &[two()]).await.unwrap();
    other.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn a_dropped_key_seals_nothing_more_whoever_tries() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    plane.write_keys(&[one(), two()]);
    eventually(async || plane.rotate_keys(Some(2)).await.0 == StatusCode::OK).await;
    plane.finished_keys().await;
    // As a control plane that stood still since would: its value looks so.
    let mut tx = plane.cp.begin_tenant(tenant.id).await.unwrap();
    let write =
        "INSERT INTO access_keys (access_key_id, tenant_id, name, secret, created_at, created_by)
         VALUES ('VLTSTOODSTILL0000000', $1, 'key', $2, now(), 'x')";
    let refused = sqlx::query(write)
        .bind(tenant.id.0)
        .bind(&[1u8, 2, 3][..])
        .execute(tx.connection())
        .await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("version 1 of the master key"), "{error}");
    drop(tx);
    let mut tx = plane.cp.begin_tenant(tenant.id).await.unwrap();
    let written = sqlx::query(write)
        .bind(tenant.id.0)
        .bind(&[2u8, 2, 3][..])
        .execute(tx.connection())
        .await;
    written.unwrap();
    drop(tx);

    // Nor is it taken back, and its number is no other key's.
    for version in [1, 7] {
        let (status, problem) = plane.rotate_keys(Some(version)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["field"], "version");
    }
    let other = plane.with_keys("other.key", &[key_line(2, 9)]).await;
    let why = format!("{:#}", other.err().unwrap());
    assert!(why.contains("master key"), "{why}");
    plane.stop().await;
}

#[tokio::test]
async fn what_does_not_open_keeps_the_old_key_until_it_is_gone() {
    let plane = Plane::start().await;
    let one_tenant = plane.tenant("one@example.com").await;
    let two_tenant = plane.tenant("two@example.com").await;
    mix_up(&plane, &one_tenant, &two_tenant).await;
    plane.write_keys(&[one(), two()]);
    eventually(async || plane.rotate_keys(Some(2)).await.0 == StatusCode::OK).await;
    eventually(async || plane.keys().await["behind"] == json!({ "access_keys.secret": 1 })).await;
    let detail = refused(&plane.finish_keys().await, "old_key_in_use");
    assert!(detail.contains("1 in access_keys.secret"), "{detail}");
    let sql = format!(
        "DELETE FROM access_keys WHERE access_key_id = '{}'",
        two_tenant.access_key_id
    );
    plane.database.execute(&sql).await;
    // The operator says so again, and need not wait.
    assert_eq!(plane.rotate_keys(Some(2)).await.0, StatusCode::OK);
    plane.finished_keys().await;
    plane.stop().await;
}

#[tokio::test]
async fn the_old_key_is_needed_by_whoever_seals_under_it_and_by_older_releases() {
    let plane = Plane::start().await;
    plane.write_keys(&[one(), two()]);
    let url = format!("{}?application_name=vaultaire", plane.database.url());
    let older = PgConnection::connect(&url).await.unwrap();
    eventually(async || plane.keys().await["older_connections"] == 1).await;
    eventually(async || {
        let keys = plane.keys().await;
        keys["control_planes"].to_string().contains("\"2\"")
    })
    .await;
    refused(&plane.rotate_keys(Some(2)).await, "older_releases");
    older.close().await.unwrap();
    eventually(async || plane.rotate_keys(Some(2)).await.0 == StatusCode::OK).await;
    eventually(async || plane.keys().await["can_finish"] == true).await;

    let now = plane.clock.now().to_rfc3339();
    let sql = format!(
        "INSERT INTO control_planes (id, version, started_at, running_until, master_keys, seals_under)
         VALUES ('00000000-0000-0000-0000-000000000007', '0', '{now}', '{now}'::timestamptz + interval '20 s', '{{}}', 1)"
    );
    plane.database.execute(&sql).await;
    let detail = refused(&plane.finish_keys().await, "control_planes_behind");
    assert!(detail.contains("00000007"), "{detail}");
    plane.clock.advance(chrono::Duration::seconds(21));
    plane.finished_keys().await;
    plane.stop().await;
}

#[tokio::test]
async fn a_key_file_that_does_not_do_is_not_taken_up() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let path = format!("/tenants/{}/access-keys", tenant.id);
    let knows = async |versions: &[&str]| {
        eventually(async || {
            let keys = plane.keys().await;
            let known = keys["control_planes"][0]["master_keys"]
                .as_object()
                .unwrap();
            known
                .keys()
                .map(String::as_str)
                .eq(versions.iter().copied())
        })
        .await;
    };
    for file in [
        &[two()][..],
        &[key_line(1, 9)],
        &["nonsense".to_owned()],
        &[],
    ] {
        plane.write_keys(&[one(), three()]);
        knows(&["1", "3"]).await;
        plane.write_keys(file);
        let (status, _) = plane.rotate_keys(Some(9)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "it has looked");
        knows(&["1", "3"]).await;
        let (status, _) = plane.admin(Method::POST, &path, None).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    // One that nothing is sealed under may go.
    plane.write_keys(&[one()]);
    knows(&["1"]).await;
    plane.stop().await;
}
