//! Engines that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use dataplane::Patience;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use super::assert_tells_nothing;
use crate::world::{KEY_A, RunningNode, SECRET_A, World};

/// The parts of an upload.
const COMPLETE: &[u8] = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>";

/// Where an upload that was begun is completed. Other worlds' nodes take its id too: their keys and buckets are the same.
async fn begun(world: &World) -> String {
    let upload = world.a.call("POST", "/abkt/k?uploads").send().await;
    world.engine.take_seen();
    format!("/abkt/k?uploadId={}", upload.element("UploadId"))
}

#[tokio::test]
async fn row_31_what_an_engine_does_wrong_is_a_plain_error() {
    let world = World::start().await;
    let target = begun(&world).await;
    for (status, body) in [
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "<Error><Code>InternalError</Code></Error>",
        ),
        (StatusCode::OK, "<Error><Code>InternalError</Code></Error>"),
        (StatusCode::OK, "garbage"),
        (StatusCode::BAD_GATEWAY, "<html>nginx at 10.0.0.7</html>"),
    ] {
        world.engine.answer_next(status, body);
        let answer = world.a.call("POST", &target).body(COMPLETE).send().await;
        assert_eq!(
            (answer.status, answer.code()),
            (500, "InternalError"),
            "{status} {body}"
        );
        assert!(!answer.body.contains("10.0.0.7"));
        assert_tells_nothing(&world, &answer, body);
        assert_eq!(world.engine.take_seen().len(), 1, "not asked again");
    }
    world
        .engine
        .answer_next(StatusCode::OK, "<Error><Code>InvalidPart</Code></Error>");
    assert_eq!(
        world
            .a
            .call("POST", &target)
            .body(COMPLETE)
            .send()
            .await
            .code(),
        "InvalidPart"
    );
    assert_eq!(
        world
            .a
            .call("POST", &target)
            .body(COMPLETE)
            .send()
            .await
            .element("ETag"),
        "&quot;e-1&quot;"
    );
}

#[tokio::test]
async fn row_31_an_engine_that_is_gone_is_unavailable() {
    let world =
        World::with(|snapshot| snapshot.settings.engines[0].endpoint = "http://127.0.0.1:1".into())
            .await;
    for answer in [
        world.a.get("/abkt/k").await,
        world.a.put("/abkt/k", "x").await,
    ] {
        assert_eq!((answer.status, answer.code()), (503, "ServiceUnavailable"));
        assert!(!answer.body.contains("127.0.0.1:1"));
    }
}

/// What an engine says when it has heard a request out, and does then.
#[derive(Clone, Copy)]
enum Then {
    HangsUp(&'static str),
    HoldsOn(&'static str),
}

struct Broken {
    heard: Arc<AtomicUsize>,
    one_more: Arc<Notify>,
}

async fn broken(then: Then) -> (World, Broken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let engine = Broken {
        heard: Arc::default(),
        one_more: Arc::default(),
    };
    let (heard, one_more) = (engine.heard.clone(), engine.one_more.clone());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let look = String::from_utf8_lossy(&request).contains("vaultaire-usage");
            heard.fetch_add(usize::from(!look), Ordering::SeqCst);
            one_more.notify_one();
            let (Then::HangsUp(answer) | Then::HoldsOn(answer)) = then;
            let _ = stream.write_all(answer.as_bytes()).await;
            if matches!(then, Then::HoldsOn(_)) {
                held.push(stream);
            }
        }
    });
    let world = World::with(|snapshot| snapshot.settings.engines[0].endpoint = endpoint).await;
    (world, engine)
}

#[tokio::test]
async fn row_31_an_engine_that_hangs_up_is_asked_once_more_where_that_is_safe() {
    let complete = begun(&World::start().await).await;
    for garbage in ["", "HTTP/1.1 2", "SSH-2.0-engine-1\r\n"] {
        let (world, engine) = broken(Then::HangsUp(garbage)).await;
        for (method, target, body, times) in [
            ("GET", "/abkt/k", &b""[..], 2),
            ("HEAD", "/abkt/k", b"", 2),
            ("PUT", "/abkt/k", b"", 1),
            ("DELETE", "/abkt/k", b"", 1),
            ("POST", "/abkt/k?uploads", b"", 1),
            ("POST", &complete, COMPLETE, 1),
        ] {
            engine.heard.store(0, Ordering::SeqCst);
            let answer = world.a.call(method, target).body(body).send().await;
            assert_eq!(answer.status, 503, "{method}: {}", answer.body);
            assert_tells_nothing(&world, &answer, method);
            let heard = engine.heard.load(Ordering::SeqCst);
            assert_eq!(heard, times, "{method}");
        }
    }
}

