//! Random histories: whatever happens in whatever order, what there is now is what there was and what came and went.

use proptest::prelude::*;

use super::*;
use crate::billing::ladder::{Dispute, Subscription, SubscriptionState};

fn time(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + hours * 3600, 0).unwrap()
}

fn step(tenant: u128, hours: i64, currency: &str, cents: i64, trial: bool) -> Step {
    Step {
        tenant: TenantId(uuid::Uuid::from_u128(tenant)),
        at: time(hours),
        plan: "business".to_owned(),
        version: 1,
        currency: currency.to_owned(),
        cents,
        trial_ends_at: trial.then(|| time(hours + 14 * 24)),
    }
}

fn histories() -> impl Strategy<Value = Vec<Step>> {
    let price = prop_oneof![3 => Just(0), 3 => Just(149_900), 1 => 1..1_000_000_i64];
    let one = (0..8_u128, 0..1000_i64, 0..2_usize, price, any::<bool>());
    let one = one.prop_map(|(tenant, hours, currency, cents, trial)| {
        step(tenant, hours, ["usd", "eur"][currency], cents, trial)
    });
    prop::collection::vec(one, 0..80).prop_map(in_order)
}

/// Told another way: each tenant's last step by then.
fn mrr(steps: &[Step], currency: &str, at: DateTime<Utc>) -> (i64, i64) {
    let mut sums = (0, 0);
    for tenant in 0..8_u128 {
        let id = TenantId(uuid::Uuid::from_u128(tenant));
        let of = |step: &&Step| step.tenant == id && step.at <= at;
        let last = steps.iter().rev().find(of);
        if let Some(step) = last.filter(|step| step.currency == currency && step.cents > 0) {
            sums = (sums.0 + step.cents, sums.1 + 1);
        }
    }
    sums
}

proptest! {
    #[test]
    fn what_came_and_went_is_the_difference(
        steps in histories(), mut cuts in prop::collection::vec(-10..1100_i64, 2..6),
    ) {
        cuts.sort_unstable();
        let moments: Vec<DateTime<Utc>> = cuts.into_iter().map(time).collect();
        for currency in ["usd", "eur", "chf"] {
            let parts = intervals(&steps, currency, &moments);
            prop_assert_eq!(parts.len(), moments.len() - 1);
            for part in &parts {
                let (opening, closing) = (mrr(&steps, currency, part.from), mrr(&steps, currency, part.to));
                prop_assert_eq!(part.opening_cents, opening.0);
                prop_assert_eq!((part.closing_cents, part.closing_tenants), closing);
                let moved = part.movement;
                prop_assert_eq!(closing.0 - opening.0, moved.net_cents());
                prop_assert_eq!(closing.1 - opening.1, moved.new_tenants - moved.lost_tenants);
                let figures = [
                    moved.new_cents, moved.new_tenants, moved.expansion_cents, moved.contraction_cents,
                    moved.lost_cents, moved.lost_tenants,
                ];
                prop_assert!(figures.iter().all(|figure| *figure >= 0));
                prop_assert_eq!(moved.lost_tenants as usize, lost(&steps, currency, (part.from, part.to)).len());
                let gone: i64 = lost(&steps, currency, (part.from, part.to)).iter().map(|(_, cents)| cents).sum();
                prop_assert_eq!(gone, moved.lost_cents);
            }
            // Months add up to the year.
            let whole = intervals(&steps, currency, &[moments[0], moments[moments.len() - 1]])[0].movement;
            let sum = |figure: fn(&Movement) -> i64| parts.iter().map(|part| figure(&part.movement)).sum::<i64>();
            prop_assert_eq!(whole.new_cents, sum(|m| m.new_cents));
            prop_assert_eq!(whole.lost_cents, sum(|m| m.lost_cents));
            prop_assert_eq!(whole.expansion_cents, sum(|m| m.expansion_cents));
            prop_assert_eq!(whole.contraction_cents, sum(|m| m.contraction_cents));
            // Whoever pays now is what there is now.
            let now: i64 = paying(&steps, currency).iter().map(|step| step.cents).sum();
            prop_assert_eq!(now, mrr(&steps, currency, time(2000)).0);
        }
    }

    #[test]
    fn nobody_is_converted_twice(steps in histories(), cut in 0..1000_i64) {
        let all = converted(&steps, (time(-1), time(2000)));
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), all.len());
        let parts = converted(&steps, (time(-1), time(cut))).len() + converted(&steps, (time(cut), time(2000))).len();
        prop_assert_eq!(parts, all.len());
    }
}

