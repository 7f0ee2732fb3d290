//! What this node has to say to the control plane beside its acknowledgements. Nothing waits here for a stream: what is
//! said while there is none is lost, and whoever needs an answer says it again when [`Uplink::connected`] changes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use wire::FromNode;

const ROOM: usize = 1024;

pub struct Uplink {
    sender: mpsc::Sender<FromNode>,
    receiver: Mutex<Option<mpsc::Receiver<FromNode>>>,
    /// How many streams there have been; 0 while there is none.
    streams: watch::Sender<u64>,
    began: Mutex<u64>,
}

impl Default for Uplink {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(ROOM);
        Uplink {
            sender,
            receiver: Mutex::new(Some(receiver)),
            streams: watch::Sender::new(0),
            began: Mutex::new(0),
        }
    }
}

impl Uplink {
    /// `false`: there is no stream, or it does not keep up.
    pub fn send(&self, message: FromNode) -> bool {
        *self.streams.borrow() > 0 && self.sender.try_send(message).is_ok()
    }

    /// Changes to another number whenever a stream has begun, and to 0 when it has ended.
    pub fn connected(&self) -> watch::Receiver<u64> {
        self.streams.subscribe()
    }

    /// What is to go out, taken by the one task that keeps the stream.
    pub fn receiver(&self) -> Option<mpsc::Receiver<FromNode>> {
        lock(&self.receiver).take()
    }

    pub fn begin(&self) {
        let mut began = lock(&self.began);
        *began += 1;
        self.streams.send_replace(*began);
    }

    pub fn end(&self) {
        self.streams.send_replace(0);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_into_a_stream_that_is_not_there() {
        let uplink = Uplink::default();
        let mut receiver = uplink.receiver().unwrap();
        assert!(!uplink.send(FromNode::Ack { revision: 1 }));
        uplink.begin();
        assert_eq!(*uplink.connected().borrow(), 1);
        assert!(uplink.send(FromNode::Ack { revision: 2 }));
        assert_eq!(receiver.try_recv(), Ok(FromNode::Ack { revision: 2 }));
        uplink.end();
        assert!(!uplink.send(FromNode::Ack { revision: 3 }));
        uplink.begin();
        assert_eq!(*uplink.connected().borrow(), 2);
    }
}
