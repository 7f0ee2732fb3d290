//! Mail: written from templates, kept in an outbox by the transaction that causes it, and sent by a task.
//! Links bear the configured origin alone; what is in a mail is sealed until it is sent, and never logged.

mod letters;
mod outbox;
mod transport;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) use letters::{
    AccountDeleted, AlreadyRegistered, BillingStanding, ConfirmEmail, ConfirmSignUp,
    EmailChangeUndone, EmailChanged, Invitation, InvitationElsewhere, OwnershipTransferred,
    PasskeyCopied, PasswordChanged, ResetPassword, SecondStepChanged, UsageAlert,
};
pub(crate) use outbox::deliver;

use crate::secrets::Purpose;
use crate::{ControlPlane, Error, Tx, db};
use transport::Transport;

/// A mail that tells something, rather than bearing a link that ends, is tried for so long.
const NOTICE_LIVES: Duration = Duration::days(3);

/// Where mail goes.
#[derive(Clone, PartialEq, Eq)]
pub enum MailConfig {
    Smtp {
        /// `smtps://user:password@host:465`, or `smtp://…` with STARTTLS.
        url: String,
        /// `Vaultaire <no-reply@example.com>`
        from: String,
    },
    /// Nowhere: each mail becomes an `.eml` file in this folder.
    Folder(PathBuf),
}

/// The part of a control plane that sends.
pub(crate) struct Mailer {
    transport: Transport,
    due: Notify,
}

impl Mailer {
    pub(crate) fn new(config: &MailConfig) -> anyhow::Result<Self> {
        Ok(Self {
            transport: Transport::new(config)?,
            due: Notify::new(),
        })
    }

    /// After the commit of a transaction that enqueued something; without it the mail leaves a few seconds later.
    pub(crate) fn wake(&self) {
        self.due.notify_one();
    }
}

/// A kind of mail, with what is particular in it.
pub(crate) trait Letter {
    const KIND: &'static str;
    fn write(&self) -> Result<Content, askama::Error>;
}

/// A mail without its addresses; the shape in which it is sealed.
#[derive(Serialize, Deserialize)]
pub(crate) struct Content {
    pub subject: String,
    pub text: String,
    pub html: String,
    /// What the mail is sent for, if that is a link.
    pub link: Option<String>,
}

/// Adds the mail to the outbox. It is sent if the transaction is committed, by [`deliver`], and by nobody after
/// `until`.
pub(crate) async fn enqueue<L: Letter>(
    tx: &mut Tx,
    cp: &ControlPlane,
    recipient: &str,
    letter: &L,
    until: Option<DateTime<Utc>>,
) -> Result<(), Error> {
    let content = letter.write().map_err(anyhow::Error::from)?;
    let plain = serde_json::to_vec(&content).map_err(anyhow::Error::from)?;
    let plain = Zeroizing::new(plain);
    let id = Uuid::new_v4();
    let now = cp.clock().now();
    let sealed = cp
        .master_key()
        .seal(Purpose::Mail, &id.to_string(), &plain)?;
    let new = db::mails::New {
        id,
        kind: L::KIND,
        recipient,
        content: &sealed,
        now,
        give_up_at: until.unwrap_or(now + NOTICE_LIVES),
    };
    db::mails::insert(tx, new).await
}

/// The address of a page that a mail leads to, on the configured origin.
pub(crate) fn link(cp: &ControlPlane, path: &str) -> String {
    format!("{}{path}", cp.config().public_url)
}

/// A page that takes a token: letters and digits alone, so that nothing has to be escaped.
pub(crate) fn token_link(cp: &ControlPlane, path: &str, token: &str) -> String {
    link(cp, &format!("{path}?token={token}"))
}

impl ControlPlane {
    /// Where mail lies if it is not sent.
    pub fn mail_folder(&self) -> Option<&Path> {
        match &self.config().mail {
            MailConfig::Smtp { .. } => None,
            MailConfig::Folder(folder) => Some(folder),
        }
    }

    /// One person tries it out on their own machine: no mail is sent, and browsers come over loopback alone.
    pub fn is_for_one_machine(&self) -> bool {
        let rest = self.config().public_url.split_once("://");
        let host = rest.map_or("", |(_, rest)| rest);
        let host = match host.starts_with('[') {
            true => host.split_inclusive(']').next().unwrap_or_default(),
            false => host.split([':', '/']).next().unwrap_or_default(),
        };
        self.mail_folder().is_some() && matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    }
}
