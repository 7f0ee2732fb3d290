//! libFuzzer over the data plane's fuzz targets: the environment variable `FUZZ_TARGET` says which one. The targets
//! themselves, and what must hold, are in `dataplane/src/fuzz/`.
#![no_main]

use std::sync::OnceLock;

use dataplane::fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => *target,
        None => {
            let known: Vec<&str> = TARGETS.iter().map(|(known, _)| *known).collect();
            eprintln!("fuzz: FUZZ_TARGET is one of {}", known.join(", "));
            std::process::exit(2);
        }
    }
}

fuzz_target!(|input: &[u8]| CHOSEN.get_or_init(chosen)(input));
