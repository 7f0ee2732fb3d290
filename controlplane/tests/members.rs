//! The team: invited, accepted, promoted, removed; and no way up but the one that the owner gives.

use chrono::Duration;
use controlplane::accounts::{self, Act, Role, SignedIn, may};
use controlplane::{Origin, audit, members};

use crate::accounts::{log_in, status};
use crate::plane::{PASSWORD, Plane};

fn origin() -> Origin {
    Origin::default()
}

/// A member of `by`'s team, through an invitation.
pub async fn join(plane: &Plane, by: &SignedIn, email: &str, role: &str) -> SignedIn {
    members::invite(&plane.cp, &by.session, email, role, &origin())
        .await
        .unwrap();
    let token = plane.mail("invitation", email).await.token();
    members::accept(&plane.cp, &token, PASSWORD, &origin())
        .await
        .unwrap()
}

async fn list(plane: &Plane, by: &SignedIn) -> Vec<(String, Option<Role>)> {
    let mut tx = plane.cp.begin_tenant(by.session.tenant_id).await.unwrap();
    let members = members::list(&mut tx).await.unwrap();
    // Who came at the same moment is in no order.
    let mut members: Vec<_> = members.into_iter().map(|m| (m.email, m.role)).collect();
    members.sort();
    members
}

#[tokio::test]
async fn an_invitation_makes_a_member_once_and_within_a_week() {
    let plane = Plane::start().await;
    let owner = plane.sign_up("owner@example.com").await;
    let invite = async |email: &str, role: &str| {
        members::invite(&plane.cp, &owner.session, email, role, &origin()).await
    };
    invite("dev@example.com", "billing").await.unwrap();
    let older = plane.mail("invitation", "dev@example.com").await.token();
    invite("Dev@example.com", "developer").await.unwrap();
    let mail = plane.mail("invitation", "dev@example.com").await;
    assert!(mail.text.contains("developer"), "{}", mail.text);
    assert_eq!(
        mail.subject,
        "owner@example.com invites you to Acme on Vaultaire"
    );
    let open = members::open_invitation(&plane.cp, &mail.token())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (open.email.as_str(), open.role),
        ("dev@example.com", Some(Role::Developer))
    );
    let accept = async |token: &str| members::accept(&plane.cp, token, PASSWORD, &origin()).await;
    assert_eq!(status(&accept(&older).await), 400, "replaced");
    let dev = accept(&mail.token()).await.unwrap();
    assert_eq!(dev.session.tenant_id, owner.session.tenant_id);
    assert_eq!(dev.session.role, Role::Developer);
    assert_eq!(status(&accept(&mail.token()).await), 400, "used");
    assert!(log_in(&plane, "dev@example.com", PASSWORD).await.is_ok());
    assert_eq!(
        invite("dev@example.com", "admin")
            .await
            .unwrap_err()
            .field(),
        Some("email")
    );

    invite("late@example.com", "developer").await.unwrap();
    let late = plane.mail("invitation", "late@example.com").await.token();
    plane.clock.advance(Duration::days(7));
    assert_eq!(status(&accept(&late).await), 400, "too old");
    plane.stop().await;
}

#[tokio::test]
async fn an_invitation_that_is_taken_back_is_dead_and_anothers_is_not_found() {
    let plane = Plane::start().await;
    let owner = plane.sign_up("owner@example.com").await;
    let eve = plane.sign_up("eve@example.com").await;
    members::invite(
        &plane.cp,
        &owner.session,
        "dev@example.com",
        "developer",
        &origin(),
    )
    .await
    .unwrap();
    let token = plane.mail("invitation", "dev@example.com").await.token();
    let mut tx = plane
        .cp
        .begin_tenant(owner.session.tenant_id)
        .await
        .unwrap();
    let id = members::invitations(&mut tx, &plane.cp).await.unwrap()[0].id;
    drop(tx);
    let foreign = members::take_back(&plane.cp, &eve.session, id, &origin()).await;
    assert_eq!(status(&foreign), 404);
    members::take_back(&plane.cp, &owner.session, id, &origin())
        .await
        .unwrap();
    let answer = members::accept(&plane.cp, &token, PASSWORD, &origin()).await;
    assert_eq!(status(&answer), 400);
    plane.stop().await;
}

#[tokio::test]
async fn who_has_an_account_elsewhere_hears_of_it_and_who_invites_does_not() {
    let plane = Plane::start().await;
    let owner = plane.sign_up("owner@example.com").await;
    let other = plane.sign_up("other@example.com").await;
    let answer = members::invite(
        &plane.cp,
        &owner.session,
        "other@example.com",
        "admin",
        &origin(),
    )
    .await;
    assert_eq!(status(&answer), 200);
    let mail = plane
        .mail("invitation_elsewhere", "other@example.com")
        .await;
    assert!(!mail.text.contains("token"));
    let again = log_in(&plane, "other@example.com", PASSWORD).await.unwrap();
    let session = accounts::session(&plane.cp, &again).await.unwrap().unwrap();
    assert_eq!(session.tenant_id, other.session.tenant_id);
    plane.stop().await;
}