#[test]
fn each_way_to_move_has_its_name() {
    let steps = [
        step(1, 0, "usd", 0, true),
        step(2, 0, "usd", 1000, false),
        step(1, 10, "usd", 500, false),
        step(2, 11, "usd", 1500, false),
        step(2, 12, "usd", 1200, false),
        step(1, 13, "usd", 0, false),
        step(2, 14, "eur", 900, false),
    ];
    let usd = intervals(&steps, "usd", &[time(5), time(20)])[0];
    assert_eq!((usd.opening_cents, usd.closing_cents), (1000, 0));
    assert_eq!(
        usd.movement,
        Movement {
            new_cents: 500,
            new_tenants: 1,
            expansion_cents: 500,
            contraction_cents: 300,
            lost_cents: 1700,
            lost_tenants: 2,
        }
    );
    let eur = intervals(&steps, "eur", &[time(5), time(20)])[0];
    assert_eq!((eur.opening_cents, eur.closing_cents), (0, 900));
    assert_eq!(eur.movement.new_tenants, 1);
    let first = TenantId(uuid::Uuid::from_u128(1));
    assert_eq!(converted(&steps, (time(5), time(20))), [first]);
    assert!(converted(&steps, (time(10), time(20))).is_empty());
}

#[test]
fn revenue_is_what_is_paid_and_not_what_is_hoped_for() {
    let now = time(1000);
    let days = |days: i64| now + chrono::Duration::days(days);
    let facts = Facts {
        price_cents: 149_900,
        terms_since: days(-60),
        trial_ends_at: None,
        paid_until: None,
        subscription: None,
    };
    let by_hand = |until| {
        monthly(
            &Facts {
                paid_until: Some(until),
                ..facts.clone()
            },
            now,
        )
    };
    let trial = Facts {
        trial_ends_at: Some(days(3)),
        ..facts.clone()
    };
    assert_eq!(monthly(&facts, now), 0, "nobody has paid");
    assert_eq!(monthly(&trial, now), 0, "on a trial");
    assert_eq!(by_hand(days(10)), 149_900);
    assert_eq!(
        by_hand(days(-6)),
        149_900,
        "owed, and nothing is taken away yet"
    );
    assert_eq!(by_hand(days(-8)), 0, "read-only");
    let paid_in_trial = Facts {
        paid_until: Some(days(-8)),
        ..trial
    };
    assert_eq!(
        monthly(&paid_in_trial, now),
        0,
        "a trial does not pay for what is owed"
    );
    let by_stripe = |state, since, dispute| {
        let subscription = Subscription {
            state,
            since,
            refunded_at: None,
            dispute,
        };
        monthly(
            &Facts {
                subscription: Some(subscription),
                ..facts.clone()
            },
            now,
        )
    };
    assert_eq!(
        by_stripe(SubscriptionState::Active, days(-60), None),
        149_900
    );
    assert_eq!(
        by_stripe(SubscriptionState::PastDue, days(-3), None),
        149_900
    );
    assert_eq!(by_stripe(SubscriptionState::PastDue, days(-8), None), 0);
    assert_eq!(by_stripe(SubscriptionState::Canceled, days(-1), None), 0);
    assert_eq!(by_stripe(SubscriptionState::Unpaid, days(-1), None), 0);
    assert_eq!(by_stripe(SubscriptionState::Void, days(-1), None), 0);
    let lost = Some((Dispute::Lost, days(-1)));
    assert_eq!(by_stripe(SubscriptionState::Active, days(-60), lost), 0);
    let free = Facts {
        price_cents: 0,
        paid_until: Some(days(10)),
        ..facts.clone()
    };
    assert_eq!(monthly(&free, now), 0);
}
