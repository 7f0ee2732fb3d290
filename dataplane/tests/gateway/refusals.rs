//! Uploads that are refused at their head, while their client still sends: it hears why, and its connection lives on.

use std::net::SocketAddr;

use dataplane::Patience;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, Call, Client, parse};
use crate::world::{KEY_A, RunningNode, SECRET_A, World};

/// A connection that is used for one request after the other.
struct Kept(TcpStream);

impl Kept {
    async fn open(client: &Client) -> Kept {
        Kept(TcpStream::connect(client.address).await.unwrap())
    }

    async fn head(&mut self, call: &Call<'_>) {
        let head = call.head().1.replace("connection: close\r\n", "");
        self.0.write_all(head.as_bytes()).await.unwrap();
    }

    /// The next answer, which says its length.
    async fn answer(&mut self) -> Answer {
        let mut read = Vec::new();
        loop {
            let answer = parse(&read);
            let length = answer.headers.get("content-length");
            if length.is_some_and(|length| *length == answer.body.len().to_string()) {
                return answer;
            }
            let more = self.0.read_buf(&mut read).await.unwrap();
            assert_ne!(
                more,
                0,
                "cut off after {:?}",
                String::from_utf8_lossy(&read)
            );
        }
    }

    async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        // Closed on what it sent, it may hear of a reset.
        self.0.read_to_end(&mut rest).await.map_or(true, |n| n == 0)
    }
}

fn forger(world: &World) -> Client {
    Client {
        secret: "wrong",
        ..world.a.clone()
    }
}

#[tokio::test]
async fn what_is_left_of_a_refused_upload_is_read_and_the_connection_goes_on() {
    let world = World::start().await;
    let (_dir, patient) = patient(&world).await;
    let forger = forger_at(&world, patient.s3);
    let signer = patient.client(KEY_A, SECRET_A);
    let body = vec![b'x'; 1_000_000];
    let mut kept = Kept::open(&signer).await;
    for (client, target, expected) in [
        (&forger, "/abkt/k", (403, "SignatureDoesNotMatch")),
        (&signer, "/abkt/k?website", (501, "NotImplemented")),
        (&signer, "/abkt/k?brandNew", (501, "NotImplemented")),
        (&signer, "/none/k", (404, "NoSuchBucket")),
    ] {
        for length in [4, body.len()] {
            let call = client.call("PUT", target).body(&body[..length]);
            kept.head(&call).await;
            let answer = kept.answer().await;
            assert_eq!((answer.status, answer.code()), expected, "{target}");
            assert!(!answer.headers.contains_key("connection"));
            // It sends all the same, as clients do that have not looked yet.
            kept.0.write_all(&body[..length]).await.unwrap();
        }
    }
    world.assert_engine_saw_nothing("refused uploads");
    kept.head(&signer.call("PUT", "/abkt/k").body(b"v")).await;
    kept.0.write_all(b"v").await.unwrap();
    assert_eq!(kept.answer().await.status, 200);
    assert_eq!(world.a.get("/abkt/k").await.body, "v");
    drop(kept);
    patient.stop().await.unwrap();
}

