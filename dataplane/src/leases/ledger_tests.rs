//! Whatever is lost, repeated or late, and wherever a node dies: what was admitted is never more than the quota.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 1000;

fn key() -> Key {
    Key {
        tenant: 7,
        resource: Resource::StoredBytes,
        period: 0,
    }
}

fn claim(bytes: u64) -> Claim {
    Claim {
        tenant: 7,
        bucket: 1,
        bytes,
        leased: Leased {
            bytes: true,
            objects: true,
            egress: true,
        },
        ..Claim::default()
    }
}

fn opened(granted: u64) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.apply(&Entry::Opened { ledger: 1 });
    ledger.apply(&ledger.grant(&name(1), key(), granted).unwrap());
    ledger
}

#[test]
fn the_balance_is_promised_once() {
    let mut ledger = opened(10);
    let first = ledger.reserve(claim(6)).unwrap();
    ledger.apply(&first);
    ledger.apply(&first);
    assert_eq!(ledger.balance(&key()), 4);
    let lack = ledger.reserve(claim(6)).unwrap_err();
    assert_eq!((lack.need, lack.want), (6, 2));
    assert!(ledger.reserve(claim(4)).is_ok());
    // Settled, it does not flow back to the node itself.
    let settled = ledger.settle(1, false).unwrap();
    ledger.apply(&settled);
    assert_eq!(ledger.balance(&key()), 4);
    assert_eq!(ledger.settle(1, false), None);
}

#[test]
fn all_of_a_claim_is_there_or_nothing_is_taken() {
    let mut ledger = opened(10);
    let both = Claim {
        objects: 1,
        ..claim(5)
    };
    assert_eq!(
        ledger.reserve(both).unwrap_err().key.resource,
        Resource::Objects
    );
    assert_eq!(ledger.balance(&key()), 10);
    let objects = Key {
        resource: Resource::Objects,
        ..key()
    };
    ledger.apply(&ledger.grant(&name(1), objects, 1).unwrap());
    assert!(ledger.reserve(both).is_ok());
}

#[test]
fn a_grant_counts_once_and_only_for_its_ledger() {
    let mut ledger = opened(10);
    assert_eq!(ledger.grant(&name(1), key(), 10), None);
    assert_eq!(ledger.grant(&name(1), key(), 4), None);
    assert_eq!(ledger.grant(&name(2), key(), 50), None);
    ledger.apply(&ledger.grant(&name(1), key(), 15).unwrap());
    assert_eq!(ledger.balance(&key()), 15);
    ledger.apply(&Entry::Opened { ledger: 2 });
    assert_eq!(ledger.balance(&key()), 0);
}

#[test]
fn what_was_open_at_the_end_is_abandoned_once() {
    let mut ledger = opened(10);
    ledger.apply(&ledger.reserve(claim(6)).unwrap());
    let abandoned = ledger.abandoned();
    assert_eq!(
        abandoned,
        [Entry::Settled {
            ledger: 1,
            id: 1,
            claim: claim(6),
            kept: true
        }]
    );
    ledger.apply(&abandoned[0]);
    assert!(ledger.abandoned().is_empty());
}

#[test]
fn a_checkpoint_is_read_as_it_was_written() {
    let mut ledger = opened(10);
    ledger.apply(&ledger.reserve(claim(6)).unwrap());
    let text = serde_json::to_string(&ledger).unwrap();
    assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
}

#[test]
fn months_that_are_over_are_forgotten() {
    let mut ledger = opened(10);
    let month = |period| Key {
        resource: Resource::EgressBytes,
        period,
        ..key()
    };
    for period in [202602, 202603] {
        ledger.apply(&ledger.grant(&name(1), month(period), 5).unwrap());
    }
    ledger.forget_before(202603);
    assert!(!ledger.knows(&month(202602)));
    assert!(ledger.knows(&month(202603)) && ledger.knows(&key()));
}

/// What the control plane does, in the fewest words: it grants what is left, and books each entry once.
#[derive(Default)]
struct Plane {
    used: u64,
    granted: BTreeMap<usize, u64>,
    consumed: BTreeMap<usize, u64>,
}

impl Plane {
    fn outstanding(&self) -> u64 {
        self.granted.values().sum::<u64>() - self.consumed.values().sum::<u64>()
    }

    fn grant(&mut self, node: usize, want: u64) -> u64 {
        let left = LIMIT.saturating_sub(self.used + self.outstanding());
        let granted = self.granted.entry(node).or_default();
        if want <= left {
            *granted += want;
        }
        *granted
    }

    fn book(&mut self, node: usize, entry: &Entry, stored: &BTreeMap<(usize, u64), u64>) {
        let (taken, used) = match *entry {
            Entry::Settled {
                claim, kept: true, ..
            } => (claim.bytes, claim.bytes),
            Entry::Settled { id, claim, .. } => {
                (claim.bytes, stored.get(&(node, id)).copied().unwrap_or(0))
            }
            Entry::Returned { amount, .. } => (amount, 0),
            _ => return,
        };
        *self.consumed.entry(node).or_default() += taken;
        self.used += used;
    }
}

/// A node with its disk: the entries, a checkpoint, and how far they were booked.
#[derive(Default)]
struct Node {
    ledger: Ledger,
    disk: Vec<Entry>,
    checkpoint: Ledger,
    /// From where the entries are read again: before the checkpoint was taken, or at it.
    checkpoint_at: usize,
    booked: usize,
}

