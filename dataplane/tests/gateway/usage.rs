//! What is counted: an entry for each answer that counts, reported until it is booked, and what is stored as far as the
//! engine tells.

use wire::{FromNode, RequestClass, ToNode, UploadEnd, UsageLine};

use crate::world::{KEY_A, RunningNode, World};

/// All lines that nodes have said up to now, once each batch.
pub async fn lines(world: &World, enough: impl Fn(&[UsageLine]) -> bool) -> Vec<UsageLine> {
    let mut lines = Vec::new();
    let mut seen = std::collections::HashSet::new();
    while !enough(&lines) {
        let known = seen.clone();
        let message = world
            .control
            .heard(|message| {
                matches!(message, FromNode::Usage { boot, sequence, .. }
                if !known.contains(&(boot.clone(), *sequence)))
            })
            .await;
        let FromNode::Usage {
            boot,
            sequence,
            lines: more,
            ..
        } = message
        else {
            continue;
        };
        seen.insert((boot.clone(), sequence));
        lines.extend(more);
        world.control.push(&ToNode::Booked { boot, sequence });
    }
    lines
}

pub fn requests(lines: &[UsageLine], class: RequestClass) -> u64 {
    let of_class = lines.iter().filter(|line| line.class == class);
    of_class.map(|line| line.requests).sum()
}

fn all(lines: &[UsageLine]) -> u64 {
    lines.iter().map(|line| line.requests).sum()
}

#[tokio::test]
async fn answers_are_counted_and_refusals_are_not() {
    let world = World::start().await;
    assert_eq!(world.a.put("/abkt/k", "hello").await.status, 200);
    assert_eq!(world.a.get("/abkt/k").await.body, "hello");
    assert_eq!(world.a.get("/abkt/missing").await.status, 404);
    assert_eq!(world.a.get("/nobodys/k").await.status, 404);
    assert_eq!(world.b.get("/abkt/k").await.status, 404);
    // Refused: by the gate, by the body, by what is not done here.
    let stranger = crate::client::Client {
        secret: "wrong",
        ..world.a.clone()
    };
    assert_eq!(stranger.get("/abkt/k").await.status, 403);
    let wrong = world.a.call("PUT", "/abkt/k").payload(&"0".repeat(64));
    assert_eq!(wrong.body(b"x").send().await.status, 400);
    assert_eq!(world.a.get("/abkt?website=x&inventory").await.status, 501);
    let last = world.a.call("DELETE", "/abkt/k").send().await;
    assert_eq!(last.status, 204);

    let lines = lines(&world, |lines| requests(lines, RequestClass::Free) == 1).await;
    assert_eq!(requests(&lines, RequestClass::A), 1);
    assert_eq!(requests(&lines, RequestClass::B), 4);
    let own: Vec<&UsageLine> = lines
        .iter()
        .filter(|line| line.tenant_id == "a".repeat(32))
        .collect();
    assert!(own.iter().all(|line| line.access_key_id == KEY_A));
    let sum = |figure: fn(&UsageLine) -> u64| own.iter().map(|line| figure(line)).sum::<u64>();
    assert_eq!(sum(|line| line.bytes_in), 5);
    assert_eq!(sum(|line| line.stored_bytes), 5);
    assert_eq!(sum(|line| line.stored_objects), 1);
    assert_eq!(sum(|line| line.freed.iter().map(|f| f.bytes).sum()), 5);
    let read = own.iter().find(|line| line.class == RequestClass::B);
    assert!(
        read.unwrap().bytes_out > 5,
        "the object, and the refusal's document"
    );
}

#[tokio::test]
async fn an_overwrite_gives_back_what_it_replaced() {
    let world = World::start().await;
    for body in ["one", "three", ""] {
        assert_eq!(world.a.put("/abkt/k", body).await.status, 200);
    }
    let new = world.a.call("PUT", "/abkt/k").header("if-none-match", "*");
    world.engine.take_seen();
    assert_eq!(new.body(b"x").send().await.status, 200);
    assert!(world.engine.take_looks().is_empty(), "it replaces nothing");
    let lines = lines(&world, |lines| all(lines) == 4).await;
    let stored: u64 = lines.iter().map(|line| line.stored_bytes).sum();
    assert_eq!(stored, 3 + 5 + 1);
    let freed: Vec<u64> = lines
        .iter()
        .flat_map(|line| line.freed.iter().map(|freed| freed.bytes))
        .collect();
    assert_eq!(freed, [3, 5]);
}

