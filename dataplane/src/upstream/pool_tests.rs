use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::upstream::Connector;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A pool, an engine that answers nothing by itself, and its address.
async fn begin() -> (Pool, TcpListener, String) {
    let engine = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", engine.local_addr().unwrap());
    (Pool::new(Connector::default().0), engine, url)
}

fn get(url: &str) -> Request<EngineBody> {
    let mut request = Request::new(EngineBody::Empty);
    *request.uri_mut() = format!("{url}/a?b").parse().unwrap();
    request
}

async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_was_read() {
    let (pool, engine, url) = begin().await;
    let serve = async {
        let (mut first, _) = engine.accept().await.unwrap();
        assert!(head(&mut first).await.starts_with("GET /a?b HTTP/1.1\r\n"));
        first.write_all(&ANSWER[..ANSWER.len() - 1]).await.unwrap();
        let (mut second, _) = engine.accept().await.unwrap();
        head(&mut second).await;
        second.write_all(ANSWER).await.unwrap();
        first.write_all(b"k").await.unwrap();
        (first, second)
    };
    let ask = async {
        let unread = pool.send(&mut get(&url)).await.unwrap();
        let whole = pool.send(&mut get(&url)).await.unwrap();
        assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), "ok");
        assert_eq!(unread.into_body().collect().await.unwrap().to_bytes(), "ok");
    };
    let ((mut first, mut second), ()) = tokio::join!(serve, ask);
    for _ in 0..3 {
        while lock(&pool.kept).engines[0].idle.len() < 2 {
            tokio::task::yield_now().await;
            lock(&pool.kept).engines[0].look(PATIENCE);
        }
        let serve = async {
            let asked = tokio::select! {
                _ = head(&mut first) => &mut first,
                _ = head(&mut second) => &mut second,
            };
            asked.write_all(ANSWER).await.unwrap();
        };
        let mut request = get(&url);
        let ((), answer) = tokio::join!(serve, pool.send(&mut request));
        let body = answer.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "ok");
    }
}

#[tokio::test]
async fn a_connection_that_the_engine_closed_is_replaced() {
    let (pool, engine, url) = begin().await;
    for _ in 0..3 {
        let serve = async {
            let (mut stream, _) = engine.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(ANSWER).await.unwrap();
        };
        let ask = async {
            let answer = pool.send(&mut get(&url)).await.unwrap();
            answer.into_body().collect().await.unwrap();
        };
        tokio::join!(serve, ask);
    }
}

#[tokio::test]
async fn nobody_listens() {
    let (pool, engine, url) = begin().await;
    drop(engine);
    let failure = pool.send(&mut get(&url)).await.unwrap_err();
    assert!(matches!(failure, Failure::Connect(_)), "{failure:?}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end_and_its_engine_forgotten() {
    let (pool, engine, url) = begin().await;
    let serve = async {
        let (mut stream, _) = engine.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(ANSWER).await.unwrap();
        stream
    };
    let ask = async {
        let answer = pool.send(&mut get(&url)).await.unwrap();
        answer.into_body().collect().await.unwrap();
    };
    let (mut stream, ()) = tokio::join!(serve, ask);
    while lock(&pool.kept).engines[0].idle.is_empty() {
        tokio::task::yield_now().await;
        lock(&pool.kept).engines[0].look(PATIENCE);
    }
    for _ in 1..IDLE {
        lock(&pool.kept).sweep();
        assert_eq!(lock(&pool.kept).engines[0].idle.len(), 1, "not yet");
    }
    lock(&pool.kept).sweep();
    assert!(lock(&pool.kept).engines.is_empty());
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed");
}
