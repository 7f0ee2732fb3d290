//! Buckets: the list, making and deleting one, its settings, and the browser of its objects.
//! Objects are reached through the data plane, with requests signed by the session's own key.

pub mod create;
pub mod delete;
pub mod delete_objects;
pub mod deleted;
pub mod folder;
pub mod list;
pub mod object;
pub mod objects;
pub mod restore;
pub mod settings;
pub mod sign;
mod versions;

use controlplane::buckets::Bucket;
use controlplane::console::{self, Signer};
use controlplane::{Error, buckets};

use crate::App;
use crate::failure::Failure;
use crate::session::Member;

/// What stands above every page of one bucket.
struct Head<'a> {
    name: &'a str,
    public: bool,
    object_lock: bool,
    tab: Tab,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tab {
    Objects,
    Deleted,
    Settings,
}

impl<'a> Head<'a> {
    fn new(bucket: &'a Bucket, tab: Tab) -> Self {
        Self {
            name: &bucket.name,
            public: bucket.public_read,
            object_lock: bucket.object_lock,
            tab,
        }
    }
}

/// Another tenant's bucket is not in the list, and so is as unknown as one that never was.
async fn find(app: &App, member: &Member, name: &str) -> Result<Bucket, Failure> {
    may_read(member)?;
    let mut tx = member.begin(app).await?;
    let all = buckets::list(&mut tx).await?;
    tx.commit().await?;
    let found = all.into_iter().find(|bucket| bucket.name == name);
    Ok(found.ok_or(Error::NotFound("bucket"))?)
}

async fn signer(app: &App, member: &Member) -> Result<Signer, Failure> {
    let tx = member.begin(app).await?;
    Ok(console::signer(tx, &app.cp, &member.session, &member.token).await?)
}

pub fn may_read(member: &Member) -> Result<(), Failure> {
    let sentence =
        "Your role does not reach what is stored. Ask an owner or an admin of your team.";
    match console::may_read(member.session.role) {
        true => Ok(()),
        false => Err(Failure::new(http::StatusCode::FORBIDDEN, sentence)),
    }
}

pub fn may_write(member: &Member) -> Result<(), Failure> {
    let sentence = "Your role may look, but change nothing. Ask an owner or an admin of your team.";
    match console::may_write(member.session.role) {
        true => Ok(()),
        false => Err(Failure::new(http::StatusCode::FORBIDDEN, sentence)),
    }
}
