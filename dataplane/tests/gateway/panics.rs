//! A panic is one request's, and nobody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dataplane::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::RequestClass;

use crate::client::{Client, parse};
use crate::streams::Connection;
use crate::usage::{figures_say, lines, requests};
use crate::world::{KEY_A, RunningNode, SECRET_A, World, now};

/// A clock that panics at one reading of those who serve requests. What runs beside them reads it as ever.
#[derive(Clone, Default)]
struct Fails {
    readings: Arc<AtomicUsize>,
    at: Arc<AtomicUsize>,
}

impl Fails {
    fn clock(&self) -> Clock {
        let fails = self.clone();
        Clock::from_fn(move || {
            let thread = std::thread::current();
            if thread.name().is_some_and(|name| name.starts_with("s3-")) {
                let reading = fails.readings.fetch_add(1, Ordering::SeqCst) + 1;
                let at = fails.at.load(Ordering::SeqCst);
                assert_ne!(reading, at, "this clock fails once");
            }
            now()
        })
    }

    /// From here on. Never at 0.
    fn at(&self, reading: usize) {
        self.at.store(reading, Ordering::SeqCst);
        self.readings.store(0, Ordering::SeqCst);
    }

    /// How many readings there were since then.
    fn readings(&self) -> usize {
        self.readings.load(Ordering::SeqCst)
    }
}

/// A tenant may have two requests at once: places that are not given back are missed soon.
async fn started() -> (World, RunningNode, tempfile::TempDir, Fails) {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].limits.concurrent_requests = Some(2);
    })
    .await;
    world.control.forget();
    let (dir, fails) = (tempfile::tempdir().unwrap(), Fails::default());
    let url = &world.control_url;
    let node = RunningNode::start_with_clock(url, dir.path(), fails.clock()).await;
    world.control.acked(world.snapshot.revision).await;
    (world, node, dir, fails)
}

static UPLOAD: [u8; 300_000] = [b'x'; 300_000];

/// An upload of which the engine has heard the beginning.
async fn under_way(world: &World, client: &Client) -> TcpStream {
    let (_, head) = client.call("PUT", "/abkt/under-way").body(&UPLOAD).head();
    let mut upload = TcpStream::connect(client.address).await.unwrap();
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&UPLOAD[..200_000]).await.unwrap();
    world.engine.begun(1).await;
    upload
}

async fn ends_well(mut upload: TcpStream) {
    upload.write_all(&UPLOAD[200_000..]).await.unwrap();
    let mut answer = Vec::new();
    upload.read_to_end(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status, 200);
}