#[tokio::test]
async fn a_large_body_is_looked_beside_and_stored_once() {
    let world = World::start().await;
    let body = vec![b'x'; 3_000_000];
    for _ in 0..2 {
        let put = world.a.call("PUT", "/abkt/k").body(&body);
        assert_eq!(put.send().await.status, 200);
    }
    let lines = lines(&world, |lines| all(lines) == 2).await;
    let stored: u64 = lines.iter().map(|line| line.stored_bytes).sum();
    let freed: u64 = lines
        .iter()
        .flat_map(|line| &line.freed)
        .map(|freed| freed.bytes)
        .sum();
    assert_eq!((stored, freed), (6_000_000, 3_000_000));
    let received: u64 = lines.iter().map(|line| line.bytes_in).sum();
    assert_eq!(received, 6_000_000);
}

#[tokio::test]
async fn an_upload_is_counted_by_its_parts_and_its_end() {
    let world = World::start().await;
    let created = world.a.call("POST", "/abkt/k?uploads").send().await;
    let id = created.element("UploadId").to_owned();
    let part = world
        .a
        .call("PUT", &format!("/abkt/k?partNumber=1&uploadId={id}"));
    assert_eq!(part.body(b"part").send().await.status, 200);
    let aborted = world
        .a
        .call("DELETE", &format!("/abkt/k?uploadId={id}"))
        .send()
        .await;
    assert_eq!(aborted.status, 204);
    let lines = lines(&world, |lines| all(lines) == 3).await;
    let uploads: Vec<_> = lines.iter().flat_map(|line| &line.uploads).collect();
    assert_eq!(uploads.len(), 2);
    assert_eq!(uploads[0].upload, uploads[1].upload);
    let bytes: u64 = uploads.iter().map(|upload| upload.part_bytes).sum();
    assert_eq!(bytes, 4);
    assert!(
        uploads
            .iter()
            .any(|upload| upload.end == UploadEnd::Aborted)
    );
}

/// Waits until the node's figures have this line.
pub async fn figures_say(node: &RunningNode, line: &str) {
    let mut client = node.client(KEY_A, crate::world::SECRET_A);
    client.address = node.health;
    let asked = async {
        loop {
            let metrics =
                client.raw(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let text = String::from_utf8(metrics.await).unwrap();
            if text.lines().any(|said| said == line) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let within = std::time::Duration::from_secs(10);
    let said = tokio::time::timeout(within, asked).await;
    assert!(said.is_ok(), "never: {line}");
}

#[tokio::test]
async fn a_batch_comes_again_until_it_is_booked_and_after_a_restart() {
    let mut world = World::start().await;
    assert_eq!(world.a.put("/abkt/k", "hello").await.status, 200);
    let usage = |message: &FromNode| matches!(message, FromNode::Usage { .. });
    let first = world.control.heard(usage).await;
    world.control.forget();
    world.control.cut();
    assert_eq!(world.control.heard(usage).await, first, "after a cut");
    world.control.forget();
    world.node.end();
    let node = RunningNode::start(&world.control_url, world.dir.path()).await;
    assert_eq!(world.control.heard(usage).await, first, "after a restart");
    let FromNode::Usage { boot, sequence, .. } = first else {
        unreachable!()
    };
    world.control.push(&ToNode::Booked { boot, sequence });
    figures_say(&node, "vaultaire_journal_unreported_batches 0").await;
    world.control.forget();
    world.control.cut();
    world
        .control
        .heard(|message| matches!(message, FromNode::Hello { .. }))
        .await;
    let client = node.client(KEY_A, crate::world::SECRET_A);
    assert_eq!(client.get("/abkt/k").await.status, 200);
    let next = world.control.heard(usage).await;
    let FromNode::Usage { lines, .. } = next else {
        unreachable!()
    };
    assert_eq!(
        requests(&lines, RequestClass::A),
        0,
        "what was booked is gone"
    );
    assert_eq!(requests(&lines, RequestClass::B), 1);
}
