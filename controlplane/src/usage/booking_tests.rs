use proptest::prelude::*;
use wire::Freed;

use super::*;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const BUCKET: BucketId = BucketId(Uuid::from_u128(2));

fn line(stored: &[u64], freed: &[Freed], uploads: Vec<UploadChange>) -> UsageLine {
    UsageLine {
        hour: 500_000,
        tenant_id: TENANT.to_string(),
        bucket_id: BUCKET.to_string(),
        access_key_id: "K".into(),
        class: RequestClass::A,
        requests: 1,
        bytes_in: 3,
        bytes_out: 4,
        stored_bytes: stored.iter().sum(),
        stored_objects: stored.len() as u64,
        freed: freed.to_vec(),
        uploads,
    }
}

/// What the database keeps, without a database.
#[derive(Default)]
struct Ledger {
    freed: HashSet<(TenantId, i64)>,
    uploads: HashMap<UploadKey, Upload>,
    batches: HashSet<usize>,
    requests: i64,
    moved: Moved,
    hours: Moved,
}

impl Ledger {
    fn book(&mut self, number: usize, lines: &[UsageLine]) {
        if !self.batches.insert(number) {
            return;
        }
        let lines: Vec<Line<'_>> = lines.iter().filter_map(Line::read).collect();
        let mut known = Known {
            buckets: HashSet::from([(TENANT, BUCKET)]),
            uploads: self.uploads.clone(),
            fresh: HashSet::new(),
        };
        for freed in lines.iter().flat_map(Line::freed) {
            if self.freed.insert(freed) {
                known.fresh.insert(freed);
            }
        }
        let booked = book(&lines, &mut known);
        self.uploads.extend(booked.uploads);
        for sum in booked.hours.values() {
            self.requests += sum.requests;
            self.hours.added_bytes += sum.stored;
            self.hours.added_objects += sum.objects;
        }
        booked
            .buckets
            .values()
            .for_each(|moved| self.moved.add(moved));
    }
}

/// What customers do to three keys and three uploads.
#[derive(Debug, Clone)]
enum Act {
    Put(usize, u64),
    Delete(usize),
    Part(usize, u64),
    Complete(usize, usize),
    Abort(usize),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..3usize, 0..100u64).prop_map(|(key, bytes)| Act::Put(key, bytes)),
        (0..3usize).prop_map(Act::Delete),
        (0..3usize, 0..100u64).prop_map(|(upload, bytes)| Act::Part(upload, bytes)),
        (0..3usize, 0..3usize).prop_map(|(upload, key)| Act::Complete(upload, key)),
        (0..3usize).prop_map(Act::Abort),
    ]
}

/// The engine, and the lines that a node would write about it.
#[derive(Default)]
struct Engine {
    objects: HashMap<usize, Freed>,
    /// Parts' bytes; `None` once it has ended.
    uploads: HashMap<usize, Option<u64>>,
    made: u64,
}

impl Engine {
    fn put(&mut self, key: usize, bytes: u64) -> Vec<Freed> {
        self.made += 1;
        let object = Freed {
            what: self.made,
            bytes,
        };
        self.objects.insert(key, object).into_iter().collect()
    }

    fn act(&mut self, act: &Act) -> Vec<UsageLine> {
        let change = |upload: usize, part_bytes, end| {
            vec![UploadChange {
                upload: upload as u64,
                part_bytes,
                end,
            }]
        };
        match *act {
            Act::Put(key, bytes) => {
                let freed = self.put(key, bytes);
                vec![line(&[bytes], &freed, vec![])]
            }
            // A second node looked at the same moment, and gives the same back.
            Act::Delete(key) => {
                let freed: Vec<Freed> = self.objects.remove(&key).into_iter().collect();
                vec![line(&[], &freed, vec![]), line(&[], &freed, vec![])]
            }
            Act::Part(upload, bytes) => {
                let Some(parts) = self.uploads.entry(upload).or_insert(Some(0)) else {
                    return vec![];
                };
                *parts += bytes;
                vec![line(&[], &[], change(upload, bytes, UploadEnd::Open))]
            }
            Act::Complete(upload, key) => {
                let Some(parts) = self.uploads.insert(upload, None).flatten() else {
                    return vec![];
                };
                // A part may be left out.
                let bytes = parts / 2;
                let freed = self.put(key, bytes);
                let end = UploadEnd::Completed { bytes: Some(bytes) };
                vec![line(&[], &freed, change(upload, 0, end))]
            }
            Act::Abort(upload) => match self.uploads.insert(upload, None) {
                Some(Some(_)) => vec![line(&[], &[], change(upload, 0, UploadEnd::Aborted))],
                _ => vec![],
            },
        }
    }

