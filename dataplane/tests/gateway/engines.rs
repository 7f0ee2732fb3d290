//! Several engines at once, and credentials of one that are exchanged while requests run.

use dataplane::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::{Settings, ToNode};

use crate::engine::{Engine, Seen};
use crate::world::{KEY_A, RunningNode, SECRET_A, World, now, signing_keys};

/// Tenant A's bucket `abkt` is on a second engine, whose account is `OTHERKEY`.
async fn two_engines() -> (World, Engine) {
    let (second, endpoint) = Engine::start().await;
    let world = World::with(|snapshot| {
        let mut other = snapshot.settings.engines[0].clone();
        other.id = "e2".into();
        other.endpoint = endpoint;
        other.access_key_id = "OTHERKEY".into();
        other.signing_keys = signing_keys("secret-of-the-other-engine");
        snapshot.settings.engines.push(other);
        let bucket = &mut snapshot.tenants[0].buckets[1];
        assert_eq!(bucket.name, "abkt");
        bucket.placement.engine = "e2".into();
    })
    .await;
    (world, second)
}

fn account(seen: &Seen) -> String {
    let authorization = seen.headers["authorization"].to_str().unwrap();
    let (_, rest) = authorization.split_once("Credential=").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn each_bucket_is_on_its_own_engine_and_asked_for_by_that_engines_account() {
    let (world, second) = two_engines().await;
    assert_eq!(world.a.put("/abkt/k", "there").await.status, 200);
    assert_eq!(world.a.put("/shared-name/k", "here").await.status, 200);
    assert_eq!(world.a.get("/abkt/k").await.body, "there");
    assert_eq!(world.a.get("/shared-name/k").await.body, "here");
    assert_eq!(
        (second.objects().len(), world.engine.objects().len()),
        (1, 1)
    );
    for (engine, expected) in [(&second, "OTHERKEY"), (&world.engine, "ENGINEKEY")] {
        let seen = engine.take_seen();
        assert_eq!(seen.len(), 2);
        assert!(
            seen.iter().all(|seen| account(seen) == expected),
            "{seen:?}"
        );
    }
    // With one engine gone the other goes on.
    let listed = world.a.get("/").await.body;
    assert!(listed.contains("<Name>abkt</Name>") && listed.contains("<Name>shared-name</Name>"));
}

#[tokio::test]
async fn copies_between_engines_are_refused_and_within_one_they_work() {
    let (world, second) = two_engines().await;
    world.a.put("/abkt/k", "there").await;
    world.a.put("/shared-name/k", "here").await;
    let begun = world.a.call("POST", "/abkt/large?uploads").send().await;
    let upload = begun.element("UploadId").to_owned();
    let part = format!("/abkt/large?partNumber=1&uploadId={upload}");
    for engine in [&second, &world.engine] {
        engine.take_seen();
        engine.take_looks();
    }
    for target in ["/abkt/copy", part.as_str()] {
        let copy = world.a.call("PUT", target);
        let answer = copy
            .header("x-amz-copy-source", "/shared-name/k")
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (501, "NotImplemented"),
            "{target}"
        );
        let text = answer.element("Message");
        assert!(text.contains("between storage engines"), "{text}");
        world.assert_engine_saw_nothing(target);
        assert!(second.take_seen().is_empty() && second.take_looks().is_empty());
    }
    for target in ["/abkt/copy", part.as_str()] {
        let copy = world.a.call("PUT", target);
        let answer = copy.header("x-amz-copy-source", "/abkt/k").send().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let seen = second.take_seen();
        assert_eq!(
            seen.last().unwrap().headers["x-amz-copy-source"]
                .to_str()
                .unwrap()
                .split('/')
                .count(),
            3
        );
    }
    assert!(world.engine.take_seen().is_empty());
}

fn exchanged(world: &World, revision: i64) -> Settings {
    let mut settings = world.snapshot.settings.clone();
    settings.revision = revision;
    settings.engines[0].access_key_id = "NEWKEY".into();
    settings.engines[0].signing_keys = signing_keys("the-new-secret");
    settings
}

#[tokio::test]
async fn once_new_credentials_are_acknowledged_the_old_ones_sign_nothing_not_even_what_is_under_way()
 {
    let world = World::start().await;
    assert_eq!(world.a.put("/abkt/before", "x").await.status, 200);
    let seen = world.engine.take_seen();
    assert_eq!(seen.iter().map(account).collect::<Vec<_>>(), ["ENGINEKEY"]);
    let settings = exchanged(&world, 11);

    // Another one, with more patience for a body that is late.
    world.node.stop().await.unwrap();
    world.control.forget();
    let folder = tempfile::tempdir().unwrap();
    let node =
        RunningNode::start_with_clock(&world.control_url, folder.path(), Clock::from_fn(now));
    let node = node.await;
    world.control.acked(world.snapshot.revision).await;
    let a = node.client(KEY_A, SECRET_A);

    let call = a.call("PUT", "/abkt/under-way").body(b"slow");
    let (_, head) = call.header("expect", "100-continue").head();
    let mut stream = TcpStream::connect(a.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // It is in the hands of its operation, which waits for the body; the engine has heard nothing.
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    world.control.push(&ToNode::Settings(settings));
    world.control.acked(11).await;
    assert!(world.engine.take_seen().is_empty());
    stream.write_all(b"slow").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    assert_eq!(a.get("/abkt/under-way").await.body, "slow");
    let seen = world.engine.take_seen();
    assert_eq!(
        seen.iter().map(account).collect::<Vec<_>>(),
        ["NEWKEY", "NEWKEY"]
    );
}
