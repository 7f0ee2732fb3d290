use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::upstream::Connector;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A pool, an engine that answers nothing by itself, and its address.
async fn begin() -> (Pool, TcpListener, Arc<Address>) {
    let engine = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", engine.local_addr().unwrap());
    let pool = Pool::new(Connector::default().0);
    let address = pool.address(&url).unwrap();
    assert!(Arc::ptr_eq(&address, &pool.address(&url).unwrap()));
    (pool, engine, address)
}

fn get() -> Request<EngineBody> {
    let mut request = Request::new(EngineBody::Empty);
    *request.uri_mut() = Uri::from_static("/a?b");
    request
}

async fn ask(pool: &Pool, address: &Arc<Address>) -> Result<Response<EngineAnswer>, Failure> {
    let within = Some(Duration::from_secs(60));
    pool.send(address, &mut get(), within).await
}

async fn ask_whole(pool: &Pool, address: &Arc<Address>) {
    let answer = ask(pool, address).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
}

fn idle(pool: &Pool) -> usize {
    let kept = lock(&pool.kept);
    kept.engines.iter().map(|engine| engine.idle.len()).sum()
}

async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

/// Takes one connection, and answers its first request so.
async fn answer_one(engine: &TcpListener, answer: &[u8]) -> TcpStream {
    let (mut stream, _) = engine.accept().await.unwrap();
    head(&mut stream).await;
    stream.write_all(answer).await.unwrap();
    stream
}

