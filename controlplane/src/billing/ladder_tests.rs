use super::*;
use proptest::prelude::*;

fn day(number: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::days(20_000 + number)
}

fn business() -> Facts {
    Facts {
        price_cents: 149_900,
        terms_since: day(0),
        trial_ends_at: None,
        paid_until: None,
        subscription: None,
    }
}

fn subscribed(state: SubscriptionState) -> Facts {
    let subscription = Subscription {
        state,
        since: day(0),
        refunded_at: None,
        dispute: None,
    };
    Facts {
        subscription: Some(subscription),
        ..business()
    }
}

/// The rung on each of these days.
fn walk(facts: &Facts, days: &[i64]) -> Vec<Rung> {
    days.iter().map(|d| standing(facts, day(*d)).rung).collect()
}

use Rung::{Ending, Good, Owing, ReadOnly, Suspended};

#[test]
fn a_trial_is_announced_then_read_only_then_suspended() {
    let trial = Facts {
        price_cents: 0,
        trial_ends_at: Some(day(14)),
        ..business()
    };
    let days = [0, 10, 11, 13, 14, 27, 28, 400];
    let rungs = [
        Good, Good, Ending, Ending, ReadOnly, ReadOnly, Suspended, Suspended,
    ];
    assert_eq!(walk(&trial, &days), rungs);
    let at_end = standing(&trial, day(14));
    assert_eq!(at_end.next, Some((Suspended, day(28))));
    assert_eq!(
        at_end.kept_until,
        Some(day(74)),
        "60 days, whatever happens"
    );
    assert_eq!(standing(&trial, day(11)).next, Some((ReadOnly, day(14))));
}

#[test]
fn an_invoice_by_hand_is_announced_then_waited_for() {
    let paid = Facts {
        paid_until: Some(day(30)),
        ..business()
    };
    let days = [0, 22, 23, 29, 30, 36, 37, 50, 51];
    let rungs = [
        Good, Good, Ending, Ending, Owing, Owing, ReadOnly, ReadOnly, Suspended,
    ];
    assert_eq!(walk(&paid, &days), rungs);
    // Nobody has ever paid: it is owed from the day of the plan.
    assert_eq!(
        walk(&business(), &[0, 6, 7, 21]),
        [Owing, Owing, ReadOnly, Suspended]
    );
}

#[test]
fn paying_puts_everything_right_at_once() {
    let mut owing = business();
    assert_eq!(standing(&owing, day(30)).rung, Suspended);
    owing.paid_until = Some(day(60));
    assert_eq!(standing(&owing, day(30)).rung, Good);
    let mut failed = subscribed(SubscriptionState::Unpaid);
    assert_eq!(standing(&failed, day(20)).rung, Suspended);
    failed.subscription = subscribed(SubscriptionState::Active).subscription;
    assert_eq!(standing(&failed, day(20)).rung, Good);
}

#[test]
fn each_state_of_a_subscription_has_its_steps() {
    let days = [0, 6, 7, 13, 14, 20, 21];
    let of = |state| walk(&subscribed(state), &days);
    assert_eq!(of(SubscriptionState::Active), [Good; 7]);
    let waited = [
        Owing, Owing, ReadOnly, ReadOnly, ReadOnly, ReadOnly, Suspended,
    ];
    assert_eq!(of(SubscriptionState::PastDue), waited);
    let over = [
        ReadOnly, ReadOnly, ReadOnly, ReadOnly, Suspended, Suspended, Suspended,
    ];
    assert_eq!(of(SubscriptionState::Unpaid), over);
    assert_eq!(of(SubscriptionState::Canceled), over);
    // A checkout that was begun and not paid entitles to nothing.
    let begun = standing(&subscribed(SubscriptionState::Void), day(3));
    assert_eq!((begun.rung, begun.reason), (Owing, Reason::NeverPaid));
}

#[test]
fn money_that_goes_back_counts_from_the_day_on_which_it_went() {
    let with = |dispute, refunded_at| {
        let mut facts = subscribed(SubscriptionState::Active);
        facts.subscription = facts.subscription.map(|s| Subscription {
            dispute,
            refunded_at,
            ..s
        });
        facts
    };
    let open = with(Some((Dispute::Open, day(5))), None);
    assert_eq!(
        walk(&open, &[5, 90]),
        [Owing, Owing],
        "nothing is taken before it is decided"
    );
    let lost = with(Some((Dispute::Lost, day(5))), None);
    assert_eq!(walk(&lost, &[5, 19]), [ReadOnly, Suspended]);
    let won = with(Some((Dispute::Won, day(5))), None);
    assert_eq!(walk(&won, &[5, 90]), [Good, Good]);
    let refunded = with(None, Some(day(5)));
    assert_eq!(walk(&refunded, &[5, 12, 26]), [Owing, ReadOnly, Suspended]);
}

#[test]
fn the_best_of_what_entitles_counts() {
    let mut both = subscribed(SubscriptionState::Canceled);
    both.paid_until = Some(day(100));
    assert_eq!(walk(&both, &[0, 50, 99]), [Good, Good, Ending]);
    let free = Facts {
        price_cents: 0,
        ..business()
    };
    assert_eq!(walk(&free, &[0, 1000]), [Good, Good]);
}

fn facts() -> impl Strategy<Value = Facts> {
    let moment = || proptest::option::of((-30i64..60).prop_map(day));
    let state = prop_oneof![
        Just(SubscriptionState::Active),
        Just(SubscriptionState::PastDue),
        Just(SubscriptionState::Unpaid),
        Just(SubscriptionState::Canceled),
        Just(SubscriptionState::Void),
    ];
    let dispute = prop_oneof![Just(Dispute::Open), Just(Dispute::Lost), Just(Dispute::Won)];
    let dispute = proptest::option::of((dispute, (-30i64..60).prop_map(day)));
    let subscription = (state, (-30i64..60).prop_map(day), moment(), dispute).prop_map(
        |(state, since, refunded_at, dispute)| Subscription {
            state,
            since,
            refunded_at,
            dispute,
        },
    );
    let subscription = proptest::option::of(subscription);
    (0i64..2, -30i64..60, moment(), moment(), subscription).prop_map(
        |(price, since, trial_ends_at, paid_until, subscription)| Facts {
            price_cents: price * 149_900,
            terms_since: day(since),
            trial_ends_at,
            paid_until,
            subscription,
        },
    )
}

proptest! {
    /// Time alone never makes anything better, and what is said to come next comes then.
    #[test]
    fn it_only_goes_down_and_as_announced(facts in facts(), now in -40i64..100, later in 1i64..200) {
        let (here, there) = (standing(&facts, day(now)), standing(&facts, day(now + later)));
        prop_assert!(here.rung <= there.rung);
        if let Some((rung, at)) = here.next {
            let before = standing(&facts, at - Duration::seconds(1));
            prop_assert!(before.rung < rung || here.rung == before.rung);
            prop_assert!(standing(&facts, at).rung <= rung);
        }
        if here.rung >= Rung::Owing {
            let due = here.due_at.unwrap();
            prop_assert_eq!(here.kept_until, Some(due + KEEP));
        }
    }
}