    fn holds(&self) -> (i64, i64) {
        let objects: u64 = self.objects.values().map(|object| object.bytes).sum();
        let parts: u64 = self.uploads.values().flatten().sum();
        let count = self.objects.len() as u64;
        ((objects + parts).cast_signed(), count.cast_signed())
    }
}

proptest! {
    #[test]
    fn in_any_order_and_however_often_the_sums_are_the_engines(
        acts in proptest::collection::vec(any_act(), 0..40),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..120),
    ) {
        let mut engine = Engine::default();
        let batches: Vec<Vec<UsageLine>> = acts.iter().map(|act| engine.act(act)).collect();
        let mut ledger = Ledger::default();
        let any_order = order.iter().filter(|_| !batches.is_empty()).map(|index| index.index(batches.len()));
        for number in any_order.chain((0..batches.len()).rev()) {
            ledger.book(number, &batches[number]);
        }
        let lines: usize = batches.iter().map(Vec::len).sum();
        prop_assert_eq!(ledger.requests, lines as i64);
        prop_assert_eq!((ledger.moved.stored(), ledger.moved.objects()), engine.holds());
        prop_assert_eq!((ledger.hours.stored(), ledger.hours.objects()), engine.holds());
    }
}

#[test]
fn in_a_bucket_that_is_gone_nothing_moves_and_requests_still_count() {
    let lines = [line(&[5], &[], vec![])];
    let lines: Vec<Line<'_>> = lines.iter().filter_map(Line::read).collect();
    let booked = book(&lines, &mut Known::default());
    assert!(booked.buckets.is_empty());
    let sums: Vec<&HourSum> = booked.hours.values().collect();
    assert_eq!((sums[0].requests, sums[0].stored), (1, 0));
    let mut known = Known {
        buckets: HashSet::from([(TENANT, BUCKET)]),
        ..Known::default()
    };
    let booked = book(&lines, &mut known);
    assert_eq!(booked.hours.values().next().map(|sum| sum.stored), Some(5));
}

#[test]
fn what_no_node_writes_is_not_read() {
    let good = line(&[], &[], vec![]);
    assert!(Line::read(&good).is_some());
    for bad in [
        UsageLine {
            tenant_id: "x".into(),
            ..good.clone()
        },
        UsageLine {
            bucket_id: "x".into(),
            ..good.clone()
        },
        UsageLine {
            class: RequestClass::Unknown,
            ..good.clone()
        },
    ] {
        assert!(Line::read(&bad).is_none());
    }
    let huge = UsageLine {
        stored_bytes: u64::MAX,
        stored_objects: u64::MAX,
        ..good
    };
    let mut known = Known::default();
    let huge = [huge.clone(), huge];
    let lines: Vec<Line<'_>> = huge.iter().filter_map(Line::read).collect();
    book(&lines, &mut known);
}

#[test]
fn a_key_was_used_within_the_hour_of_the_line_however_late_the_batch_comes() {
    let stranger = UsageLine {
        access_key_id: String::new(),
        ..line(&[], &[], vec![])
    };
    let earlier = UsageLine {
        hour: 499_000,
        ..line(&[], &[], vec![])
    };
    let lines = [line(&[], &[], vec![]), earlier, stranger];
    let lines: Vec<Line<'_>> = lines.iter().filter_map(Line::read).collect();
    let begun = lines[0].hour;
    let at = |now| uses(&lines, now).into_iter().collect::<Vec<_>>();
    let soon = begun + TimeDelta::minutes(5);
    assert_eq!(at(soon), [((TENANT, "K"), soon)]);
    let late = begun + TimeDelta::days(2);
    let end = begun + TimeDelta::hours(1);
    assert_eq!(at(late), [((TENANT, "K"), end)]);
}