#[tokio::test]
async fn a_refused_form_is_read_to_its_end() {
    let world = World::start().await;
    let form = [
        b"--B\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n".as_slice(),
        b"--B\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n",
        &vec![b'x'; 1_000_000],
        b"\r\n--B--\r\n",
    ]
    .concat();
    let head = format!(
        "POST /abkt HTTP/1.1\r\nhost: {}\r\ncontent-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n",
        world.a.address,
        form.len()
    );
    let (_dir, patient) = patient(&world).await;
    let mut kept = Kept::open(&patient.client(KEY_A, SECRET_A)).await;
    for _ in 0..2 {
        kept.0.write_all(head.as_bytes()).await.unwrap();
        kept.0.write_all(&form).await.unwrap();
        let answer = kept.answer().await;
        assert_eq!((answer.status, answer.code()), (403, "AccessDenied"));
    }
    world.assert_engine_saw_nothing("refused forms");
    drop(kept);
    patient.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_waited_to_go_on_is_told_that_it_is_over() {
    let world = World::start().await;
    for (client, status) in [(&forger(&world), 403), (&world.a, 200)] {
        let mut kept = Kept::open(client).await;
        let call = client.call("PUT", "/abkt/k").body(b"v");
        kept.head(&call.header("expect", "100-continue")).await;
        if status == 200 {
            let mut interim = [0; 25];
            kept.0.read_exact(&mut interim).await.unwrap();
            assert!(interim.starts_with(b"HTTP/1.1 100"));
            kept.0.write_all(b"v").await.unwrap();
        }
        let answer = kept.answer().await;
        assert_eq!(answer.status, status);
        let says = answer.headers.get("connection").map(String::as_str);
        assert_eq!(says, (status != 200).then_some("close"));
        if status != 200 {
            assert!(kept.is_closed().await);
        }
    }
}

/// boto3 waits for a second, and then sends: a refusal that comes later must not be lost.
#[tokio::test]
async fn a_client_that_waited_in_vain_and_sends_hears_the_refusal() {
    let world = World::start().await;
    let (_dir, patient) = patient(&world).await;
    let client = forger_at(&world, patient.s3);
    let body = vec![b'x'; 8_000_000];
    let mut kept = Kept::open(&client).await;
    let call = client.call("PUT", "/abkt/k").body(&body);
    kept.head(&call.header("expect", "100-continue")).await;
    // All of it, before it looks at what came.
    kept.0.write_all(&body).await.unwrap();
    let answer = kept.answer().await;
    assert_eq!(
        (answer.status, answer.code()),
        (403, "SignatureDoesNotMatch")
    );
    assert_eq!(answer.headers["connection"], "close");
    assert!(kept.is_closed().await);
    patient.stop().await.unwrap();
}

#[tokio::test]
async fn who_sends_nothing_or_too_much_is_cut_off() {
    let world = World::start().await;
    let client = forger(&world);
    let mut kept = Kept::open(&client).await;
    kept.head(&client.call("PUT", "/abkt/k").body(b"hello"))
        .await;
    let answer = kept.answer().await;
    assert_eq!(answer.status, 403);
    assert!(!answer.headers.contains_key("connection"));
    assert!(kept.is_closed().await);

    // More than any part has: the client hears that this is the end, and of the rest nothing is read.
    let (_dir, patient) = patient(&world).await;
    let client = forger_at(&world, patient.s3);
    let mut kept = Kept::open(&client).await;
    let all = 1_usize << 30;
    let call = client.call("PUT", "/abkt/k");
    kept.head(&call.content_length(&all.to_string())).await;
    let answer = kept.answer().await;
    assert_eq!(
        (answer.status, answer.code()),
        (403, "SignatureDoesNotMatch")
    );
    assert_eq!(answer.headers["connection"], "close");
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < all && kept.0.write_all(&piece).await.is_ok() {
        sent += piece.len();
    }
    // Much more than lies in buffers.
    assert!((32 << 20..all / 2).contains(&sent), "{sent}");
    world.assert_engine_saw_nothing("refused uploads");
    patient.stop().await.unwrap();
}

/// What is read in vain counts over all of a connection.
#[tokio::test]
async fn a_connection_that_is_refused_again_and_again_is_closed_in_the_end() {
    let world = World::start().await;
    let (_dir, patient) = patient(&world).await;
    let client = forger_at(&world, patient.s3);
    let body = vec![b'x'; 30 << 20];
    let mut kept = Kept::open(&client).await;
    for last in [false, false, true] {
        kept.head(&client.call("PUT", "/abkt/k").body(&body)).await;
        let answer = kept.answer().await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.headers.contains_key("connection"), last);
        // Cut off in the end.
        assert!(kept.0.write_all(&body).await.is_ok() || last);
    }
    assert!(kept.is_closed().await);
    patient.stop().await.unwrap();
}

/// Tokio tells whose runtime it is while that ends: nothing that is dropped there may begin anew.
#[test]
fn a_process_may_end_while_uploads_are_under_way() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = runtime.block_on(async {
        let world = World::start().await;
        let mut uploads = Vec::new();
        for client in [&world.a, &forger(&world)] {
            let mut kept = Kept::open(client).await;
            let call = client.call("PUT", "/abkt/k").body(&[b'x'; 100_000]);
            kept.head(&call).await;
            kept.0.write_all(&[b'x'; 80_000]).await.unwrap();
            uploads.push(kept);
        }
        world.engine.begun(1).await;
        assert_eq!(uploads[1].answer().await.status, 403);
        uploads
    });
    drop(runtime);
    drop(kept);
}

async fn patient(world: &World) -> (tempfile::TempDir, RunningNode) {
    let dir = tempfile::tempdir().unwrap();
    world.control.forget();
    let url = &world.control_url;
    let node = RunningNode::start_with_patience(url, dir.path(), Patience::default()).await;
    world.control.acked(world.snapshot.revision).await;
    (dir, node)
}

fn forger_at(world: &World, address: SocketAddr) -> Client {
    Client {
        address,
        ..forger(world)
    }
}
