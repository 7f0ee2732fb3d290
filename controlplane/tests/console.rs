//! The dashboard's own keys: hidden from the customer, bound to a session and a role.

use chrono::Duration;
use controlplane::accounts::{self, SignedIn};
use controlplane::console::{self, Signer};
use controlplane::{Error, access_keys};
use wire::{AccessKeyStatus, Permission};

use crate::plane::Plane;

async fn signer(plane: &Plane, member: &SignedIn) -> Result<Signer, Error> {
    let session = accounts::session(&plane.cp, &member.token).await?;
    let session = session.expect("a session");
    let tx = plane.cp.begin_tenant(session.tenant_id).await?;
    console::signer(tx, &plane.cp, &session, &member.token).await
}

fn key_of(plane: &Plane, signer: &Signer) -> String {
    let url = signer.presign(
        plane.clock.now(),
        "GET",
        "b",
        Some("k"),
        &[],
        Duration::hours(1),
    );
    let (_, rest) = url.split_once("X-Amz-Credential=").expect("a credential");
    rest.chars().take(20).collect()
}

/// As the nodes are told.
async fn told(plane: &Plane, access_key_id: &str) -> Option<wire::AccessKey> {
    let node = plane.node().await;
    let mut stream = plane.connect(&node, 0).await;
    let snapshot = stream.snapshot().await;
    let mut keys = snapshot
        .tenants
        .into_iter()
        .flat_map(|tenant| tenant.access_keys);
    keys.find(|key| key.access_key_id == access_key_id)
}

#[tokio::test]
async fn a_sessions_key_is_nodes_business_and_no_customers() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let first = key_of(&plane, &signer(&plane, &ann).await.unwrap());
    assert_eq!(
        key_of(&plane, &signer(&plane, &ann).await.unwrap()),
        first,
        "one for each session"
    );
    let key = told(&plane, &first).await.expect("nodes know it");
    assert_eq!(key.scope.permission, Permission::Full);
    assert_eq!(
        key.expires_at,
        Some(plane.clock.now() + Duration::hours(12))
    );

    let mut tx = plane.cp.begin_tenant(ann.session.tenant_id).await.unwrap();
    assert!(
        access_keys::list(&mut tx).await.unwrap().is_empty(),
        "hidden"
    );
    let refused = access_keys::revoke(&mut tx, &plane.cp, &first).await;
    assert!(
        matches!(refused, Err(Error::NotFound(_))),
        "hidden from every function"
    );
    drop(tx);

    plane
        .clock
        .advance(Duration::hours(10) + Duration::minutes(1));
    let second = key_of(&plane, &signer(&plane, &ann).await.unwrap());
    assert_ne!(second, first, "renewed before its end");
    plane.stop().await;
}

#[tokio::test]
async fn it_ends_with_the_session_and_no_other_does() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let bob = plane.sign_up("bob@example.com").await;
    let anns = key_of(&plane, &signer(&plane, &ann).await.unwrap());
    let bobs = key_of(&plane, &signer(&plane, &bob).await.unwrap());
    accounts::log_out(&plane.cp, &ann.token).await.unwrap();
    let status = |key: Option<wire::AccessKey>| key.map(|key| key.status);
    assert_eq!(
        status(told(&plane, &anns).await),
        Some(AccessKeyStatus::Revoked)
    );
    assert_eq!(
        status(told(&plane, &bobs).await),
        Some(AccessKeyStatus::Active)
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_new_role_has_a_new_key() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let first = key_of(&plane, &signer(&plane, &ann).await.unwrap());
    let set_role = async |role: &str| {
        let mut conn = plane.database.superuser().await;
        let done = sqlx::query("UPDATE members SET role = $1")
            .bind(role)
            .execute(&mut conn)
            .await;
        done.unwrap();
    };
    set_role("read_only").await;
    let ended = told(&plane, &first).await.expect("told that it is over");
    assert_eq!(ended.status, AccessKeyStatus::Revoked);
    let second = key_of(&plane, &signer(&plane, &ann).await.unwrap());
    let key = told(&plane, &second).await.expect("nodes know it");
    assert_eq!(key.scope.permission, Permission::Read);
    set_role("billing").await;
    assert!(matches!(
        signer(&plane, &ann).await,
        Err(Error::Forbidden(_))
    ));
    plane.stop().await;
}

#[tokio::test]
async fn links_to_one_bucket_read_it_alone_and_end_together() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let tenant = ann.session.tenant_id;
    let begin = async || plane.cp.begin_tenant(tenant).await.unwrap();
    let of = async |bucket| {
        let signer = console::link_signer(begin().await, &plane.cp, bucket)
            .await
            .unwrap();
        key_of(&plane, &signer)
    };
    let (one, again, two) = (of("one").await, of("one").await, of("two").await);
    assert_eq!(one, again);
    assert_ne!(one, two);
    let key = told(&plane, &one).await.expect("nodes know it");
    assert_eq!(key.scope.buckets, ["one"]);
    assert_eq!(key.scope.actions, [wire::Action::Read]);
    assert!(
        console::revoke_links(begin().await, &plane.cp, "one")
            .await
            .unwrap()
    );
    assert!(
        !console::revoke_links(begin().await, &plane.cp, "one")
            .await
            .unwrap()
    );
    let status = async |id: &str| told(&plane, id).await.map(|key| key.status);
    assert_eq!(status(&one).await, Some(AccessKeyStatus::Revoked));
    assert_eq!(status(&two).await, Some(AccessKeyStatus::Active));
    assert_ne!(of("one").await, one, "new links work");
    plane.stop().await;
}

#[tokio::test]
async fn a_key_is_rotated_with_an_overlap() {
    let plane = Plane::start().await;
    let ann = plane.sign_up("ann@example.com").await;
    let mut tx = plane.cp.begin_tenant(ann.session.tenant_id).await.unwrap();
    let mut new = access_keys::NewAccessKey {
        name: "ci".to_owned(),
        ..Default::default()
    };
    new.scope.permission = Permission::Read;
    let old = access_keys::create(&mut tx, &plane.cp, new).await.unwrap();
    let made = access_keys::rotate(&mut tx, &plane.cp, &old.access_key_id, Duration::days(1))
        .await
        .unwrap();
    let keys = access_keys::list(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let find = |id: &str| keys.iter().find(|key| key.access_key_id == id).unwrap();
    let (before, after) = (find(&old.access_key_id), find(&made.access_key_id));
    assert_eq!((&after.name, &after.scope), (&before.name, &before.scope));
    assert_eq!(after.replaces.as_deref(), Some(old.access_key_id.as_str()));
    assert_eq!(after.expires_at, None);
    assert_eq!(
        before.expires_at,
        Some(plane.clock.now() + Duration::days(1))
    );

    plane.clock.advance(Duration::days(1));
    let mut tx = plane.cp.begin_tenant(ann.session.tenant_id).await.unwrap();
    let late = access_keys::rotate(&mut tx, &plane.cp, &old.access_key_id, Duration::days(1)).await;
    assert!(matches!(late, Err(Error::Conflict { .. })), "it has ended");
    let again =
        access_keys::rotate(&mut tx, &plane.cp, &made.access_key_id, Duration::days(1)).await;
    assert!(again.is_ok());
    plane.stop().await;
}
