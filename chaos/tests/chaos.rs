//! The harness as `make test` runs it: one round of each group of faults, and the whole reckoning. Some two minutes.

use chaos::run::{Lasts, Wishes, run};

/// One kind of each group; `make chaos` has them all.
const FAULTS: [&str; 10] = [
    "kill-node",
    "kill-postgres",
    "pause-controlplane",
    "cut-push",
    "half-open-database",
    "stall-engine",
    "reset-client",
    "answer-lie",
    "full-disk",
    "empty-disk",
];

#[test]
fn nothing_acknowledged_is_lost_nothing_leaks_and_everything_heals() {
    let seed = std::env::var("SEED").ok();
    let wishes = Wishes {
        seed: seed.map_or(1, |seed| seed.parse().expect("SEED is a number")),
        faults: FAULTS.map(str::to_owned).to_vec(),
        lasts: Lasts::Rounds(9),
    };
    if let Err(breaches) = run(&wishes) {
        panic!("{breaches}");
    }
}
