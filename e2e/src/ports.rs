//! Free ports of 127.0.0.1, in the groups that the product wants: a plane's port and the next one for its health.
//! They lie below the range from which the system gives ports to outgoing connections, so that none is lost while the
//! product starts; whoever finds one taken all the same tries again with others.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const COUNT: u32 = 9_000;
/// The widest group: sixteen data planes, ten ports apart.
const STEP: u32 = 200;

static TRIED: AtomicU32 = AtomicU32::new(0);

/// A port, such that it plus each of `offsets` is free.
///
/// # Panics
/// When the whole range is taken.
pub fn free(offsets: &[u16]) -> u16 {
    let start = std::process::id().wrapping_mul(STEP + 1);
    for _ in 0..COUNT {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let base = FIRST + start.wrapping_add(tried * STEP) % COUNT;
        let base = u16::try_from(base).expect("below 20,000");
        let is_free =
            |offset: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, base + offset)).is_ok();
        if offsets.iter().all(is_free) {
            return base;
        }
    }
    panic!("no free ports between {FIRST} and {}", FIRST + COUNT);
}
