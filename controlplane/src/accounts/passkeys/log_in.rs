//! Logging in with a passkey: alone, or after the password.
//! One refusal, whatever was wrong: nothing tells whether a passkey, a member or an address exists.

use serde_json::json;
use zeroize::Zeroizing;

use super::ceremony::{self, Answer, Credential, Refused};
use super::{CEREMONY_LIVES, Ceremony, RelyingParty, party};
use crate::accounts::log_in::{begin, challenge_hash};
use crate::accounts::{SessionToken, SignedIn, attempts, password, sha256};
use crate::ids::{MemberId, TenantId};
use crate::mail::{self, PasskeyCopied};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db, random};

/// The token is for the browser's cookie: it alone may answer.
pub async fn begin_passkey_log_in(
    cp: &ControlPlane,
    origin: &Origin,
) -> Result<(SessionToken, Ceremony), Error> {
    let token = SessionToken(Zeroizing::new(random::token(&mut rand::rng()).to_string()));
    let ceremony = begin_bound(cp, &alone(&token), origin).await?;
    Ok((token, ceremony))
}

/// `challenge`: what the password has proven, as [`super::super::log_in`] gave it.
pub async fn begin_passkey_step(
    cp: &ControlPlane,
    challenge: &SessionToken,
    origin: &Origin,
) -> Result<Ceremony, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let open = db::log_in_challenges::get(&mut tx, &challenge_hash(challenge), now).await?;
    drop(tx);
    open.ok_or(Error::Unauthorized(TOO_LATE))?;
    begin_bound(cp, &second(challenge), origin).await
}

/// The passkey alone: it counts as both steps.
pub async fn log_in_with_passkey(
    cp: &ControlPlane,
    token: &SessionToken,
    answer: &str,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    let (mut tx, owner) = check(cp, &alone(token), answer, origin).await?;
    let signed_in = begin(&mut tx, cp, owner.tenant, owner.member, "passkey", true).await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// The second step, of the member whose password was right.
pub async fn pass_with_passkey(
    cp: &ControlPlane,
    challenge: &SessionToken,
    answer: &str,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    let hash = challenge_hash(challenge);
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let member = db::log_in_challenges::get(&mut tx, &hash, now).await?;
    drop(tx);
    let member = MemberId(member.ok_or(Error::Unauthorized(TOO_LATE))?);
    let (mut tx, owner) = check(cp, &second(challenge), answer, origin).await?;
    if owner.member != member {
        return Err(Error::Unauthorized(REFUSED));
    }
    if !db::log_in_challenges::delete(&mut tx, &hash).await? {
        return Err(Error::Unauthorized(TOO_LATE));
    }
    let with = "password and passkey";
    let signed_in = begin(&mut tx, cp, owner.tenant, member, with, true).await?;
    tx.commit().await?;
    Ok(signed_in)
}

const TOO_LATE: &str = "That took too long. Log in again.";
const REFUSED: &str =
    "That passkey was not accepted. It may have been removed, or the page was open for too long.";

struct Owner {
    tenant: TenantId,
    member: MemberId,
}

async fn begin_bound(
    cp: &ControlPlane,
    binding: &[u8; 32],
    origin: &Origin,
) -> Result<Ceremony, Error> {
    let party = party(cp)?;
    cp.throttle().log_in(origin.address)?;
    let begun = ceremony::begin_authentication(&party)?;
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let row = db::passkey_ceremonies::New {
        binding,
        name: "",
        state: &begun.state,
        expires_at: now + CEREMONY_LIVES,
    };
    db::passkey_ceremonies::replace(&mut tx, row, now).await?;
    tx.commit().await?;
    Ok(Ceremony {
        options: begun.options,
        origin: party.origin,
    })
}

/// Uses the challenge up, and gives a transaction in the name of the passkey's owner, who is proven.
async fn check(
    cp: &ControlPlane,
    binding: &[u8; 32],
    answer: &str,
    origin: &Origin,
) -> Result<(Tx, Owner), Error> {
    let party = party(cp)?;
    cp.throttle().log_in(origin.address)?;
    let refuse = |why: &str| {
        tracing::info!(address = ?origin.address, why, "a passkey was refused");
        Error::Unauthorized(REFUSED)
    };
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let begun = db::passkey_ceremonies::take(&mut tx, binding, now).await?;
    tx.commit().await?; // used up, whatever the answer is worth
    let begun = begun.ok_or_else(|| refuse("no such challenge"))?;
    let answer = Answer::read(answer).map_err(|why| refuse(&format!("{why:?}")))?;
    let mut tx = cp.begin_system().await?;
    let row = db::passkeys::lock(&mut tx, &answer.credential_id()).await?;
    let row = row.ok_or_else(|| refuse("it is not known"))?;
    let owner = Owner {
        tenant: TenantId(row.tenant_id),
        member: MemberId(row.member_id),
    };
    let actor = Actor::Member {
        id: owner.member,
        email: row.email.clone(),
    };
    let mut tx = tx.acting(actor, origin.clone());
    match verify(&party, &begun.state, &answer, &row) {
        Ok(moved) => {
            db::passkeys::used(&mut tx, row.id, moved.as_deref(), now).await?;
            Ok((tx, owner))
        }
        Err(Refused::Counter) => {
            copied(tx, cp, &owner, &row).await?;
            Err(refuse("its counter went back"))
        }
        Err(Refused::Other(why)) => Err(refuse(&why)),
    }
}

fn verify(
    party: &RelyingParty,
    state: &[u8],
    answer: &Answer,
    row: &db::passkeys::Row,
) -> Result<Option<Vec<u8>>, Refused> {
    let kept = Credential {
        credential_id: answer.credential_id(),
        static_state: row.static_state.clone(),
        dynamic_state: row.dynamic_state.clone(),
    };
    answer.check(party, state, row.member_id, &kept)
}

/// Whoever answered has the passkey's key, and its counter has been further: there are two of it. It opens nothing, and
/// its owner is told.
async fn copied(
    mut tx: Tx,
    cp: &ControlPlane,
    owner: &Owner,
    row: &db::passkeys::Row,
) -> Result<(), Error> {
    // Who it was is what is in doubt.
    let origin = tx.origin.clone();
    tx = tx.acting(Actor::System, origin);
    let tenant = Some(owner.tenant);
    let details = json!({ "member": row.email });
    audit::record(&mut tx, cp, tenant, "passkey.copied", &row.name, details).await?;
    if attempts::may_mail(&mut tx, cp, &row.email).await? {
        let letter = PasskeyCopied {
            name: &row.name,
            when: &password::when(cp),
            from: &password::from(&tx),
            account: &mail::link(cp, "/account"),
        };
        mail::enqueue(&mut tx, cp, &row.email, &letter, None).await?;
    }
    tx.commit().await?;
    cp.mailer().wake();
    Ok(())
}

fn alone(token: &SessionToken) -> [u8; 32] {
    sha256(&["passkey log-in", token.expose()])
}

fn second(challenge: &SessionToken) -> [u8; 32] {
    sha256(&["passkey second step", challenge.expose()])
}
