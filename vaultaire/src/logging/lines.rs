//! Log lines on their way out: gathered for a moment and written many at a time, because a system call a line costs a
//! small request a twelfth of its time. Bounded: what finds no room is counted and told of, and never waited for.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that are written without waiting for more.
const ENOUGH: usize = 64 * 1024;
/// Bytes that may wait while the log's reader is slow.
const MOST: usize = 8 * 1024 * 1024;

/// Where lines go in. Clones share one way out.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Since the last time that it was told.
    lost: u64,
    /// Something is waiting that is worth a system call of its own.
    urgent: bool,
    ended: bool,
}

/// Writes what is still waiting when it is dropped. Lines that come later are lost.
pub struct Flush {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    /// `out` is written to by one thread alone.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<(Lines, Flush)> {
        let lines = Lines(Arc::new(Shared {
            waiting: Mutex::default(),
            changed: Condvar::new(),
        }));
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn({
            let lines = lines.clone();
            move || lines.write_all(out)
        })?;
        let flush = Flush {
            lines: lines.clone(),
            thread: Some(thread),
        };
        Ok((lines, flush))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > MOST {
            waiting.lost += 1;
            return;
        }
        let before = waiting.lines.len();
        waiting.lines.extend_from_slice(line);
        waiting.urgent |= urgent;
        // The writer sleeps until there is a first line, and then until there is enough or the moment is over.
        let wakes = before == 0 || urgent || (before < ENOUGH && waiting.lines.len() >= ENOUGH);
        drop(waiting);
        if wakes {
            self.0.changed.notify_one();
        }
    }

    fn write_all(&self, mut out: impl Write) {
        let mut lines = Vec::with_capacity(ENOUGH);
        let mut ended = false;
        while !ended {
            let idle = |w: &mut Waiting| w.lines.is_empty() && w.lost == 0 && !w.ended;
            let waiting = self.0.changed.wait_while(self.waiting(), idle);
            let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            let short = |w: &mut Waiting| w.lines.len() < ENOUGH && !w.urgent && !w.ended;
            let gathered = self.0.changed.wait_timeout_while(waiting, GATHER, short);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut waiting.lines, &mut lines);
            let lost = std::mem::take(&mut waiting.lost);
            waiting.urgent = false;
            ended = waiting.ended;
            drop(waiting);
            // Where a log cannot be written, there is nobody to tell.
            let _ = out.write_all(&lines);
            if lost > 0 {
                let _ = writeln!(
                    out,
                    r#"{{"level":"WARN","message":"log lines were lost","lost":{lost},"target":"vaultaire::logging"}}"#
                );
            }
            let _ = out.flush();
            lines.clear();
            lines.shrink_to(ENOUGH);
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.lines.waiting().ended = true;
        self.lines.0.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One event's way in: the formatter hands over each line whole.
pub struct Line<'a> {
    lines: &'a Lines,
    urgent: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.push(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            lines: self,
            urgent: false,
        }
    }

    /// A warning may be the last that is heard of this process.
    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a> {
        Line {
            lines: self,
            urgent: *of.level() <= Level::WARN,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Hands on each write, and waits for leave before each.
    struct Slow {
        written: Sender<Vec<u8>>,
        leave: Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Without a giver, leave is given.
            let _ = self.leave.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Slow, Receiver<Vec<u8>>, Sender<()>) {
        let (written, writes) = channel();
        let (give, leave) = channel();
        (Slow { written, leave }, writes, give)
    }

    #[test]
    fn every_line_is_written_once_and_in_order_before_the_end() {
        let (out, writes, give) = slow();
        drop(give);
        let (lines, flush) = Lines::start(out).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let lines = lines.clone();
                std::thread::spawn(move || {
                    for n in 0..1000 {
                        lines.push(format!("{thread} {n}\n").as_bytes(), n % 100 == 0);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        drop(flush);
        let all = String::from_utf8(writes.try_iter().flatten().collect()).unwrap();
        for thread in 0..4 {
            let of_one: Vec<&str> = all
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{thread} ")))
                .collect();
            let expected: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
            assert_eq!(of_one, expected);
        }
        assert_eq!(all.lines().count(), 4000);
    }

    #[test]
    fn a_line_is_written_without_an_end() {
        let (out, writes, give) = slow();
        drop(give);
        let (lines, _flush) = Lines::start(out).unwrap();
        for line in [b"one\n", b"two\n"] {
            lines.push(line, false);
            assert_eq!(writes.recv().unwrap(), line);
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let (out, writes, give) = slow();
        let (lines, flush) = Lines::start(out).unwrap();
        lines.push(b"first\n", true);
        // The writer has taken the first line once there is room for as much as ever.
        while !lines.waiting().lines.is_empty() {
            std::thread::yield_now();
        }
        let line = vec![b'x'; MOST / 4];
        for _ in 0..7 {
            lines.push(&line, false);
        }
        drop(give);
        drop(flush);
        let all: Vec<u8> = writes.try_iter().flatten().collect();
        assert_eq!(
            all.iter().filter(|byte| **byte == b'x').count(),
            4 * line.len()
        );
        let last = all.rsplit(|byte| *byte == b'x').next().unwrap();
        let told: serde_json::Value = serde_json::from_slice(last).unwrap();
        assert_eq!(told["lost"], 3);
    }
}
