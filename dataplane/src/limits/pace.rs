//! Holds a stream back to its tenant's share of the bytes a second. It delays, and never cuts; while it does, nobody else
//! is to blame.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

use super::TenantLimiter;
use super::bucket::Ticket;

/// A long wait is taken in pieces: shares may have moved meanwhile, and whoever watches the stream sees that it lives.
const PIECE: Duration = Duration::from_millis(250);

pub struct Pace {
    limiter: Option<Arc<TenantLimiter>>,
    ticket: Option<Ticket>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// `None`: as fast as it goes.
    pub fn new(limiter: Option<Arc<TenantLimiter>>) -> Self {
        Pace {
            limiter,
            ticket: None,
            timer: None,
        }
    }

    /// Ready when the next bytes may be asked for.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let (Some(limiter), Some(ticket)) = (&self.limiter, self.ticket) {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
                self.timer = None;
            }
            match limiter.wait(ticket, Instant::now()) {
                Duration::ZERO => self.ticket = None,
                wait => self.timer = Some(Box::pin(sleep(wait.min(PIECE)))),
            }
        }
        Poll::Ready(())
    }

    pub fn passed(&mut self, bytes: usize) {
        if let Some(limiter) = self.limiter.as_ref().filter(|_| bytes > 0) {
            self.ticket = limiter.pass(bytes, Instant::now());
        }
    }
}
