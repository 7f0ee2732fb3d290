//! How long a client, or an engine, may keep this node waiting. A body must bring a little in every window of waiting; time in which
//! the engine is the slow one does not count.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

/// How often a connection is looked at in the time that it may be idle.
const LOOKS: u32 = 4;

/// Bytes written at once that are no part of an answer, but a PING or a WINDOW_UPDATE, in TLS perhaps: this node's own
/// PINGs must not make it think that the client takes something.
const OF_HTTP2_ALONE: usize = 64;

/// What a body has to bring in one window of waiting.
const BYTES_A_WINDOW: u64 = 20 * 1024;

#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a whole request head, and for an idle connection.
    pub head: Duration,
    /// The window in which a body has to bring 20 KiB.
    pub body: Duration,
    /// In which an engine begins its answer, once it has the whole request.
    pub answer: Duration,
    /// The same of an upload that is completed: some engines copy every part then.
    pub complete: Duration,
    /// How long a body, or an engine's answer, may stand still, in either plane's fault, and how long a client may take
    /// nothing of what it is sent.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            head: Duration::from_secs(20),
            body: Duration::from_secs(20),
            answer: Duration::from_secs(120),
            complete: Duration::from_secs(600),
            stall: Duration::from_secs(60),
        }
    }
}

/// The waiting of one body.
pub struct Waiting {
    window: Duration,
    waited: Duration,
    bytes: u64,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Waiting {
    pub fn new(window: Duration) -> Self {
        Waiting {
            window,
            waited: Duration::ZERO,
            bytes: 0,
            since: None,
            timer: None,
        }
    }

    /// Something came.
    pub fn arrived(&mut self, bytes: usize, now: Instant) {
        self.waited += self
            .since
            .take()
            .map_or(Duration::ZERO, |since| now - since);
        self.bytes += bytes as u64;
        if self.bytes >= BYTES_A_WINDOW {
            self.bytes = 0;
            self.waited = Duration::ZERO;
        }
    }

    /// Nothing is there: ready when that has been so for too long.
    pub fn poll_over(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let until = self.until(now);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }

    /// When patience ends, if nothing comes.
    fn until(&mut self, now: Instant) -> Instant {
        *self.since.get_or_insert(now) + self.window.saturating_sub(self.waited)
    }
}

/// What is going on on one connection, so that one on which nothing is can be closed: one that never said a word,
/// or an HTTP/2 connection without a stream.
#[derive(Default)]
pub struct Activity {
    requests: AtomicUsize,
    /// How many of them wait for their client alone.
    sending: AtomicUsize,
    /// How often something went on: a request began or ended, a piece of an answer came, the client was sent something.
    seen: AtomicUsize,
    /// What was to be sent found no room: the client does not read.
    blocked: AtomicBool,
    /// Bytes of uploads that were read and thrown away.
    drained: AtomicU64,
    /// An answer has ended.
    ended: Notify,
}

/// One request of a connection, until its answer has ended.
pub struct Active {
    activity: Arc<Activity>,
    sending: bool,
}

impl Active {
    pub fn connection(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    /// Bytes of uploads on its connection that were read and thrown away.
    pub fn drained(&self) -> u64 {
        self.activity.drained.load(Ordering::Relaxed)
    }

    /// Whether the next piece of the answer is the client's to take, or somebody else's to bring.
    pub fn sends(&mut self, sending: bool) {
        let activity = &self.activity;
        match (self.sending, sending) {
            (false, true) => {
                activity.sending.fetch_add(1, Ordering::Relaxed);
                activity.seen.fetch_add(1, Ordering::Relaxed);
            }
            (true, false) => {
                activity.sending.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
        self.sending = sending;
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.sends(false);
        self.activity.seen.fetch_add(1, Ordering::Relaxed);
        self.activity.requests.fetch_sub(1, Ordering::Relaxed);
        self.activity.ended.notify_one();
    }
}

impl Activity {
    pub fn begin(self: &Arc<Self>) -> Active {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.seen.fetch_add(1, Ordering::Relaxed);
        Active {
            activity: self.clone(),
            sending: false,
        }
    }

    /// Returns once everything is answered that was asked.
    pub async fn answered(&self) {
        while self.requests.load(Ordering::Relaxed) > 0 {
            self.ended.notified().await;
        }
    }

    /// So many more bytes are thrown away. How many these are altogether.
    pub fn drain(&self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        self.drained.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Returns when nothing has gone on for a whole `window`, and for no more than a [`LOOKS`]th of it longer: no request
    /// was under way, and none has begun, which takes the whole of its head. A client that everything waits for has until
    /// `stall` to read some more.
    pub async fn ceased(&self, window: Duration, stall: Duration) {
        let look = window / LOOKS;
        let (mut seen, mut quiet) = (0, Duration::ZERO);
        loop {
            tokio::time::sleep(look).await;
            let now = self.seen.load(Ordering::Relaxed);
            let requests = self.requests.load(Ordering::Relaxed);
            let sending = self.sending.load(Ordering::Relaxed);
            // In HTTP/2 a client may leave one answer and take another: that there is no room for any is seen there too.
            let for_client =
                self.blocked.load(Ordering::Relaxed) || (requests > 0 && sending == requests);
            quiet += look;
            if now != seen || (requests > 0 && !for_client) {
                quiet = Duration::ZERO;
            }
            seen = now;
            if quiet >= if for_client { stall } else { window } {
                return;
            }
        }
    }

    /// What came of writing to the client.
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.blocked.store(true, Ordering::Relaxed),
            Poll::Ready(Ok(bytes)) if *bytes > 0 => {
                self.blocked.store(false, Ordering::Relaxed);
                if *bytes > OF_HTTP2_ALONE {
                    self.seen.fetch_add(1, Ordering::Relaxed);
                }
            }
            Poll::Ready(_) => {}
        }
    }
}

/// A connection whose [`Activity`] knows whether the client takes what it is sent: of an answer that is over for us, a part
/// may still be waiting.
pub struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, activity: Arc<Activity>) -> Self {
        Watched { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.activity.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.activity.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// After how many seconds a body is given up that brings so many bytes in each.
    fn over_after(window: Duration, bytes: usize) -> Option<u32> {
        let mut waiting = Waiting::new(window);
        let mut now = Instant::now();
        (0..60).find(|_| {
            let over = waiting.until(now) <= now;
            now += SECOND;
            waiting.arrived(bytes, now);
            over
        })
    }

    #[test]
    fn a_drip_runs_out_of_time_and_a_trickle_does_not() {
        assert_eq!(over_after(20 * SECOND, 1), Some(20));
        assert_eq!(over_after(20 * SECOND, 2048), None);
    }

    #[test]
    fn row_30_a_node_waits_no_longer_than_30_seconds() {
        let Patience { head, body, .. } = Patience::default();
        assert!(head + head / LOOKS <= 30 * SECOND, "{head:?}");
        let given_up = over_after(body, 1);
        assert!(given_up.is_some_and(|after| after <= 30), "{given_up:?}");
        assert_eq!(over_after(body, 2048), None);
    }

    #[test]
    fn time_in_which_nobody_asks_does_not_count() {
        let mut waiting = Waiting::new(20 * SECOND);
        let start = Instant::now();
        waiting.arrived(1, start);
        let later = start + 600 * SECOND;
        assert_eq!(waiting.until(later), later + 20 * SECOND);
        assert_eq!(waiting.until(later + SECOND), later + 20 * SECOND);
    }

    #[tokio::test]
    async fn a_connection_is_let_go_when_nothing_goes_on_and_not_before() {
        use tokio::time::{sleep, timeout};
        let window = Duration::from_millis(40);
        let activity = Arc::new(Activity::default());
        let begun = Instant::now();
        activity.ceased(window, window).await;
        assert!(begun.elapsed() >= window, "one that never said a word");

        let active = activity.begin();
        let early = timeout(5 * window, activity.ceased(window, window)).await;
        assert!(early.is_err(), "a request is under way");
        drop(active);

        let active = activity.begin();
        let ends = async {
            sleep(window * 9 / 8).await;
            drop(active);
            Instant::now()
        };
        let ((), ended) = tokio::join!(activity.ceased(window, window), ends);
        assert!(ended.elapsed() >= window, "idle since its end");

        let one_after_another = async {
            loop {
                drop(activity.begin());
                sleep(window / 8).await;
            }
        };
        let early = timeout(5 * window, async {
            tokio::select! {
                () = activity.ceased(window, window) => {}
                () = one_after_another => {}
            }
        });
        assert!(early.await.is_err(), "requests come and go between looks");

        let begun = Instant::now();
        activity.ceased(window, window).await;
        assert!(begun.elapsed() >= window, "idle since the last one");
    }
}