impl Node {
    fn new(number: usize) -> Node {
        let mut node = Node::default();
        node.write(Entry::Opened {
            ledger: number as u128 + 1,
        });
        node
    }

    fn write(&mut self, entry: Entry) {
        self.disk.push(entry);
        self.ledger.apply(&entry);
    }

    fn restart(&mut self) {
        self.ledger = self.checkpoint.clone();
        for entry in &self.disk[self.checkpoint_at..] {
            self.ledger.apply(entry);
        }
        for entry in self.ledger.abandoned() {
            self.write(entry);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A request of this many bytes, of which the engine stores all or nothing.
    Begin(usize, u64, bool),
    /// The oldest request under way ends, and says so.
    End(usize),
    Ask(usize, u64),
    /// A grant that was said before is said again.
    Repeat(usize, u64),
    Book(usize),
    GiveBack(usize),
    Checkpoint(usize, usize),
    Kill(usize),
    /// Takes one stored object away.
    Delete(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..3_usize;
    prop_oneof![
        4 => (node.clone(), 1..200_u64, any::<bool>()).prop_map(|(n, b, s)| Step::Begin(n, b, s)),
        3 => node.clone().prop_map(Step::End),
        3 => (node.clone(), 0..300_u64).prop_map(|(n, w)| Step::Ask(n, w)),
        1 => (node.clone(), 0..1000_u64).prop_map(|(n, t)| Step::Repeat(n, t)),
        3 => node.clone().prop_map(Step::Book),
        1 => node.clone().prop_map(Step::GiveBack),
        1 => (node.clone(), 0..5_usize).prop_map(|(n, back)| Step::Checkpoint(n, back)),
        1 => node.clone().prop_map(Step::Kill),
        1 => node.prop_map(Step::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn never_more_than_the_quota(steps in proptest::collection::vec(step(), 0..120)) {
        let mut plane = Plane::default();
        let mut nodes: Vec<Node> = (0..3).map(Node::new).collect();
        // What the engine holds, and what of each request it stored.
        let mut engine: u64 = 0;
        let mut stored: BTreeMap<(usize, u64), u64> = BTreeMap::new();
        let mut deleted: u64 = 0;
        for step in steps {
            match step {
                Step::Begin(n, bytes, stores) => {
                    if let Ok(entry) = nodes[n].ledger.reserve(claim(bytes)) {
                        nodes[n].write(entry);
                        if stores && let Entry::Reserved { id, .. } = entry {
                            engine += bytes;
                            stored.insert((n, id), bytes);
                        }
                    }
                }
                Step::End(n) => {
                    let oldest = nodes[n].ledger.open.keys().min().copied();
                    if let Some(entry) = oldest.and_then(|id| nodes[n].ledger.settle(id, false)) {
                        nodes[n].write(entry);
                    }
                }
                Step::Ask(n, want) => {
                    let total = plane.grant(n, want);
                    if let Some(entry) = nodes[n].ledger.grant(&name(n as u128 + 1), key(), total) {
                        nodes[n].write(entry);
                    }
                }
                Step::Repeat(n, total) => {
                    let total = total.min(plane.granted.get(&n).copied().unwrap_or(0));
                    if let Some(entry) = nodes[n].ledger.grant(&name(n as u128 + 1), key(), total) {
                        nodes[n].write(entry);
                    }
                }
                Step::Book(n) => {
                    for entry in &nodes[n].disk[nodes[n].booked..] {
                        plane.book(n, entry, &stored);
                    }
                    nodes[n].booked = nodes[n].disk.len();
                }
                Step::GiveBack(n) => {
                    if let Some(entry) = nodes[n].ledger.give_back(key()) {
                        nodes[n].write(entry);
                    }
                }
                Step::Checkpoint(n, back) => {
                    nodes[n].checkpoint = nodes[n].ledger.clone();
                    nodes[n].checkpoint_at = nodes[n].disk.len().saturating_sub(back);
                }
                Step::Kill(n) => nodes[n].restart(),
                Step::Delete(n) => {
                    let first = stored.iter().find(|((node, _), bytes)| *node == n && **bytes > 0);
                    if let Some((id, bytes)) = first.map(|(id, bytes)| (*id, *bytes)) {
                        // Booked at once, if its storing was: an object that is gone frees what it used.
                        let settled = nodes[n].disk[..nodes[n].booked].iter().any(
                            |entry| matches!(entry, Entry::Settled { id: other, .. } if *other == id.1),
                        );
                        if settled {
                            engine -= bytes;
                            plane.used -= bytes;
                            stored.insert(id, 0);
                            deleted += bytes;
                        }
                    }
                }
            }
            prop_assert!(engine <= LIMIT, "the engine holds {engine}, {deleted} were deleted");
            prop_assert!(plane.used + plane.outstanding() <= LIMIT);
        }
    }
}

#[test]
fn an_id_is_all_of_its_digits() {
    let digits = "0123456789abcdef0123456789ABCDEF";
    assert_eq!(number(digits), Some(0x0123456789abcdef0123456789abcdef));
    for id in [
        "",
        "0",
        &digits[1..],
        &format!("+{}", &digits[1..]),
        &digits.replace('f', "g"),
    ] {
        assert_eq!(number(id), None, "{id}");
    }
}
