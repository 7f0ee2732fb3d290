//! Connections: when a client is told to go on, what it reads of a refusal, and when nothing happens.

use std::time::{Duration, Instant};

use dataplane::Patience;
use tokio::net::TcpStream;
use wire::Permission;

use crate::client::{Client, parse};
use crate::world::{KEY_A, RunningNode, SECRET_A, World};

pub async fn raw(world: &World, head: &str) -> crate::client::Answer {
    let text = head.replace("HOST", &world.a.address.to_string());
    parse(&world.a.raw(text.as_bytes()).await)
}

#[tokio::test]
async fn continue_is_said_only_to_those_who_may() {
    let world = World::with(|snapshot| {
        let keys = &mut snapshot.tenants[0].access_keys;
        keys[0].scope.buckets = vec!["abkt".into()];
        keys[0].scope.prefixes = vec!["in/".into()];
        let mut reads = keys[0].clone();
        reads.access_key_id = "VLTRRRRRRRRRRRRRRRRR".into();
        reads.scope.permission = Permission::Read;
        keys.push(reads);
    })
    .await;
    let forger = Client {
        secret: "wrong",
        ..world.a.clone()
    };
    let reader = Client {
        access_key_id: "VLTRRRRRRRRRRRRRRRRR",
        ..world.a.clone()
    };
    for (client, target, code) in [
        (&forger, "/abkt/in/k", "SignatureDoesNotMatch"),
        (&world.a, "/abkt/out/k", "AccessDenied"),
        (&world.a, "/shared-name/in/k", "AccessDenied"),
        (&reader, "/abkt/in/k", "AccessDenied"),
    ] {
        let call = client.call("PUT", target).body(b"hello");
        let (told, answer) = call.send_when_told().await;
        let got = (told, answer.status, answer.code());
        assert_eq!(got, (false, 403, code), "{target}");
        world.assert_engine_saw_nothing(target);
    }
    let call = world.a.call("PUT", "/abkt/in/k").body(b"hello");
    let (told, answer) = call.send_when_told().await;
    assert_eq!((told, answer.status), (true, 200));
    assert_eq!(reader.get("/abkt/in/k").await.body, "hello");
}

/// A client that sends all of its body before it reads must find the refusal, not a reset.
#[tokio::test]
async fn a_refusal_is_read_by_clients_that_send_first() {
    let world = World::start().await;
    let forger = crate::client::Client {
        secret: "wrong",
        ..world.a.clone()
    };
    for size in [100, 100_000, 3_000_000] {
        let answer = forger
            .call("PUT", "/abkt/k")
            .body(&vec![b'x'; size])
            .send()
            .await;
        assert_eq!(answer.code(), "SignatureDoesNotMatch", "{size}");
    }
    world.assert_engine_saw_nothing("refused uploads");
}

#[tokio::test]
async fn a_connection_on_which_nothing_happens_is_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    for said in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = tokio::net::TcpStream::connect(world.a.address)
            .await
            .unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(
            std::time::Duration::from_secs(10),
            stream.read_to_end(&mut rest),
        )
        .await;
        assert!(closed.is_ok(), "{said:?}: still open");
    }
}

#[tokio::test]
async fn a_node_that_is_to_end_says_so_and_ends_what_it_began() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    world.control.forget();
    let an_hour = std::time::Duration::from_secs(3600);
    let mut lingering =
        RunningNode::start_with_drain_delay(&world.control_url, dir.path(), an_hour).await;
    world.control.acked(world.snapshot.revision).await;
    lingering.end();
    let health = Client {
        address: lingering.health,
        ..world.a.clone()
    };
    let ready = "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let said = loop {
        let said = String::from_utf8(health.raw(ready.as_bytes()).await).unwrap();
        if said.starts_with("HTTP/1.1 503") {
            break said;
        }
    };
    assert!(said.contains("\"draining\":true"), "{said}");
    let client = lingering.client(crate::world::KEY_A, crate::world::SECRET_A);
    assert_eq!(client.put("/abkt/late", "v").await.status, 200);

    // Without a delay: no new connection, but the upload that is under way ends well.
    let s3 = world.node.s3;
    let upload = world.a.call("PUT", "/abkt/k").body(b"hello");
    let (_, head) = upload.header("expect", "100-continue").head();
    let mut stream = TcpStream::connect(s3).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"));
    let ending = tokio::spawn(world.node.stop());
    while TcpStream::connect(s3).await.is_ok() {}
    stream.write_all(b"hello").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status, 200);
    ending.await.unwrap().unwrap();
}

/// A client that has asked for this, which the engine answers so, and that takes little at once.
async fn asked_for(world: &World, client: &Client, target: &str, answer: &str) -> TcpStream {
    use tokio::io::AsyncWriteExt;
    world.engine.answer_next(http::StatusCode::OK, answer);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(client.address).await.unwrap();
    let (_, head) = client.call("GET", target).head();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn whoever_reads_slowly_gets_an_answer_to_its_end() {
    use tokio::io::AsyncReadExt;
    // A document, so that all of it is queued at once: for the node the request is over then.
    let contents: String = (0..1000)
        .map(|n| {
            let key = "&amp;".repeat(1000);
            format!("<Contents><Key>{n}{key}</Key><Size>1</Size><ETag>e</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>")
        })
        .collect();
    let document =
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>");
    let world = World::start().await;
    world.control.forget();
    let dir = tempfile::tempdir().unwrap();
    let patience = Patience {
        head: Duration::from_millis(400),
        ..Patience::default()
    };
    let node = RunningNode::start_with_patience(&world.control_url, dir.path(), patience).await;
    world.control.acked(world.snapshot.revision).await;
    let client = node.client(KEY_A, SECRET_A);
    let mut stream = asked_for(&world, &client, "/abkt?list-type=2", &document).await;
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    // For longer than a connection may be idle, while there is more to send than the system takes off the node's hands.
    let begun = Instant::now();
    while begun.elapsed() < 4 * patience.head {
        let count = stream.read(&mut piece).await.unwrap();
        received.extend_from_slice(&piece[..count]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stream.read_to_end(&mut received).await.unwrap();
    let answer = parse(&received);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.matches("<Contents>").count(), 1000);
    assert!(answer.body.ends_with("</ListBucketResult>"));
}

#[tokio::test]
async fn whoever_never_reads_an_answer_is_let_go() {
    let world = World::start().await;
    let stream = asked_for(&world, &world.a, "/abkt/k", &"x".repeat(16 << 20)).await;
    world.engine.begun(1).await;
    // It waits for what is under way.
    world.node.stop().await.unwrap();
    drop(stream);
}
