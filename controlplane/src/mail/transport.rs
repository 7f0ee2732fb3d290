//! How a mail leaves: over SMTP, or into a folder where none is set up.
//! The one place that logs a link is the folder's: there is no other way to hear of it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::{Content, MailConfig};

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) enum Transport {
    Smtp {
        server: Box<AsyncSmtpTransport<Tokio1Executor>>,
        from: Mailbox,
    },
    Folder(PathBuf),
}

pub(super) struct Outgoing<'a> {
    pub id: Uuid,
    pub kind: &'a str,
    pub recipient: &'a str,
    pub content: &'a Content,
    pub now: DateTime<Utc>,
}

impl Transport {
    pub(super) fn new(config: &MailConfig) -> anyhow::Result<Self> {
        Ok(match config {
            MailConfig::Folder(folder) => Self::Folder(folder.clone()),
            MailConfig::Smtp { url, from } => Self::Smtp {
                server: Box::new(
AsyncSmtpTransport::<Tokio1Executor>::from_url(&protected(url)?)
                    .map_err(|_| {
                        anyhow::anyhow!(
                            "VAULTAIRE_SMTP_URL is not smtps://user:password@host:port or smtp://…"
                        )
                    })?
                    .timeout(Some(PATIENCE))
                    .build(),
),
                from: Mailbox::from_str(from)
                    .with_context(|| format!("VAULTAIRE_MAIL_FROM: `{from}` is no address"))?,
            },
        })
    }

    pub(super) async fn send(&self, mail: Outgoing<'_>) -> anyhow::Result<()> {
        match self {
            Self::Smtp { server, from } => {
                let message = message(from.clone(), &mail)?;
                let answer = server.send(message).await?;
                anyhow::ensure!(answer.is_positive(), "the server refused the mail");
                tracing::info!(mail = %mail.id, kind = mail.kind, "mail sent");
                Ok(())
            }
            Self::Folder(folder) => {
                let from = "Vaultaire <no-reply@vaultaire.invalid>".parse()?;
                let message = message(from, &mail)?;
                let file = write(folder, &mail, &message.formatted()).await?;
                tracing::info!(
                    to = mail.recipient,
                    subject = mail.content.subject,
                    link = mail.content.link.as_deref().unwrap_or("none"),
                    file = %file.display(),
                    "mail is not set up (VAULTAIRE_SMTP_URL): this one lies in a file"
                );
                Ok(())
            }
        }
    }
}

/// With STARTTLS asked for, unless the server is on this machine: a password must not cross a network in the clear.
fn protected(url: &str) -> anyhow::Result<String> {
    let Some(rest) = url.strip_prefix("smtp://") else {
        return Ok(url.to_owned());
    };
    anyhow::ensure!(
        !rest.contains('?'),
        "VAULTAIRE_SMTP_URL takes no parameters: smtp:// is always with STARTTLS, but on this machine"
    );
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let with = if here { "" } else { "?tls=required" };
    Ok(format!("{}{with}", url.trim_end_matches('/')))
}

fn message(from: Mailbox, mail: &Outgoing<'_>) -> anyhow::Result<Message> {
    let to: Address = mail.recipient.parse().context("the recipient")?;
    let Content {
        subject,
        text,
        html,
        ..
    } = mail.content;
    let domain = from.email.domain().to_owned();
    Ok(Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(subject)
        .date(mail.now.into())
        .message_id(Some(format!("<{}@{domain}>", mail.id.simple())))
        // No machine shall answer. <https://www.rfc-editor.org/rfc/rfc3834#section-5>
        .header(AutoSubmitted)
        .multipart(
            MultiPart::alternative()
                .singlepart(part(ContentType::TEXT_PLAIN, text))
                .singlepart(part(ContentType::TEXT_HTML, html)),
        )?)
}

/// As it is, where it can go as it is (RFC 5322 allows lines of 998 characters): quoted-printable would break links in
/// two for whoever reads the file.
fn part(kind: ContentType, body: &str) -> SinglePart {
    let part = SinglePart::builder().header(kind);
    let lines: Vec<&str> = body.lines().collect();
    if !body.is_ascii() || lines.iter().any(|line| line.len() > 900) {
        return part.body(body.to_owned());
    }
    let encoding = ContentTransferEncoding::SevenBit;
    let body = Body::dangerous_pre_encoded(lines.join("\r\n").into_bytes(), encoding);
    part.header(encoding).body(body)
}

#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Whole or not at all, and for its owner's eyes: links are in it.
async fn write(folder: &PathBuf, mail: &Outgoing<'_>, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    tokio::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .await
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let id = mail.id.simple().to_string();
    let time = mail.now.format("%Y%m%dT%H%M%SZ");
    let name = format!("{time}-{}-{}", mail.kind, id.get(..8).unwrap_or(&id));
    let half = folder.join(format!(".{name}.part"));
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)
        .await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    let whole = folder.join(format!("{name}.eml"));
    tokio::fs::rename(&half, &whole).await?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_crosses_no_network_in_the_clear() {
        let asked = |url: &str| protected(url).unwrap();
        assert_eq!(
            asked("smtp://u:p@mail.example:587"),
            "smtp://u:p@mail.example:587?tls=required"
        );
        assert_eq!(asked("smtp://127.0.0.1:2525"), "smtp://127.0.0.1:2525");
        assert_eq!(asked("smtp://localhost"), "smtp://localhost");
        assert_eq!(
            asked("smtps://u:p@mail.example"),
            "smtps://u:p@mail.example"
        );
        assert!(protected("smtp://mail.example?tls=opportunistic").is_err());
        assert!(asked("smtp://u:p@localhost.evil.example").ends_with("?tls=required"));
    }

    #[tokio::test]
    async fn a_server_or_sender_that_is_none_is_refused_at_the_start() {
        let smtp = |url: &str, from: &str| MailConfig::Smtp {
            url: url.to_owned(),
            from: from.to_owned(),
        };
        let good = "smtps://u:p@mail.example:465";
        assert!(Transport::new(&smtp(good, "Acme <no-reply@acme.example>")).is_ok());
        assert!(Transport::new(&smtp(good, "Acme")).is_err());
        assert!(Transport::new(&smtp("mail.example", "a@acme.example")).is_err());
    }
}
