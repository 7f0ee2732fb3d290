//! What an attacker sends, row by row: A attacks B, whose bucket `bvic` holds `secret`, with A's own valid key unless a row
//! says otherwise. Of what is refused the engine sees nothing, the answer tells nothing of the engine, and beside it
//! stands what is allowed. Rows up to 31 are those that the project began with.

mod bodies;
mod connections;
mod engine;
mod headers;
mod http2;
mod places;
mod presigned;
mod queries;
mod scopes;
mod signatures;
mod uploads;

use crate::client::Answer;
use crate::world::World;

/// Parts of the engine's buckets, prefixes, ids, answers and credentials.
const FORBIDDEN_WORDS: [&str; 8] = [
    "vt-",
    "pool",
    "t/aaaa",
    "t/bbbb",
    "ENGINE",
    "Engine/1",
    "engine-",
    "secret-of",
];

pub async fn worlds() -> [World; 2] {
    [World::start().await, World::pooled().await]
}

/// B's object is there, and what happened so far is forgotten.
async fn with_secret(world: &World) {
    assert_eq!(world.b.put("/bvic/secret", "s").await.status, 200);
    world.engine.take_seen();
}

pub fn assert_tells_nothing(world: &World, answer: &Answer, what: &str) {
    let text = format!("{:?} {}", answer.headers, answer.body);
    let endpoint = &world.snapshot.settings.engines[0].endpoint;
    let host = endpoint.trim_start_matches("http://");
    for word in FORBIDDEN_WORDS.into_iter().chain([host]) {
        assert!(!text.contains(word), "{what}: {word} in {text}");
    }
}

/// Refused with this status and code; nothing reached the engine, and nothing of it is told.
fn assert_refused(world: &World, answer: &Answer, expected: (u16, &str), what: &str) {
    let got = (answer.status, answer.code());
    assert_eq!(got, expected, "{what}: {}", answer.body);
    assert_tells_nothing(world, answer, what);
    world.assert_engine_saw_nothing(what);
}