#[test]
fn an_endpoint_is_the_url_of_a_host() {
    let address = Address::read("https://s3.example.com:8443/").unwrap();
    assert_eq!(address.host, "s3.example.com:8443");
    for wrong in [
        "",
        "s3.example.com",
        "/a",
        "http://",
        "http://h/a",
        "http://h/?a",
    ] {
        assert!(Address::read(wrong).is_none(), "{wrong}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_was_read() {
    let (pool, engine, address) = begin().await;
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
    let asking = async {
        let unread = ask(&pool, &address).await.unwrap();
        ask_whole(&pool, &address).await;
        assert_eq!(idle(&pool), 1);
        assert_eq!(unread.into_body().collect().await.unwrap().to_bytes(), "ok");
        assert_eq!(idle(&pool), 2);
    };
    let ((mut first, mut second), ()) = tokio::join!(serve, asking);
    for _ in 0..3 {
        let serve = async {
            let asked = tokio::select! {
                _ = head(&mut first) => &mut first,
                _ = head(&mut second) => &mut second,
            };
            asked.write_all(ANSWER).await.unwrap();
        };
        tokio::join!(serve, ask_whole(&pool, &address));
        assert_eq!(idle(&pool), 2);
    }
}

#[tokio::test]
async fn an_answer_without_a_length_or_without_a_body_gives_its_connection_back_too() {
    let (pool, engine, address) = begin().await;
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let serve = async {
        let (mut stream, _) = engine.accept().await.unwrap();
        for _ in 0..2 {
            head(&mut stream).await;
            // The end comes by itself.
            stream
                .write_all(&chunked[..chunked.len() - 5])
                .await
                .unwrap();
            tokio::task::yield_now().await;
            stream
                .write_all(&chunked[chunked.len() - 5..])
                .await
                .unwrap();
            head(&mut stream).await;
            let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(empty).await.unwrap();
        }
        stream
    };
    let asking = async {
        for _ in 0..2 {
            ask_whole(&pool, &address).await;
            assert_eq!(idle(&pool), 1);
            drop(ask(&pool, &address).await.unwrap());
            assert_eq!(idle(&pool), 1);
        }
    };
    tokio::join!(serve, asking);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_to_its_end_closes_its_connection() {
    let (pool, engine, address) = begin().await;
    let serve = answer_one(&engine, &ANSWER[..ANSWER.len() - 1]);
    let (mut stream, answer) = tokio::join!(serve, ask(&pool, &address));
    drop(answer.unwrap());
    assert_eq!(idle(&pool), 0);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed");
}

#[tokio::test]
async fn an_answer_that_is_there_to_its_end_gives_its_connection_back_unread() {
    let (pool, engine, address) = begin().await;
    let serve = async {
        let (mut stream, _) = engine.accept().await.unwrap();
        for _ in 0..2 {
            head(&mut stream).await;
            stream.write_all(ANSWER).await.unwrap();
        }
        stream
    };
    let asking = async {
        for _ in 0..2 {
            drop(ask(&pool, &address).await.unwrap());
            assert_eq!(idle(&pool), 1);
        }
    };
    tokio::join!(serve, asking);
}

#[tokio::test]
async fn a_connection_that_the_engine_closed_is_replaced() {
    let (pool, engine, address) = begin().await;
    for _ in 0..3 {
        let serve = answer_one(&engine, ANSWER);
        let (stream, ()) = tokio::join!(serve, ask_whole(&pool, &address));
        assert_eq!(idle(&pool), 1);
        drop(stream);
        // What comes after it has been heard of, so that has been too.
        let at = engine.local_addr().unwrap();
        tokio::try_join!(TcpStream::connect(at), engine.accept()).unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let (pool, engine, address) = begin().await;
    let serve = async {
        let (mut stream, _) = engine.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(&ANSWER[..ANSWER.len() - 1]).await.unwrap();
        drop(stream);
        let (mut stream, _) = engine.accept().await.unwrap();
        head(&mut stream).await;
    };
    let asking = async {
        let cut = ask(&pool, &address).await.unwrap();
        cut.into_body().collect().await.unwrap_err();
        assert_eq!(idle(&pool), 0);
        let failure = ask(&pool, &address).await.map(drop).unwrap_err();
        assert!(matches!(failure, Failure::Send(_)), "{failure:?}");
    };
    tokio::join!(serve, asking);
}

#[tokio::test]
async fn nobody_listens() {
    let (pool, engine, address) = begin().await;
    drop(engine);
    let failure = ask(&pool, &address).await.map(drop).unwrap_err();
    assert!(matches!(failure, Failure::Connect(_)), "{failure:?}");
}

#[tokio::test]
async fn whoever_says_nothing_is_given_up_on() {
    let (pool, engine, address) = begin().await;
    for wait in [10, 1] {
        let within = Some(Duration::from_millis(wait));
        let failure = pool.send(&address, &mut get(), within).await.map(drop);
        assert!(matches!(failure, Err(Failure::Late)), "{failure:?}");
        let (mut stream, _) = engine.accept().await.unwrap();
        head(&mut stream).await;
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end_and_its_engine_forgotten() {
    let (pool, engine, address) = begin().await;
    let serve = answer_one(&engine, ANSWER);
    let (mut stream, ()) = tokio::join!(serve, ask_whole(&pool, &address));
    for _ in 1..IDLE {
        lock(&pool.kept).sweep();
        assert_eq!(idle(&pool), 1, "not yet");
    }
    lock(&pool.kept).sweep();
    assert_eq!(idle(&pool), 0);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed");
    assert_eq!(
        lock(&pool.kept).engines.len(),
        1,
        "somebody may still ask it"
    );
    drop(address);
    lock(&pool.kept).sweep();
    assert!(lock(&pool.kept).engines.is_empty());
}

#[tokio::test]
async fn what_the_engine_closed_is_not_kept() {
    let (pool, engine, address) = begin().await;
    let serve = async { drop(answer_one(&engine, ANSWER).await) };
    tokio::join!(serve, ask_whole(&pool, &address));
    while idle(&pool) > 0 {
        for engine in &mut lock(&pool.kept).engines {
            engine.idle.retain_mut(|idle| idle.link.is_open());
        }
        tokio::task::yield_now().await;
    }
}
