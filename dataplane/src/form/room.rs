//! How many forms may be read at once, before anybody knows who sent them: in all, and from one network, so that one
//! host cannot take all the room. Fixed memory, however many addresses come.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::strangers::network;

/// Two networks that share a slot share its room.
const SLOTS: usize = 1024;
/// With what [`super::preamble::MAX_PREAMBLE`] allows each: 40 MiB.
const ALL: usize = 2048;
const EACH: usize = 512;

pub struct Room {
    all: AtomicUsize,
    slots: Box<[AtomicUsize]>,
    hasher: RandomState,
}

/// The place of one form, until it is dropped.
pub struct Place {
    room: Arc<Room>,
    slot: usize,
}

impl Room {
    pub fn new() -> Arc<Room> {
        Arc::new(Room {
            all: AtomicUsize::new(0),
            slots: (0..SLOTS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
        })
    }

    /// `None` when there is no room.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let slot = usize::try_from(self.hasher.hash_one(network(peer)) % SLOTS as u64).ok()?;
        take(self.slots.get(slot)?, EACH)?;
        if take(&self.all, ALL).is_none() {
            self.leave(slot);
            return None;
        }
        Some(Place {
            room: self.clone(),
            slot,
        })
    }

    fn leave(&self, slot: usize) {
        if let Some(count) = self.slots.get(slot) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.leave(self.slot);
        self.room.all.fetch_sub(1, Ordering::Relaxed);
    }
}

fn take(count: &AtomicUsize, most: usize) -> Option<()> {
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
            (n < most).then_some(n + 1)
        })
        .ok()
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_a_share_and_gives_it_back() {
        let room = Room::new();
        let peer = |text: &str| text.parse().unwrap();
        let mut places: Vec<Place> = (0..EACH)
            .map(|i| room.enter(peer(&format!("2001:db8::{i:x}"))).unwrap())
            .collect();
        assert!(room.enter(peer("2001:db8::ffff")).is_none());
        places.pop();
        assert!(room.enter(peer("2001:db8::ffff")).is_some());
    }

    #[test]
    fn there_is_an_end_to_all_room() {
        let room = Room::new();
        let places: Vec<Place> = (0..60_000u32)
            .filter_map(|i| room.enter(IpAddr::V4(i.into())))
            .collect();
        assert_eq!(places.len(), ALL);
        drop(places);
        assert_eq!(room.all.load(Ordering::Relaxed), 0);
        assert!(room.slots.iter().all(|s| s.load(Ordering::Relaxed) == 0));
        assert!(room.enter(IpAddr::V4(0.into())).is_some());
    }
}
