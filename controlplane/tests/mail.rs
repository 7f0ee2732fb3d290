//! The outbox: what is committed is sent, once, over a server that fails, and by whichever control plane is there.

use std::sync::{Arc, Mutex};

use chrono::Duration;
use controlplane::accounts;
use controlplane::{Clock, Config, ControlPlane, MailConfig, Origin};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::plane::{Plane, eventually};
use crate::sign_up::sign_up;

/// An SMTP server of a few words, which refuses the first `refusals` mails for now.
/// <https://www.rfc-editor.org/rfc/rfc5321#appendix-D>
struct Server {
    address: String,
    taken: Arc<Mutex<Vec<String>>>,
    tried: Arc<Mutex<usize>>,
}

impl Server {
    async fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (taken, tried) = (Arc::default(), Arc::default());
        let server = Self {
            address,
            taken: Arc::clone(&taken),
            tried: Arc::clone(&tried),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mail = serve(BufReader::new(stream), &tried, refusals).await;
                taken.lock().unwrap().extend(mail);
            }
        });
        server
    }
}

async fn serve(
    mut stream: BufReader<tokio::net::TcpStream>,
    tried: &Mutex<usize>,
    refusals: usize,
) -> Option<String> {
    let mut mail = None;
    let mut answer = "220 ready\r\n";
    loop {
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return mail;
        }
        answer = match line.get(..4)? {
            "EHLO" => "250 here\r\n",
            "MAIL" => {
                let mut tried = tried.lock().unwrap();
                *tried += 1;
                if *tried <= refusals {
                    "451 later\r\n"
                } else {
                    "250 yes\r\n"
                }
            }
            "RCPT" => "250 yes\r\n",
            "DATA" => {
                stream.get_mut().write_all(b"354 go on\r\n").await.ok()?;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut text).await.ok()?;
                }
                mail = Some(text);
                "250 taken\r\n"
            }
            "QUIT" => return mail,
            _ => "250 yes\r\n",
        };
    }
}

async fn with_server(plane: &Plane, server: &Server) -> ControlPlane {
    let config = Config {
        mail: MailConfig::Smtp {
            url: format!("smtp://{}", server.address),
            from: "Acme Storage <no-reply@acme.example>".to_owned(),
        },
        public_url: "https://storage.acme.example".to_owned(),
        ..plane.config()
    };
    let clock: Clock = plane.clock.clone();
    ControlPlane::start(config, clock).await.unwrap()
}

#[tokio::test]
async fn a_mail_is_tried_until_the_server_takes_it_and_then_gone() {
    let plane = Plane::start().await;
    plane.cp.shut_down().await;
    let server = Server::start(1).await;
    let cp = with_server(&plane, &server).await;
    let origin = Origin::default();
    let sent = accounts::sign_up(&cp, sign_up("ann@example.com"), &origin).await;
    assert!(
        sent.unwrap().link.is_none(),
        "mail is sent: no link is shown"
    );
    eventually(async || *server.tried.lock().unwrap() == 1).await;
    let waiting = "SELECT count(*) FROM mails WHERE attempts = 1";
    eventually(async || plane.database.count(waiting).await == 1).await;
    assert!(server.taken.lock().unwrap().is_empty());

    plane.clock.advance(Duration::seconds(15));
    eventually(async || !server.taken.lock().unwrap().is_empty()).await;
    plane.outbox_is_empty().await;
    let mail = server.taken.lock().unwrap()[0].clone();
    for part in [
        "From: \"Acme Storage\" <no-reply@acme.example>",
        "To: ann@example.com",
        "https://storage.acme.example/signup/confirm?token=",
        "Content-Type: text/plain",
        "Content-Type: text/html",
    ] {
        assert!(mail.contains(part), "no {part} in {mail}");
    }
    assert_eq!(*server.tried.lock().unwrap(), 2);
    cp.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn a_mail_outlives_the_control_plane_that_enqueued_it() {
    let plane = Plane::start().await;
    plane.cp.shut_down().await;
    let down = Server::start(usize::MAX).await;
    let cp = with_server(&plane, &down).await;
    let sent = accounts::sign_up(&cp, sign_up("ann@example.com"), &Origin::default()).await;
    sent.unwrap();
    eventually(async || *down.tried.lock().unwrap() == 1).await;
    cp.shut_down().await;

    plane.clock.advance(Duration::minutes(1));
    let up = Server::start(0).await;
    let cp = with_server(&plane, &up).await;
    eventually(async || up.taken.lock().unwrap().len() == 1).await;
    plane.outbox_is_empty().await;
    cp.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn a_mail_whose_link_is_dead_is_not_sent_any_more() {
    let plane = Plane::start().await;
    plane.cp.shut_down().await;
    let server = Server::start(1).await;
    let cp = with_server(&plane, &server).await;
    let sent = accounts::sign_up(&cp, sign_up("ann@example.com"), &Origin::default()).await;
    sent.unwrap();
    eventually(async || *server.tried.lock().unwrap() == 1).await;
    plane.clock.advance(Duration::hours(24));
    plane.outbox_is_empty().await;
    assert_eq!(*server.tried.lock().unwrap(), 1);
    cp.shut_down().await;
    plane.stop().await;
}

#[tokio::test]
async fn what_is_in_a_mail_is_sealed_in_the_database_and_private_on_the_disk() {
    use std::os::unix::fs::PermissionsExt;
    let plane = Plane::start().await;
    let origin = Origin::default();
    // Held up, so that the row can be looked at.
    let mut lock = plane.database.superuser().await;
    let hold = "SELECT count(*) FROM pg_advisory_lock(x'7661756c6d61696c'::bigint)";
    sqlx::query(sqlx::AssertSqlSafe(hold))
        .execute(&mut lock)
        .await
        .unwrap();
    let sent = accounts::sign_up(&plane.cp, sign_up("ann@example.com"), &origin).await;
    let link = sent.unwrap().link.unwrap();
    let (_, token) = link.split_once("?token=").unwrap();
    let found = format!(
        "SELECT count(*) FROM mails WHERE mails::text LIKE '%{token}%' OR position('{token}' IN encode(content, 'escape')) > 0"
    );
    assert_eq!(plane.database.count("SELECT count(*) FROM mails").await, 1);
    assert_eq!(plane.database.count(&found).await, 0);
    drop(lock);
    plane.outbox_is_empty().await;
    let folder = plane.folder.path().join("mail");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let mail = plane.mail("confirm_sign_up", "ann@example.com").await;
    assert_eq!(mail.link(), link);
    assert_eq!(mail.subject, "Confirm your email address for Vaultaire");
    plane.stop().await;
}
