//! The team: who belongs to a tenant, in which role, and who is invited.
//! Ownership is handed over, never given by role; there is one owner at any time.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use crate::accounts::{
    Act, Caller, Role, Session, SignedIn, attempts, begin_session, fold_email, password, sha256,
};
use crate::ids::{InvitationId, MemberId, TenantId};
use crate::mail::{self, InvitationElsewhere, OwnershipTransferred};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db, passwords, random, tenants};

const INVITATION_LIVES: Duration = Duration::days(7);
/// Invitations of one tenant that wait at the same time.
const INVITATIONS: i64 = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    pub email: String,
    /// `None`: this release does not know it, and its bearer may do nothing.
    pub role: Option<Role>,
    pub since: DateTime<Utc>,
    /// Whether the log-in asks for more than the password.
    pub second_step: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: InvitationId,
    pub email: String,
    pub role: Option<Role>,
    pub invited_by: String,
    pub expires_at: DateTime<Utc>,
}

/// What the link of an invitation leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInvitation {
    pub company: String,
    pub email: String,
    pub role: Option<Role>,
    pub invited_by: String,
}

/// The first who came first.
pub async fn list(tx: &mut Tx) -> Result<Vec<Member>, Error> {
    let tenant = tx.tenant()?;
    let rows = db::members::list(tx, tenant).await?.into_iter();
    let members = rows.map(|row| Member {
        id: row.id.into(),
        email: row.email,
        role: Role::parse(&row.role),
        since: row.created_at,
        second_step: row.second_step,
    });
    Ok(members.collect())
}

/// One of the tenant's members; another's is as unknown as one that never was.
pub async fn get(tx: &mut Tx, id: MemberId) -> Result<Member, Error> {
    let found = list(tx).await?.into_iter().find(|member| member.id == id);
    found.ok_or(Error::NotFound("member"))
}

/// Those that can still be accepted, the newest first.
pub async fn invitations(tx: &mut Tx, cp: &ControlPlane) -> Result<Vec<Invitation>, Error> {
    let tenant = tx.tenant()?;
    let rows = db::invitations::list(tx, tenant, cp.clock().now()).await?;
    let invitations = rows.into_iter().map(|row| Invitation {
        id: row.id.into(),
        email: row.email,
        role: Role::parse(&row.role),
        invited_by: row.invited_by,
        expires_at: row.expires_at,
    });
    Ok(invitations.collect())
}

/// Sends a link to the address, and answers the address as it is kept; one that was invited before gets a newer link. That the address may belong to
/// somebody else's account is told to it alone.
pub async fn invite(
    cp: &ControlPlane,
    by: impl Into<Caller>,
    email: &str,
    role: &str,
    origin: &Origin,
) -> Result<String, Error> {
    let by = by.into();
    allow(&by, Act::ManageMembers)?;
    let email = fold_email(email)?;
    let role = given_role(role)?;
    cp.throttle().mail(origin.address)?;
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let taken = db::members::is_taken(&mut tx, &email, None, now).await?;
    let may_mail = attempts::may_mail(&mut tx, cp, &email).await?;
    tx.commit().await?;

    let tenant = by.tenant_id;
    let mut tx = begin(cp, &by, origin).await?;
    tenants::lock(&mut tx, tenant).await?;
    if list(&mut tx).await?.iter().any(|m| m.email == email) {
        let message = "This address belongs to a member already.";
        return Err(Error::validation("email", message));
    }
    db::invitations::delete_expired(&mut tx, tenant, now).await?;
    if db::invitations::count(&mut tx, tenant).await? >= INVITATIONS {
        return Err(Error::Conflict {
            code: "too_many_invitations",
            message: format!("{INVITATIONS} invitations wait already. Take one back first."),
        });
    }
    let token = random::token(&mut rand::rng());
    let until = now + INVITATION_LIVES;
    let row = db::invitations::New {
        tenant,
        email: &email,
        role: role.as_str(),
        token_hash: &token_hash(&token),
        invited_by: &by.email,
        created_at: now,
        expires_at: until,
    };
    db::invitations::replace(&mut tx, row).await?;
    match (may_mail, taken) {
        (false, _) => {}
        (true, true) => {
            let letter = InvitationElsewhere {
                company: &by.company,
                by: &by.email,
            };
            mail::enqueue(&mut tx, cp, &email, &letter, None).await?;
        }
        (true, false) => {
            let letter = mail::Invitation {
                company: &by.company,
                by: &by.email,
                role: role.word(),
                link: &mail::token_link(cp, "/invitation", &token),
            };
            mail::enqueue(&mut tx, cp, &email, &letter, Some(until)).await?;
        }
    }
    let details = json!({ "role": role.as_str() });
    audit::record(&mut tx, cp, Some(tenant), "member.invite", &email, details).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(email)
}

