//! What `up` says while it works: one line for each long step, with the time that it took.
//! A reader that went away must not end the tree, so nothing here can fail.

use std::io::{IsTerminal, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static QUIET: AtomicBool = AtomicBool::new(false);

/// Nothing more is said: standard output is for JSON.
pub fn keep_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// One line on standard output.
pub fn say(line: &str) {
    write(&format!("{line}\n"));
}

/// Awaits the work, and says what it is and how long it took. On a terminal the time can be watched.
pub async fn step<T>(
    what: &str,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let watched = stdout().is_terminal();
    let mut work = std::pin::pin!(work);
    loop {
        if watched {
            write(&format!(
                "\r  {what} … {:.1} s",
                begun.elapsed().as_secs_f32()
            ));
        }
        if let Ok(outcome) = tokio::time::timeout(Duration::from_millis(100), &mut work).await {
            let ended = if outcome.is_ok() {
                "ready after"
            } else {
                "failed after"
            };
            let start = if watched { "\r\x1b[K" } else { "" };
            write(&format!(
                "{start}  {what}: {ended} {:.1} s\n",
                begun.elapsed().as_secs_f32()
            ));
            return outcome;
        }
    }
}

fn write(text: &str) {
    if QUIET.load(Ordering::Relaxed) {
        return;
    }
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