#[tokio::test]
async fn row_09_only_those_who_may_manage_members_do_and_nobody_makes_an_owner() {
    let plane = Plane::start().await;
    let owner = plane.sign_up("owner@example.com").await;
    let mut team = vec![];
    for role in ["admin", "developer", "billing", "read_only"] {
        team.push(join(&plane, &owner, &format!("{role}@example.com"), role).await);
    }
    let target = join(&plane, &owner, "target@example.com", "developer").await;
    let id = target.session.member_id;
    for by in team.iter().chain([&owner]) {
        let allowed = if may(by.session.role, Act::ManageMembers) {
            200
        } else {
            403
        };
        let cp = &plane.cp;
        let (email, origin) = (
            format!("new-{}@example.com", by.session.member_id),
            origin(),
        );
        let invite = members::invite(cp, &by.session, &email, "developer", &origin).await;
        assert_eq!(status(&invite), allowed, "{:?}", by.session.role);
        let change = members::change_role(cp, &by.session, id, "billing", &origin).await;
        assert_eq!(status(&change), allowed, "{:?}", by.session.role);
        // Up to owner, nobody, not even themselves.
        let own = by.session.member_id;
        for who in [id, own] {
            let up = members::change_role(cp, &by.session, who, "owner", &origin).await;
            assert_eq!(status(&up), 403, "{:?}", by.session.role);
        }
        let invite = members::invite(cp, &by.session, "x@example.com", "owner", &origin).await;
        assert_eq!(status(&invite), 403);
        // Nor is the owner pushed down or out.
        let owner_id = owner.session.member_id;
        let down = members::change_role(cp, &by.session, owner_id, "billing", &origin).await;
        assert_eq!(status(&down), 403);
        let out = members::remove(cp, &by.session, owner_id, &origin).await;
        assert_eq!(status(&out), 403);
        if by.session.role != Role::Owner {
            let grab = members::transfer_ownership(cp, &by.session, own, PASSWORD, &origin).await;
            assert_eq!(status(&grab), 403);
        }
    }
    let owners = "SELECT count(*) FROM members WHERE role = 'owner'";
    assert_eq!(plane.database.count(owners).await, 1);
    plane.stop().await;
}

#[tokio::test]
async fn row_08_another_tenants_member_is_not_found() {
    let plane = Plane::start().await;
    let owner = plane.sign_up("owner@example.com").await;
    let dev = join(&plane, &owner, "dev@example.com", "developer").await;
    let eve = plane.sign_up("eve@example.com").await;
    let (cp, id) = (&plane.cp, dev.session.member_id);
    let change = members::change_role(cp, &eve.session, id, "admin", &origin()).await;
    assert_eq!(status(&change), 404);
    assert_eq!(
        status(&members::remove(cp, &eve.session, id, &origin()).await),
        404
    );
    let give = members::transfer_ownership(cp, &eve.session, id, PASSWORD, &origin()).await;
    assert_eq!(status(&give), 404);
    let change = members::change_role(cp, &owner.session, id, "admin", &origin()).await;
    assert_eq!(status(&change), 200);
    plane.stop().await;
}

#[tokio::test]
async fn who_is_removed_or_leaves_is_out_at_once() {
    let plane = Plane::start().await;
    let owner = plane.sign_up("owner@example.com").await;
    let dev = join(&plane, &owner, "dev@example.com", "developer").await;
    let billing = join(&plane, &owner, "billing@example.com", "billing").await;
    members::remove(&plane.cp, &owner.session, dev.session.member_id, &origin())
        .await
        .unwrap();
    members::leave(&plane.cp, &billing.session, &origin())
        .await
        .unwrap();
    for gone in [&dev, &billing] {
        assert!(
            accounts::session(&plane.cp, &gone.token)
                .await
                .unwrap()
                .is_none()
        );
        assert!(log_in(&plane, &gone.session.email, PASSWORD).await.is_err());
    }
    let refused = members::leave(&plane.cp, &owner.session, &origin()).await;
    assert_eq!(status(&refused), 403, "somebody has to be the owner");
    assert_eq!(list(&plane, &owner).await.len(), 1);
    // The address is free again.
    join(&plane, &owner, "dev@example.com", "read_only").await;
    plane.stop().await;
}

#[tokio::test]
async fn ownership_is_handed_over_with_the_password_and_there_is_one_owner() {
    let plane = Plane::start().await;
    let owner = plane.sign_up("owner@example.com").await;
    let dev = join(&plane, &owner, "dev@example.com", "developer").await;
    let id = dev.session.member_id;
    let give = async |password: &str| {
        members::transfer_ownership(&plane.cp, &owner.session, id, password, &origin()).await
    };
    assert_eq!(
        give("wrong password").await.unwrap_err().field(),
        Some("password")
    );
    give(PASSWORD).await.unwrap();
    assert_eq!(
        list(&plane, &owner).await,
        [
            ("dev@example.com".to_owned(), Some(Role::Owner)),
            ("owner@example.com".to_owned(), Some(Role::Admin)),
        ]
    );
    // The page that is still open says owner; the database does not.
    assert_eq!(status(&give(PASSWORD).await), 403);
    for to in ["owner@example.com", "dev@example.com"] {
        plane.mail("ownership_transferred", to).await;
    }
    let mut tx = plane
        .cp
        .begin_tenant(owner.session.tenant_id)
        .await
        .unwrap();
    let log = audit::list(&mut tx, 50).await.unwrap();
    let actions: Vec<&str> = log.iter().map(|e| e.action.as_str()).collect();
    for action in ["member.invite", "member.join", "member.transfer_ownership"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    plane.stop().await;
}
