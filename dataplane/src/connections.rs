//! How many connections may be open: in all, and from one source address, so that one host cannot take them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// In all, and of one address.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub all: usize,
    pub each: usize,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            all: 10_000,
            each: 2_000,
        }
    }
}

pub struct Connections {
    room: Room,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// One open connection, until it is dropped.
pub struct Connection {
    connections: Arc<Connections>,
    peer: IpAddr,
}

impl Connections {
    pub fn new(room: Room) -> Arc<Self> {
        Arc::new(Connections {
            room,
            open: Mutex::default(),
        })
    }

    /// `None` when there is no room.
    pub fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Connection> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = open.by_peer.get(&peer).copied().unwrap_or(0);
        if open.all >= self.room.all || of_peer >= self.room.each {
            return None;
        }
        open.all += 1;
        open.by_peer.insert(peer, of_peer + 1);
        Some(Connection {
            connections: self.clone(),
            peer,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self
            .connections
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        match open.by_peer.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.by_peer.remove(&self.peer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_and_room_is_given_back() {
        let connections = Connections::new(Room { all: 3, each: 2 });
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = connections.admit(a).unwrap();
        let _second = connections.admit(a).unwrap();
        assert!(connections.admit(a).is_none(), "an address has its share");
        let _third = connections.admit(b).unwrap();
        assert!(connections.admit(b).is_none(), "all are taken");
        drop(first);
        assert!(connections.admit(b).is_some());
        assert_eq!(connections.open.lock().unwrap().by_peer.len(), 2);
    }
}