/// The link in the mail is dead from then on.
pub async fn take_back(
    cp: &ControlPlane,
    by: impl Into<Caller>,
    id: InvitationId,
    origin: &Origin,
) -> Result<(), Error> {
    let by = by.into();
    allow(&by, Act::ManageMembers)?;
    let tenant = by.tenant_id;
    let mut tx = begin(cp, &by, origin).await?;
    let email = db::invitations::delete(&mut tx, tenant, id).await?;
    let email = email.ok_or(Error::NotFound("invitation"))?;
    let action = "member.uninvite";
    audit::record(&mut tx, cp, Some(tenant), action, &email, json!({})).await?;
    tx.commit().await
}

/// `None`: the link was used, is too old, or was taken back.
pub async fn open_invitation(
    cp: &ControlPlane,
    token: &str,
) -> Result<Option<OpenInvitation>, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let row = db::invitations::by_token(&mut tx, &token_hash(token), now).await?;
    let Some(row) = row else { return Ok(None) };
    if db::members::is_taken(&mut tx, &row.email, None, now).await? {
        return Ok(None);
    }
    Ok(Some(OpenInvitation {
        company: row.company,
        email: row.email,
        role: Role::parse(&row.role),
        invited_by: row.invited_by,
    }))
}

/// A member with the invitation's role, and a session. The mail has proven the address.
pub async fn accept(
    cp: &ControlPlane,
    token: &str,
    password: &str,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    let dead = || {
        let message = "This invitation was accepted already, is too old, or was taken back.";
        Error::BadRequest(message.to_owned())
    };
    passwords::check_new(password)?;
    cp.throttle().log_in(origin.address)?;
    open_invitation(cp, token).await?.ok_or_else(dead)?;
    let password = cp.passwords().hash(password).await?;
    let now = cp.clock().now();
    let hash = token_hash(token);
    let mut tx = cp.begin_system().await?;
    let row = db::invitations::by_token(&mut tx, &hash, now).await?;
    let row = row.ok_or_else(dead)?;
    let tenant = TenantId(row.tenant_id);
    let member = MemberId::random();
    let actor = Actor::Member {
        id: member,
        email: row.email.clone(),
    };
    let mut tx = tx.acting(actor, origin.clone());
    let new = db::members::New {
        id: member,
        tenant,
        email: &row.email,
        password_hash: Some(&password),
        role: &row.role,
        created_at: now,
    };
    if !db::invitations::delete_by_token(&mut tx, &hash).await?
        || db::members::is_taken(&mut tx, &row.email, None, now).await?
        || !db::members::insert(&mut tx, new).await?
    {
        return Err(dead());
    }
    let signed_in = begin_session(&mut tx, cp, tenant, member).await?;
    let details = json!({ "role": row.role, "invited_by": row.invited_by });
    audit::record(
        &mut tx,
        cp,
        Some(tenant),
        "member.join",
        &row.email,
        details,
    )
    .await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// Anybody's but the owner's, to anything but owner.
pub async fn change_role(
    cp: &ControlPlane,
    by: impl Into<Caller>,
    id: MemberId,
    role: &str,
    origin: &Origin,
) -> Result<(), Error> {
    let by = by.into();
    allow(&by, Act::ManageMembers)?;
    let role = given_role(role)?;
    let mut tx = begin(cp, &by, origin).await?;
    tenants::lock(&mut tx, by.tenant_id).await?;
    let member = get(&mut tx, id).await?;
    not_the_owner(&member)?;
    if member.role == Some(role) {
        return Ok(());
    }
    db::members::set_role(&mut tx, id, role.as_str()).await?;
    let details = json!({ "old": member.role.map(Role::as_str), "new": role.as_str() });
    let tenant = Some(by.tenant_id);
    audit::record(
        &mut tx,
        cp,
        tenant,
        "member.change_role",
        &member.email,
        details,
    )
    .await?;
    tx.commit().await
}

/// Their sessions end. Access keys that they made belong to the company, and stay.
pub async fn remove(
    cp: &ControlPlane,
    by: impl Into<Caller>,
    id: MemberId,
    origin: &Origin,
) -> Result<(), Error> {
    let by = by.into();
    allow(&by, Act::ManageMembers)?;
    take_out(cp, &by, id, "member.remove", origin).await
}

/// The session that asks ends with it. An owner hands the ownership over first.
pub async fn leave(cp: &ControlPlane, by: &Session, origin: &Origin) -> Result<(), Error> {
    let by = Caller::from(by);
    allow(&by, Act::OwnLogIn)?;
    take_out(cp, &by, by.member_id, "member.leave", origin).await
}

async fn take_out(
    cp: &ControlPlane,
    by: &Caller,
    id: MemberId,
    action: &str,
    origin: &Origin,
) -> Result<(), Error> {
    let mut tx = begin(cp, by, origin).await?;
    tenants::lock(&mut tx, by.tenant_id).await?;
    let member = get(&mut tx, id).await?;
    not_the_owner(&member)?;
    db::members::delete(&mut tx, id).await?;
    let details = json!({ "role": member.role.map(Role::as_str) });
    let tenant = Some(by.tenant_id);
    audit::record(&mut tx, cp, tenant, action, &member.email, details).await?;
    tx.commit().await
}

/// The member becomes the owner, and the owner an admin. Asks for the owner's password.
pub async fn transfer_ownership(
    cp: &ControlPlane,
    by: &Session,
    to: MemberId,
    present_password: &str,
    origin: &Origin,
) -> Result<(), Error> {
    allow(&by.into(), Act::TransferOwnership)?;
    password::check_present(cp, by, present_password, origin).await?;
    // The tenant's own address is the owner's; a tenant's transaction may not change it.
    let tenant = by.tenant_id;
    let tx = cp.begin_system().await?;
    let mut tx = tx.acting(by.actor(), origin.clone());
    tenants::lock(&mut tx, tenant).await?;
    let members = db::members::list(&mut tx, tenant).await?;
    let role_of = |id: MemberId| members.iter().find(|m| m.id == id.0);
    let new = role_of(to).ok_or(Error::NotFound("member"))?;
    // Somebody else may have been faster.
    if role_of(by.member_id).is_none_or(|m| m.role != Role::Owner.as_str()) {
        return Err(Error::Forbidden("You are not the owner any more."));
    }
    if to == by.member_id {
        return Ok(());
    }
    db::members::set_role(&mut tx, by.member_id, Role::Admin.as_str()).await?;
    db::members::set_role(&mut tx, to, Role::Owner.as_str()).await?;
    db::tenants::set_email(&mut tx, tenant, &new.email).await?;
    let letter = OwnershipTransferred {
        company: &by.company,
        old: &by.email,
        new: &new.email,
        when: &password::when(cp),
    };
    for recipient in [&by.email, &new.email] {
        mail::enqueue(&mut tx, cp, recipient, &letter, None).await?;
    }
    let action = "member.transfer_ownership";
    audit::record(&mut tx, cp, Some(tenant), action, &new.email, json!({})).await?;
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

async fn begin(cp: &ControlPlane, by: &Caller, origin: &Origin) -> Result<Tx, Error> {
    let tx = cp.begin_tenant(by.tenant_id).await?;
    Ok(tx.acting(by.actor(), origin.clone()))
}

fn allow(by: &Caller, act: Act) -> Result<(), Error> {
    match by.may(act) {
        true => Ok(()),
        false => Err(Error::Forbidden("Your role does not allow this.")),
    }
}

/// A role that one member may give another.
fn given_role(role: &str) -> Result<Role, Error> {
    match Role::parse(role) {
        Some(Role::Owner) => Err(Error::Forbidden(
            "There is one owner. Ownership is handed over, not given as a role.",
        )),
        Some(role) => Ok(role),
        None => Err(Error::validation("role", "Choose a role.")),
    }
}

fn not_the_owner(member: &Member) -> Result<(), Error> {
    match member.role {
        Some(Role::Owner) => Err(Error::Forbidden(
            "The owner stays the owner until they hand the ownership over.",
        )),
        _ => Ok(()),
    }
}

fn token_hash(token: &str) -> [u8; 32] {
    sha256(&["invitation", token])
}
