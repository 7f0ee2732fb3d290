//! Listings over engines with habits of their own.

use axum::http::StatusCode;

use crate::world::World;

fn page(keys: usize, max_keys: usize) -> String {
    let keys: String = (0..keys)
        .map(|n| format!("<Contents><Key>list/{n:04}</Key><Size>1</Size></Contents>"))
        .collect();
    format!("<L><MaxKeys>{max_keys}</MaxKeys><IsTruncated>false</IsTruncated>{keys}</L>")
}

#[tokio::test]
async fn a_folder_that_just_fills_a_page_is_asked_for_once() {
    let by_folders = |snapshot: &mut wire::Snapshot| {
        snapshot.settings.engines[0].capabilities.byte_order = false;
    };
    let world = World::with(by_folders).await;
    for path in [
        "/abkt?list-type=2&prefix=list/",
        "/abkt?list-type=2&prefix=list/&delimiter=/",
        "/abkt?prefix=list/",
    ] {
        world.engine.answer_next(StatusCode::OK, &page(1000, 1001));
        let answer = world.a.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.body.matches("<Contents>").count(), 1000, "{path}");
        assert_eq!(answer.element("IsTruncated"), "false", "{path}");
        let seen = world.engine.take_seen();
        assert_eq!(seen.len(), 1, "{path}: {seen:?}");
        assert!(seen[0].uri.contains("max-keys=1001"), "{}", seen[0].uri);
    }
    // From an engine that gives no more than 1,000, a page that is just full may not be all.
    world.engine.answer_next(StatusCode::OK, &page(1000, 1000));
    world.engine.answer_next(StatusCode::OK, &page(0, 1000));
    let path = "/abkt?list-type=2&prefix=list/&delimiter=/";
    assert_eq!(world.a.get(path).await.status, 200);
    assert_eq!(world.engine.take_seen().len(), 3);
}