#[tokio::test]
async fn a_panic_answers_500_for_one_request_alone() {
    let (world, node, _dir, fails) = started().await;
    let client = node.client(KEY_A, SECRET_A);
    let upload = under_way(&world, &client).await;
    fails.at(0);
    assert_eq!(client.get("/").await.status, 200);
    let readings = fails.readings();
    assert!(readings > 1, "one is of its booking");
    for at in 1..=readings {
        // Two requests on one connection: the first panics, the second is answered.
        let (_, list) = client.call("GET", "/").head();
        let stays_open = list.replace("connection: close\r\n", "");
        fails.at(at);
        let answers = client.raw([stays_open, list].concat().as_bytes()).await;
        assert!(fails.readings() > at, "the clock was asked");
        let text = String::from_utf8(answers).unwrap();
        let second = text.rfind("HTTP/1.1 ").unwrap();
        let (first, second) = text.split_at(second);
        let first = parse(first.as_bytes());
        assert_eq!((first.status, first.code()), (500, "InternalError"), "{at}");
        assert!(!first.body.contains("clock"), "{}", first.body);
        assert_eq!(parse(second.as_bytes()).status, 200, "{text}");
    }
    ends_well(upload).await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_beside_a_refusal_leaves_it_as_it_is() {
    let (_world, node, _dir, fails) = started().await;
    let mut forger = node.client(KEY_A, SECRET_A);
    forger.secret = "another";
    fails.at(0);
    let refused = (403, "SignatureDoesNotMatch".to_owned());
    let said = async |client: &Client| {
        let answer = client.get("/abkt/k").await;
        (answer.status, answer.code().to_owned())
    };
    assert_eq!(said(&forger).await, refused);
    let readings = fails.readings();
    assert_eq!(
        readings, 2,
        "it is looked at, and kept for the customer to see"
    );
    fails.at(1);
    assert_eq!(said(&forger).await, (500, "InternalError".to_owned()));
    fails.at(2);
    assert_eq!(said(&forger).await, refused);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_in_an_upload_ends_it_alone_and_what_is_stored_is_booked() {
    let (world, node, _dir, fails) = started().await;
    let client = node.client(KEY_A, SECRET_A);
    let put = |n: usize| client.call("PUT", &format!("/abkt/{n}")).body(&UPLOAD);
    fails.at(0);
    assert_eq!(put(0).send().await.status, 200);
    let readings = fails.readings();
    assert!(readings > 2, "more than a tenant may have at once");
    for at in 1..=readings {
        fails.at(at);
        let answer = put(at).send().await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (500, "InternalError"), "{at}");
        assert!(fails.readings() >= at, "the clock was asked");
    }
    let stored = world.engine.objects().len();
    assert!((2..=readings).contains(&stored), "some came to exist");
    let broken = world
        .engine
        .take_seen()
        .iter()
        .filter(|seen| seen.body.is_none())
        .count();
    assert!(broken > 0, "some broke off on their way to the engine");
    assert_eq!(client.get("/abkt/0").await.status, 200);
    // The first reading is by the gate, which gives the request its name.
    let named = readings - 1;
    let panicked =
        format!("vaultaire_requests_total{{operation=\"PutObject\",status=\"5xx\"}} {named}");
    figures_say(&node, &panicked).await;

    // What exists was booked once, and what panicked is no request that anybody pays for.
    let lines = lines(&world, |lines| requests(lines, RequestClass::B) == 1).await;
    assert_eq!(requests(&lines, RequestClass::A), 1);
    let objects: u64 = lines.iter().map(|line| line.stored_objects).sum();
    assert_eq!(objects, stored as u64);
    let bytes: u64 = lines.iter().map(|line| line.stored_bytes).sum();
    assert_eq!(bytes, (stored * UPLOAD.len()) as u64);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_download_cuts_it_alone() {
    let (world, node, _dir, fails) = started().await;
    let client = node.client(KEY_A, SECRET_A);
    let upload = under_way(&world, &client).await;
    let object = "x".repeat(1 << 20);
    assert_eq!(client.put("/abkt/k", &object).await.status, 200);
    fails.at(0);
    assert_eq!(client.get("/abkt/k").await.body, object);
    let readings = fails.readings();
    for at in 1..readings {
        fails.at(at);
        let answer = client.get("/abkt/k").await;
        assert_eq!((answer.status, answer.code()), (500, "InternalError"));
    }
    // The last reading is of its booking, when most of it is on its way.
    for _ in 0..3 {
        fails.at(readings);
        let cut = client.get("/abkt/k").await;
        assert!(fails.readings() >= readings, "the clock was asked");
        assert_eq!(cut.status, 200);
        assert_eq!(cut.headers["content-length"], object.len().to_string());
        assert!(cut.body.len() < object.len(), "{}", cut.body.len());
    }
    fails.at(0);
    assert_eq!(client.get("/abkt/k").await.body, object);
    ends_well(upload).await;
    let of_gets = |class: &str, count: usize| {
        format!("vaultaire_requests_total{{operation=\"GetObject\",status=\"{class}\"}} {count}")
    };
    // The first reading is by the gate, which gives the request its name.
    figures_say(&node, &of_gets("5xx", readings - 2)).await;
    figures_say(&node, &of_gets("2xx", 5)).await;
    let lines = lines(&world, |lines| requests(lines, RequestClass::A) == 2).await;
    assert_eq!(
        requests(&lines, RequestClass::B),
        2,
        "those that were whole"
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_one_stream_of_a_connection() {
    let (world, node, _dir, fails) = started().await;
    let client = node.client(KEY_A, SECRET_A);
    let connection = Connection::to(&client).await;
    let upload = connection.upload(&client.call("PUT", "/abkt/under-way").body(&UPLOAD));
    assert!(upload.piece(&UPLOAD[..200_000]).await);
    world.engine.begun(1).await;

    let list = client.call("GET", "/");
    fails.at(0);
    assert_eq!(connection.send(&list).await.status, 200);
    for at in 1..=fails.readings() {
        fails.at(at);
        let answer = connection.send(&list).await;
        assert_eq!(
            (answer.status, answer.code()),
            (500, "InternalError"),
            "{at}"
        );
        assert_eq!(connection.send(&list).await.status, 200);
    }

    assert!(upload.piece(&UPLOAD[200_000..]).await);
    assert_eq!(upload.end().await.status, 200);
    node.stop().await.unwrap();
}
