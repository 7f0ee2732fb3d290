//! A panic is one request's, and nobody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataplane::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, Client, parse};
use crate::streams::Connection;
use crate::world::{KEY_A, RunningNode, SECRET_A, World, now};

/// Another node, whose clock fails once when it is told to.
async fn failing(world: &World) -> (RunningNode, Client, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let clock = Clock::from_fn({
        let fails = fails.clone();
        move || {
            assert!(
                !fails.swap(false, Ordering::SeqCst),
                "this clock fails once"
            );
            now()
        }
    });
    world.control.forget();
    let dir = world.dir.path().join("failing");
    let node = RunningNode::start_with_clock(&world.control_url, &dir, clock).await;
    world.control.acked(world.snapshot.revision).await;
    let client = node.client(KEY_A, SECRET_A);
    (node, client, fails)
}

fn assert_internal(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (500, "InternalError"));
    assert!(!answer.body.contains("clock"), "{}", answer.body);
}

#[tokio::test]
async fn a_panic_answers_500_for_one_request_alone() {
    let world = World::start().await;
    let (node, client, fails) = failing(&world).await;

    let body = vec![b'x'; 100_000];
    let (_, head) = client.call("PUT", "/abkt/under-way").body(&body).head();
    let mut upload = TcpStream::connect(node.s3).await.unwrap();
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&body[..80_000]).await.unwrap();
    world.engine.begun(1).await;
    assert_eq!(client.get("/").await.status, 200);

    // Two requests on one connection: the first panics, the second is answered.
    let (_, list) = client.call("GET", "/").head();
    let stays_open = list.replace("connection: close\r\n", "");
    fails.store(true, Ordering::SeqCst);
    let answers = client.raw([stays_open, list].concat().as_bytes()).await;
    assert!(!fails.load(Ordering::SeqCst), "the clock was asked");
    let text = String::from_utf8(answers).unwrap();
    let second = text.rfind("HTTP/1.1 ").unwrap();
    let (first, second) = text.split_at(second);
    assert_internal(&parse(first.as_bytes()));
    assert_eq!(parse(second.as_bytes()).status, 200, "{text}");

    upload.write_all(&body[80_000..]).await.unwrap();
    let mut answer = Vec::new();
    upload.read_to_end(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status, 200);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_one_stream_of_a_connection() {
    let world = World::start().await;
    let (node, client, fails) = failing(&world).await;
    let connection = Connection::to(&client).await;
    let body = vec![b'x'; 100_000];
    let upload = connection.upload(&client.call("PUT", "/abkt/under-way").body(&body));
    assert!(upload.piece(&body[..80_000]).await);
    world.engine.begun(1).await;

    let list = client.call("GET", "/");
    fails.store(true, Ordering::SeqCst);
    assert_internal(&connection.send(&list).await);
    assert!(!fails.load(Ordering::SeqCst), "the clock was asked");
    assert_eq!(connection.send(&list).await.status, 200);

    assert!(upload.piece(&body[80_000..]).await);
    assert_eq!(upload.end().await.status, 200);
    node.stop().await.unwrap();
}
