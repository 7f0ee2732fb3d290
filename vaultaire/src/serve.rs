//! What both planes need from the process: an end on SIGTERM or SIGINT.
//! It decides nothing about how a plane ends, only when.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a process to end, caught from the moment of [`Ending::listen`].
pub struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves once for each signal.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
