//! Hashing beside the stream: while pieces of a large body are hashed on another thread, the next are read and sent.
//! In order, one job a body at a time, and bounded: a body never holds more than a few pieces, nor a thread without work.

use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{Code, S3Error};
use crate::integrity::Checks;

/// Shorter bodies are hashed where they are read: handing over costs more.
const WORTH_IT: u64 = 1024 * 1024;
/// Bytes that are handed over at once.
const BATCH: usize = 160 * 1024;
/// Bytes that may wait for the job that is under way.
const MOST_WAITING: usize = 256 * 1024;

/// A thread that had a piece of such a body so lately is busy with reading and sending bodies.
const LATELY: Duration = Duration::from_millis(20);

/// Jobs under way in this process. They get the cores that are not busy with bodies: with all of them busy, a body is
/// hashed soonest where it is read, while it is in that core's cache.
static JOBS: AtomicUsize = AtomicUsize::new(0);
static CORES: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()));

pub struct Hashing {
    state: State,
    beside: bool,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
}

enum State {
    Here(Box<Checks>),
    Away(JoinHandle<Box<Checks>>),
    Lost,
}

impl Hashing {
    /// `length` of the body, as announced.
    pub fn new(checks: Checks, length: u64) -> Self {
        Hashing {
            beside: length >= WORTH_IT && checks.take_time(),
            state: State::Here(Box::new(checks)),
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// Takes the next piece. The caller has seen [`Hashing::poll_room`] ready since the last one.
    pub fn update(&mut self, piece: &Bytes) {
        if self.beside {
            THREADS.note();
        }
        let here = self.waiting.is_empty() && !self.may_go();
        match &mut self.state {
            State::Here(checks) if here => checks.update(piece),
            _ => {
                self.waiting_bytes += piece.len();
                self.waiting.push(piece.clone());
            }
        }
    }

    /// Ready when another piece may come.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S3Error>> {
        if self.waiting_bytes < BATCH {
            return Poll::Ready(Ok(()));
        }
        match self.poll_job(cx) {
            Poll::Pending if self.waiting_bytes < MOST_WAITING => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    /// Ready when everything is hashed.
    pub fn poll_checks(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Checks, S3Error>> {
        while !self.waiting.is_empty() || matches!(self.state, State::Away(_)) {
            ready!(self.poll_job(cx))?;
        }
        Poll::Ready(match &mut self.state {
            State::Here(checks) => Ok(checks),
            State::Away(_) | State::Lost => Err(Code::InternalError.into()),
        })
    }

    /// Ready when nothing waits: it was hashed, or handed to a job.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S3Error>> {
        if let State::Away(job) = &mut self.state {
            self.state = match ready!(Pin::new(job).poll(cx)) {
                Ok(checks) => State::Here(checks),
                Err(_) => State::Lost,
            };
        }
        if self.waiting.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let State::Here(mut checks) = std::mem::replace(&mut self.state, State::Lost) else {
            return Poll::Ready(Err(Code::InternalError.into()));
        };
        let pieces = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let hash = move || {
            for piece in pieces {
                checks.update(&piece);
            }
            checks
        };
        self.state = if self.may_go() {
            let job = Job::begin();
            State::Away(spawn_blocking(move || {
                let _job = job;
                hash()
            }))
        } else {
            State::Here(hash())
        };
        Poll::Ready(Ok(()))
    }

    /// Whether there is a core for a job of this body. Two that ask at once may both take the last one.
    fn may_go(&self) -> bool {
        self.beside && JOBS.load(Ordering::Relaxed) + THREADS.busy() < *CORES
    }
}

/// When each thread that serves last had a piece of a large body.
static THREADS: LazyLock<Threads> = LazyLock::new(|| Threads {
    born: Instant::now(),
    moved: (0..*CORES).map(|_| AtomicU64::new(0)).collect(),
});

struct Threads {
    born: Instant,
    /// Milliseconds since `born`, and one more; 0 where there was none.
    moved: Vec<AtomicU64>,
}

impl Threads {
    fn note(&self) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THIS: usize = THREADS.fetch_add(1, Ordering::Relaxed);
        }
        let at = THIS.with(|this| this % self.moved.len());
        if let Some(moved) = self.moved.get(at) {
            moved.store(self.now() + 1, Ordering::Relaxed);
        }
    }

    fn busy(&self) -> usize {
        let long_ago = self.now().saturating_sub(LATELY.as_millis() as u64);
        let lately = |moved: &&AtomicU64| moved.load(Ordering::Relaxed) > long_ago;
        self.moved.iter().filter(lately).count()
    }

    fn now(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }
}

/// One of [`JOBS`], until it is dropped.
struct Job;

impl Job {
    fn begin() -> Self {
        JOBS.fetch_add(1, Ordering::Relaxed);
        Job
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        JOBS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::HeaderMap;
    use sha2::{Digest, Sha256};

    use super::*;

    async fn hash(pieces: &[Bytes], length: u64, expected: &str) -> Result<(), Code> {
        let checks = Checks::new(&HeaderMap::new(), Some(expected)).unwrap();
        let mut hashing = Hashing::new(checks, length);
        for piece in pieces {
            poll_fn(|cx| hashing.poll_room(cx)).await.unwrap();
            hashing.update(piece);
            assert!(
                hashing.waiting_bytes <= MOST_WAITING + piece.len(),
                "bounded"
            );
        }
        let verified = poll_fn(|cx| {
            let checks = ready!(hashing.poll_checks(cx)).unwrap();
            Poll::Ready(checks.verify(|_| None))
        });
        verified.await.map(|_| ()).map_err(|error| error.code)
    }

    #[tokio::test]
    async fn pieces_are_hashed_in_order_and_all_of_them_beside_or_not() {
        let pieces: Vec<Bytes> = (0..100_u32)
            .map(|n| Bytes::from(n.to_le_bytes().repeat(1 + n as usize * 101)))
            .collect();
        let whole = pieces.concat();
        let expected = hex::encode(Sha256::digest(&whole));
        for length in [WORTH_IT - 1, WORTH_IT] {
            assert_eq!(hash(&pieces, length, &expected).await, Ok(()));
            let mut swapped = pieces.clone();
            swapped.swap(98, 99);
            let mut short = pieces.clone();
            short.pop();
            for other in [swapped, short] {
                assert_eq!(
                    hash(&other, length, &expected).await,
                    Err(Code::XAmzContentSHA256Mismatch)
                );
            }
        }
    }
}