#[tokio::test]
async fn row_31_an_engine_that_says_nothing_is_given_up_on() {
    let (world, engine) = broken(Then::HoldsOn("")).await;
    let (_, head) = world.a.call("GET", "/abkt/k").head();
    let mut stream = tokio::net::TcpStream::connect(world.a.address)
        .await
        .unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..2 {
        engine.one_more.notified().await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = crate::client::parse(&answer);
    assert_eq!((answer.status, answer.code()), (503, "ServiceUnavailable"));
    assert_tells_nothing(&world, &answer, "silence");
    assert_eq!(
        engine.heard.load(Ordering::SeqCst),
        2,
        "no more than once again"
    );
}

/// A node with so much patience for answers, and for an upload's completion.
async fn patient(world: &World, answer: Duration, complete: Duration) -> (RunningNode, TempDir) {
    let patience = Patience {
        answer,
        complete,
        ..Patience::default()
    };
    world.control.forget();
    let dir = tempfile::tempdir().unwrap();
    let node = RunningNode::start_with_patience(&world.control_url, dir.path(), patience).await;
    world.control.acked(world.snapshot.revision).await;
    (node, dir)
}

#[tokio::test]
async fn row_31_an_engine_that_never_completes_an_upload_is_given_up_on() {
    let target = begun(&World::start().await).await;
    let (world, engine) = broken(Then::HoldsOn("")).await;
    let (answer, complete) = (Duration::from_millis(100), Duration::from_millis(900));
    let (node, _dir) = patient(&world, answer, complete).await;
    let client = node.client(KEY_A, SECRET_A);
    let begun = Instant::now();
    let answer = client.call("POST", &target).body(COMPLETE).send().await;
    assert_eq!((answer.status, answer.code()), (503, "ServiceUnavailable"));
    assert_tells_nothing(&world, &answer, "silence");
    assert!(begun.elapsed() >= complete, "{:?}", begun.elapsed());
    let heard = engine.heard.load(Ordering::SeqCst);
    assert_eq!(heard, 1, "not asked again");
}

#[tokio::test]
async fn an_upload_may_take_its_engine_longer_than_another_answer() {
    let target = begun(&World::start().await).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (copied, (tell, mut asked)) = (Arc::new(Notify::new()), mpsc::unbounded_channel());
    let parts_are_copied = copied.clone();
    // It answers a completion in the end, and nothing else.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (copied, tell) = (parts_are_copied.clone(), tell.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if line.starts_with("POST") {
                    tell.send(()).unwrap();
                    copied.notified().await;
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n<R><ETag>e-1</ETag></R>\n";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    let world = World::with(|snapshot| snapshot.settings.engines[0].endpoint = endpoint).await;
    let (answer, complete) = (Duration::from_millis(100), Duration::from_secs(60));
    let (node, _dir) = patient(&world, answer, complete).await;
    let client = node.client(KEY_A, SECRET_A);
    let completing = client.call("POST", &target).body(COMPLETE).send();
    let others = async {
        asked.recv().await.unwrap();
        let answer = client.get("/abkt/k").await;
        assert_eq!((answer.status, answer.code()), (503, "ServiceUnavailable"));
        copied.notify_one();
    };
    let (answer, ()) = tokio::join!(completing, others);
    assert_eq!((answer.status, answer.element("ETag")), (200, "e-1"));
}

#[tokio::test]
async fn row_31_an_engine_that_stops_in_the_middle_is_given_up_on() {
    // Of an object the client has had the head: it sees that the body is too short.
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let (world, _) = broken(Then::HoldsOn(half)).await;
    let answer = world.a.get("/abkt/k").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    assert_eq!(answer.headers["content-length"], "10");

    // A document, or the reason of a refusal, is read before anything is said.
    let document = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<ListBucketResult>";
    let (world, _) = broken(Then::HoldsOn(document)).await;
    let answer = world.a.get("/abkt?list-type=2").await;
    assert_eq!((answer.status, answer.code()), (500, "InternalError"));
    let refusal = "HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\n<Error>";
    let (world, _) = broken(Then::HoldsOn(refusal)).await;
    let answer = world.a.get("/abkt/k").await;
    assert_eq!((answer.status, answer.code()), (404, "NoSuchKey"));
}

const UPLOAD: usize = 3_000_000;

/// Refuses everything as soon as it has heard the head, and takes the body all the same.
async fn refuse_early(stream: TcpStream, taken: mpsc::UnboundedSender<bool>) {
    const REFUSAL: &str = "<Error><Code>PreconditionFailed</Code></Error>";
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let (status, body) = match head.starts_with("HEAD") {
            true => ("404 Not Found", ""),
            false => ("412 Precondition Failed", REFUSAL),
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        if head.starts_with("PUT") {
            let body = stream.read_exact(&mut vec![0; UPLOAD]).await;
            let _ = taken.send(body.is_ok());
        }
    }
}

/// Whether the answer that comes is the refusal.
async fn is_refused(stream: &mut TcpStream) -> bool {
    let mut answer = Vec::new();
    while !answer.ends_with(b"</Error>") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "cut off");
    }
    crate::client::parse(&answer).status == 412
}

#[tokio::test]
async fn a_client_whose_upload_is_refused_early_is_told_and_not_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, mut taken) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(refuse_early(stream, tell.clone()));
        }
    });
    let world = World::with(|snapshot| snapshot.settings.engines[0].endpoint = endpoint).await;
    let body = vec![b'x'; UPLOAD];
    let kept = |(_, head): (String, String)| head.replace("connection: close\r\n", "");

    let mut stream = TcpStream::connect(world.a.address).await.unwrap();
    let upload = world.a.call("PUT", "/abkt/k").body(&body);
    let upload = kept(upload.head());
    stream.write_all(upload.as_bytes()).await.unwrap();
    let (first, rest) = body.split_at(UPLOAD / 2);
    stream.write_all(first).await.unwrap();
    assert!(is_refused(&mut stream).await);

    // It sends on, as clients do that have not looked yet.
    stream.write_all(rest).await.unwrap();
    assert_eq!(taken.recv().await, Some(true));
    let next = kept(world.a.call("GET", "/abkt/k").head());
    stream.write_all(next.as_bytes()).await.unwrap();
    assert!(is_refused(&mut stream).await, "the connection is as it was");
}
