//! Connections to the database that die without a word: what stands between has forgotten them, nobody hears that they are
//! over, and new ones work. The control plane must find out by itself, in all that it does.

use std::time::Duration;

use controlplane::ControlPlane;
use http::Method;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use wire::ToNode;

use crate::plane::{Plane, Stream, hello, serve};

const HEALED_WITHIN: Duration = Duration::from_secs(60);

/// Before the database at `target`. Connections whose number is below the one that it is told are dead, and new ones are
/// not made as long as it is odd.
async fn between(target: String) -> (u16, watch::Sender<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (target, mut told) = (target.clone(), told.clone());
            tokio::spawn(async move {
                let mine = reached(&mut told, |number| number % 2 == 0).await;
                let mut server = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    // Both ends stay open for as long as the test lasts.
                    _ = reached(&mut told, |number| number > mine) => std::future::pending().await,
                }
            });
        }
    });
    (port, tell)
}

async fn reached(told: &mut watch::Receiver<u64>, wanted: impl Fn(u64) -> bool) -> u64 {
    loop {
        let number = *told.borrow_and_update();
        if wanted(number) {
            return number;
        }
        if told.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// A stream to this control plane that has heard everything, as soon as there is one.
async fn followed(plane: &Plane, cp: &ControlPlane) -> (Stream, usize) {
    let node = plane.node().await;
    let address = serve(cp).await;
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < HEALED_WITHIN, "no stream is served");
        let token = node.token(plane.clock.now());
        let opened = Stream::open(&address, &token);
        let Ok(Ok(mut stream)) = timeout(Duration::from_secs(5), opened).await else {
            continue;
        };
        stream.say(&hello(0)).await;
        let first = async {
            loop {
                if let ToNode::SnapshotBegin(begin) = stream.hear_any().await? {
                    return Some(begin);
                }
            }
        };
        if let Some(begin) = first.await {
            let snapshot = stream.rest(begin).await;
            stream.ack(snapshot.revision).await;
            return (stream, snapshot.tenants.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_finds_out_that_its_connections_are_dead() {
    let plane = Plane::start().await;
    let mut config = plane.config();
    let (scheme, rest) = config.database_url.split_once('@').unwrap();
    let (target, name) = rest.split_once('/').unwrap();
    let (port, tell) = between(target.to_owned()).await;
    config.database_url = format!("{scheme}@127.0.0.1:{port}/{name}");
    let cp = ControlPlane::start(config, plane.clock.clone())
        .await
        .unwrap();
    let (before, tenants) = followed(&plane, &cp).await;
    assert_eq!(tenants, 0);

    // Until then everything that asks the database now and then has asked, and got no answer.
    tell.send_replace(1);
    sleep(Duration::from_millis(2500)).await;
    tell.send_replace(2);
    let begun = Instant::now();
    plane.tenant("one@example.com").await;
    let (mut stream, tenants) = followed(&plane, &cp).await;
    assert_eq!(tenants, 1);
    drop(before);
    // It hears of what others change, too.
    plane.tenant("two@example.com").await;
    let heard = timeout(HEALED_WITHIN, stream.hear()).await;
    assert!(matches!(heard, Ok(ToNode::Tenant(_))), "{heard:?}");
    // And changes something itself.
    let body = json!({ "name": "three", "email": "three@example.com" });
    let request = http::Request::builder()
        .method(Method::POST)
        .uri("/api/v1/admin/tenants")
        .header(
            "authorization",
            format!("Bearer {}", crate::plane::ADMIN_TOKEN),
        )
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body.to_string()))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(cp.api(), request).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    println!("healed after {:.1} s", begun.elapsed().as_secs_f64());
    cp.shut_down().await;
    plane.stop().await;
}
