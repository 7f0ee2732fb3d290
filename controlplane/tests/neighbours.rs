//! One release beside the next on one database.

use controlplane::ControlPlane;

use crate::plane::Plane;

/// Why a control plane does not start here; empty where it does.
async fn start(plane: &Plane) -> String {
    match ControlPlane::start(plane.config(), plane.clock.clone()).await {
        Ok(cp) => {
            cp.shut_down().await;
            String::new()
        }
        Err(error) => format!("{error:#}"),
    }
}

const LATER: &str =
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of a later release', true, '\\x00', 1)";

#[tokio::test]
async fn what_a_newer_release_added_is_in_nobodys_way_and_what_it_took_away_is() {
    let plane = Plane::start().await;
    let tenant = plane.tenant("one@example.com").await;
    let added = "ALTER TABLE access_keys ADD COLUMN of_a_later_release text NOT NULL DEFAULT ''";
    plane.database.execute(added).await;
    plane.database.execute(LATER).await;
    assert_eq!(start(&plane).await, "");
    let beside = plane.beside().await;
    let mut tx = beside.begin_tenant(tenant.id).await.unwrap();
    let new = controlplane::access_keys::NewAccessKey {
        name: "key".to_owned(),
        ..Default::default()
    };
    controlplane::access_keys::create(&mut tx, &beside, new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    beside.shut_down().await;

    let contracted = "UPDATE schema_floor SET must_know = 9999";
    plane.database.execute(contracted).await;
    let refused = start(&plane).await;
    assert!(
        refused.contains("newer release") && refused.contains("9999"),
        "{refused}"
    );
    plane
        .database
        .execute("UPDATE schema_floor SET must_know = 27")
        .await;
    assert_eq!(start(&plane).await, "");
    plane.stop().await;
}

#[tokio::test]
async fn a_migration_that_was_never_of_a_release_before_is_refused() {
    let plane = Plane::start().await;
    plane.database.execute(&LATER.replace("9999", "9")).await;
    let refused = start(&plane).await;
    assert!(
        refused.contains("migration 9 that this program does not know"),
        "{refused}"
    );
    plane.stop().await;
}
