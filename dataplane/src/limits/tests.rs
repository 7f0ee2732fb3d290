use super::*;

fn limits(rate: u32, burst: u32) -> Limits {
    Limits {
        requests_per_second: rate,
        burst,
        concurrent_requests: Some(10),
        bytes_per_second: None,
        quota_bytes: None,
        quota_objects: None,
        quota_egress_bytes: None,
    }
}

fn allotment(number: i64, floor: u32, tenants: &[(&str, Option<u32>)]) -> Allotment {
    Allotment {
        draining: false,
        number,
        floor,
        hold_seconds: 600,
        whole: false,
        tenants: tenants
            .iter()
            .map(|(id, share)| TenantShares {
                tenant_id: (*id).to_owned(),
                number,
                shares: share.map(Shares::all),
            })
            .collect(),
    }
}

fn burst(limiters: &Limiters, id: &str, now: Instant) -> usize {
    (0..10_000)
        .take_while(|_| limiters.admit(id, &limits(1, 100), now).is_ok())
        .count()
}

#[test]
fn a_node_that_was_told_nothing_holds_everything_and_then_what_it_was_told() {
    let now = Instant::now();
    let limiters = Limiters::default();
    assert_eq!(burst(&limiters, "a", now), 100);
    let answer = limiters
        .apply(&allotment(1, WHOLE / 2, &[("b", Some(WHOLE / 10))]), now)
        .unwrap();
    assert_eq!((answer.number, answer.floor), (1, WHOLE / 2));
    assert_eq!(answer.tenants[0].shares, Shares::all(WHOLE / 10));
    assert_eq!(burst(&limiters, "b", now), 10);
    assert_eq!(burst(&limiters, "c", now), 50);
    let answer = limiters.apply(&allotment(2, WHOLE / 2, &[("b", None)]), now);
    assert_eq!(answer.unwrap().tenants[0].shares, Shares::all(WHOLE / 2));
    assert_eq!(burst(&limiters, "b", now), 0, "growth brings no tokens");
}

#[test]
fn an_older_word_changes_nothing() {
    let now = Instant::now();
    let limiters = Limiters::default();
    let told = |number, share| allotment(number, share, &[("a", Some(share))]);
    limiters.apply(&told(5, WHOLE / 4), now).unwrap();
    let answer = limiters.apply(&told(4, WHOLE), now).unwrap();
    assert_eq!(answer.floor, WHOLE / 4);
    assert_eq!(answer.tenants[0].shares, Shares::all(WHOLE / 4));
}

#[test]
fn what_exceeds_the_floor_is_given_up_when_the_control_plane_was_silent_for_the_hold() {
    let now = Instant::now();
    let limiters = Limiters::default();
    let tenants = [("more", Some(WHOLE)), ("less", Some(WHOLE / 10))];
    limiters
        .apply(&allotment(1, WHOLE / 2, &tenants), now)
        .unwrap();
    assert_eq!(burst(&limiters, "more", now), 100);
    let minute = Duration::from_secs(60);
    limiters.heard(now + minute);
    let (held, over) = (now + 10 * minute, now + 12 * minute);
    assert_eq!(burst(&limiters, "more", held), 100);
    assert_eq!(burst(&limiters, "more", over), 50);
    assert_eq!(burst(&limiters, "less", over), 10);
}

#[test]
fn a_restart_begins_with_the_floor_or_less() {
    let dir = tempfile::tempdir().unwrap();
    let now = Instant::now();
    let begin = || {
        let limiters = Limiters::default();
        limiters.load(dir.path(), true);
        limiters
    };
    assert!(!begin().has_share(), "what it held is not known");
    let new = Limiters::default();
    new.load(dir.path(), false);
    assert_eq!(new.floor(), WHOLE);
    let tenants = [("more", Some(WHOLE)), ("less", Some(WHOLE / 10))];
    begin()
        .apply(&allotment(7, WHOLE / 2, &tenants), now)
        .unwrap();
    let again = begin();
    assert_eq!(burst(&again, "more", now), 50);
    assert_eq!(burst(&again, "less", now), 10);
    std::fs::write(dir.path().join("shares.json"), "{").unwrap();
    assert!(!begin().has_share());
}

#[test]
fn what_is_under_way_is_held_until_it_has_ended() {
    let now = Instant::now();
    let limiters = Limiters::default();
    let mut under_way: Vec<_> = (0..8)
        .map(|_| limiters.admit("a", &limits(100, 100), now).unwrap())
        .collect();
    let answer = limiters
        .apply(&allotment(1, WHOLE, &[("a", Some(WHOLE / 5))]), now)
        .unwrap();
    assert_eq!(answer.tenants[0].shares.concurrency, 800_000_000);
    assert_eq!(limiters.drained(), None);
    under_way.truncate(5);
    let said = |limiters: &Limiters| limiters.drained().unwrap().tenants[0].shares.concurrency;
    assert_eq!(said(&limiters), WHOLE / 2);
    under_way.clear();
    assert_eq!(said(&limiters), WHOLE / 5);
    assert_eq!(limiters.drained(), None);
}

#[test]
fn who_was_not_here_lately_is_forgotten() {
    let mut now = Instant::now();
    let limiters = Limiters::default();
    drop(limiters.admit("a", &limits(100, 100), now));
    assert_eq!(limiters.live.len(), 1);
    for _ in 0..6 {
        now += Duration::from_secs(1);
        limiters.sample(now);
    }
    assert_eq!(limiters.live.len(), 0);
}

#[test]
fn twelve_thousand_tenants_keep_their_limits() {
    let now = Instant::now();
    let limiters = Limiters::default();
    let spend = |i: u32| {
        let id = format!("{i:032x}");
        limiters.admit(&id, &limits(1, 1), now).is_ok()
    };
    assert!(spend(0));
    for i in 1..12_000 {
        assert!(spend(i), "tenant {i} has its own limit");
    }
    limiters.sample(now);
    assert!(!spend(0), "the first tenant's limit was forgotten");
}
