use proptest::prelude::*;
use tempfile::TempDir;
use wire::RequestClass;

use super::*;

fn answered(n: u64) -> Entry {
    Entry::Answered(Answered {
        hour: 400_000,
        tenant: 7,
        bucket: 0,
        access_key_id: "AKIAEXAMPLE".into(),
        class: RequestClass::A,
        requests: 1,
        bytes_in: n,
        bytes_out: 0,
        changes: vec![Change::Stored { bytes: n }],
    })
}

fn open(dir: &TempDir, boot: u64) -> (Journal, Vec<(u64, Entry)>) {
    let mut seen = Vec::new();
    let journal = Journal::open(dir.path(), boot, u64::MAX, |sequence, entry| {
        seen.push((sequence, entry));
    });
    (journal.unwrap(), seen)
}

fn files(dir: &TempDir) -> usize {
    std::fs::read_dir(dir.path()).unwrap().count()
}

#[test]
fn what_was_appended_is_there_after_the_process_is_gone() {
    let dir = TempDir::new().unwrap();
    let (journal, seen) = open(&dir, 1);
    assert!(seen.is_empty());
    journal.append(&answered(1)).unwrap();
    assert_eq!(journal.rotate().unwrap(), 2);
    journal.append_all(&[answered(2), answered(3)]).unwrap();
    drop(journal);
    let (journal, seen) = open(&dir, 2);
    assert_eq!(seen, [(1, answered(1)), (2, answered(2)), (2, answered(3))]);
    assert_eq!(journal.unbooked(), [Name::new(1, 1), Name::new(2, 1)]);
    let read = journal.read(Name::new(2, 1)).unwrap();
    assert_eq!(read.entries, [answered(2), answered(3)]);
}

#[test]
fn a_batch_goes_when_it_is_booked_and_its_number_is_never_given_again() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, 1);
    journal.append(&answered(1)).unwrap();
    journal.rotate().unwrap();
    journal.booked(Name::new(1, 9));
    assert_eq!(journal.unbooked().len(), 1, "another boot's is another");
    journal.booked(Name::new(1, 1));
    assert!(journal.unbooked().is_empty());
    assert_eq!(files(&dir), 2, "the one that is written to, and the lock");
    drop(journal);
    let (journal, seen) = open(&dir, 2);
    assert!(seen.is_empty() && journal.unbooked().is_empty());
    journal.append(&answered(2)).unwrap();
    assert_eq!(journal.rotate().unwrap(), 4);
    assert_eq!(journal.unbooked(), [Name::new(3, 2)]);
}

#[test]
fn who_looks_from_outside_sees_whether_anything_is_owed() {
    let dir = TempDir::new().unwrap();
    let owes = || has_unbooked(dir.path()).unwrap();
    let (journal, _) = open(&dir, 1);
    assert!(!owes(), "nothing was answered yet");
    journal.append(&answered(1)).unwrap();
    drop(journal);
    assert!(owes());
    let (journal, _) = open(&dir, 2);
    journal.booked(Name::new(1, 1));
    drop(journal);
    assert!(!owes());
    let (journal, _) = open(&dir, 3);
    journal.append(&answered(2)).unwrap();
    journal.rotate().unwrap();
    drop(journal);
    assert!(owes(), "closed is not booked");
}

#[test]
fn two_processes_do_not_write_one_journal() {
    let dir = TempDir::new().unwrap();
    let first = open(&dir, 1).0;
    let second = Journal::open(dir.path(), 2, u64::MAX, |_, _| ());
    let kind = second.err().map(|error| error.kind());
    assert_eq!(kind, Some(io::ErrorKind::WouldBlock));
    drop(first);
    assert!(Journal::open(dir.path(), 2, u64::MAX, |_, _| ()).is_ok());
}

#[test]
fn what_is_booked_can_be_kept_for_a_checkpoint() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, 1);
    journal.keep_from(0);
    journal.append(&answered(1)).unwrap();
    journal.rotate().unwrap();
    journal.booked(Name::new(1, 1));
    drop(journal);
    let mut seen = 0;
    let journal = Journal::open(dir.path(), 2, 0, |_, _| seen += 1).unwrap();
    assert_eq!(seen, 1);
    assert!(journal.unbooked().is_empty(), "it is not sent again");
    journal.keep_from(2);
    drop(journal);
    let journal = Journal::open(dir.path(), 3, 0, |_, _| seen += 1).unwrap();
    assert_eq!(seen, 1);
    assert!(journal.is_empty());
}

#[test]
fn a_torn_entry_is_dropped_and_what_is_before_it_stays() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, 1);
    journal.append(&answered(1)).unwrap();
    journal.append(&answered(2)).unwrap();
    drop(journal);
    let path = Name::new(1, 1).path(dir.path(), false);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(open(&dir, 2).1, [(1, answered(1))]);
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    assert_eq!(open(&dir, 3).1, [(1, answered(1))]);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(open(&dir, 4).1, [(1, answered(1)), (1, answered(2))]);
}

#[test]
fn a_full_disk_is_noticed_and_its_end_too() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, 1);
    journal.append(&answered(1)).unwrap();
    let good = {
        let full = File::options().append(true).open("/dev/full").unwrap();
        std::mem::replace(&mut lock(&journal.active).file, full)
    };
    assert_eq!(journal.append(&answered(2)), Err(Unwritable));
    assert!(!journal.is_writable());
    assert!(lock(&journal.active).torn, "a device cannot be cut back");
    drop(good);
    journal.probe();
    assert!(journal.is_writable());
    journal.append(&answered(3)).unwrap();
    drop(journal);
    assert_eq!(open(&dir, 2).1, [(1, answered(1)), (2, answered(3))]);
}

#[test]
fn a_failed_probe_lets_nothing_through() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, 1);
    let full = || File::options().append(true).open("/dev/full").unwrap();
    lock(&journal.active).file = full();
    assert_eq!(journal.append(&answered(1)), Err(Unwritable));
    {
        let mut active = lock(&journal.active);
        active.torn = false;
        active.file = full();
    }
    journal.probe();
    assert!(!journal.is_writable());
}

#[test]
fn what_was_half_written_is_taken_back() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x");
    let read_only = {
        std::fs::write(&path, b"before").unwrap();
        File::open(&path).unwrap()
    };
    let mut active = Active {
        sequence: 1,
        file: read_only,
        length: 6,
        torn: false,
    };
    assert!(active.write(b"entry").is_err());
    active.file = File::options().append(true).open(&path).unwrap();
    active.torn = false;
    active.write(b" after").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"before after");
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u64>().prop_map(|bytes| Change::Stored { bytes }),
        any::<(u64, u64)>().prop_map(|(what, bytes)| Change::Freed { what, bytes }),
        any::<(u64, u64)>().prop_map(|(upload, bytes)| Change::Part { upload, bytes }),
        any::<(u64, Option<u64>)>().prop_map(|(upload, bytes)| Change::Completed { upload, bytes }),
        any::<u64>().prop_map(|upload| Change::Aborted { upload }),
    ]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let class = prop_oneof![
        Just(RequestClass::A),
        Just(RequestClass::B),
        Just(RequestClass::Free),
        Just(RequestClass::Unknown),
    ];
    let numbers = any::<(u32, u128, u128, u64, u64, u64)>();
    let changes = proptest::collection::vec(any_change(), 0..4);
    (numbers, "[A-Z0-9]{0,20}", class, changes).prop_map(
        |((hour, tenant, bucket, requests, bytes_in, bytes_out), access_key_id, class, changes)| {
            Entry::Answered(Answered {
                hour,
                tenant,
                bucket,
                access_key_id: access_key_id.into(),
                class,
                requests,
                bytes_in,
                bytes_out,
                changes,
            })
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(entries in proptest::collection::vec(any_entry(), 0..8), cut in any::<prop::sample::Index>()) {
        let dir = TempDir::new().unwrap();
        let (journal, _) = open(&dir, 1);
        journal.append_all(&entries).unwrap();
        drop(journal);
        let path = Name::new(1, 1).path(dir.path(), false);
        let bytes = std::fs::read(&path).unwrap();
        prop_assert_eq!(&segment::parse(&bytes).entries, &entries);
        let cut = segment::parse(&bytes[..cut.index(bytes.len() + 1)]);
        prop_assert!(entries.starts_with(&cut.entries));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"VTJRNL01".to_vec();
        file.extend_from_slice(&bytes);
        segment::parse(&file);
        Entry::decode(&bytes);
    }
}
