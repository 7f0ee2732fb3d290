//! Who should have how much of one tenant's limit: to each node its demand, and what is left by the floors; where more is
//! demanded than there is, in proportion to demand. A node that nobody asks keeps a little, so that a first request passes.

use wire::{WHOLE, units};

/// What all idle nodes together may keep, where others want more.
const IDLE: u64 = WHOLE as u64 / 50;
/// Targets that differ less than this from what is told are not worth telling.
const COARSE: u64 = WHOLE as u64 / 20;
const FINE: u64 = WHOLE as u64 / 100;

/// What is known of one node that can be told its share. Parts per billion of the limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub demand: u64,
    pub floor: u32,
    /// What it was told last.
    pub share: u32,
}

/// Shares of `total`. `count`: the limit, where only whole numbers of it are of use.
pub(crate) fn targets(claims: &[Claim], total: u32, count: Option<u32>) -> Vec<u32> {
    if claims.is_empty() {
        return Vec::new();
    }
    let mut targets = divide(claims, u64::from(total));
    if let Some(count) = count {
        quantize(&mut targets, claims, total, count);
    }
    if is_good_enough(claims, &targets, u64::from(total)) {
        return claims.iter().map(|claim| claim.share).collect();
    }
    targets
        .into_iter()
        .map(|target| u32::try_from(target).unwrap_or(total))
        .collect()
}

/// What each node keeps at least.
fn least(claims: &[Claim], total: u64) -> u64 {
    IDLE.min(total / 4) / (claims.len() as u64).max(1)
}

fn divide(claims: &[Claim], total: u64) -> Vec<u64> {
    let nodes = claims.len() as u64;
    let least = least(claims, total);
    let wanted: Vec<u64> = claims.iter().map(|claim| claim.demand.max(least)).collect();
    let sum: u64 = wanted.iter().sum();
    if sum <= total {
        let floors: u64 = claims.iter().map(|claim| u64::from(claim.floor)).sum();
        let slack = total - sum;
        return wanted
            .iter()
            .zip(claims)
            .map(|(wanted, claim)| {
                wanted
                    + (slack * u64::from(claim.floor))
                        .checked_div(floors)
                        .unwrap_or(slack / nodes)
            })
            .collect();
    }
    // Nobody's part falls below the least; the others pay for it.
    let mut small: Vec<bool> = claims.iter().map(|claim| claim.demand <= least).collect();
    loop {
        let idle = small.iter().filter(|small| **small).count() as u64;
        let rest = total - (idle * least).min(total);
        let demand: u128 = claims
            .iter()
            .zip(&small)
            .filter(|(_, small)| !**small)
            .map(|(claim, _)| u128::from(claim.demand))
            .sum();
        let part = |claim: &Claim| {
            let part = u128::from(claim.demand) * u128::from(rest) / demand.max(1);
            u64::try_from(part).unwrap_or(rest)
        };
        let below = claims
            .iter()
            .zip(&small)
            .position(|(claim, small)| !*small && part(claim) < least);
        match below.and_then(|at| small.get_mut(at)) {
            Some(small) => *small = true,
            None => {
                return claims
                    .iter()
                    .zip(&small)
                    .map(|(claim, small)| if *small { least } else { part(claim) })
                    .collect();
            }
        }
    }
}

/// Whole numbers of the limit, as many as there are: those who lost most by rounding, and ask for it, first.
fn quantize(targets: &mut [u64], claims: &[Claim], total: u32, count: u32) {
    let (whole, count64) = (u64::from(WHOLE), u64::from(count.max(1)));
    let mut numbers: Vec<u64> = targets
        .iter()
        .map(|target| target * count64 / whole)
        .collect();
    let mut left = u64::from(units(total, count)).saturating_sub(numbers.iter().sum());
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by_key(|at| {
        let (target, claim) = (targets.get(*at), claims.get(*at));
        let idle = claim.is_none_or(|claim| claim.demand == 0);
        (
            idle,
            std::cmp::Reverse(target.map_or(0, |target| target * count64 % whole)),
        )
    });
    for at in order {
        if let Some(number) = numbers.get_mut(at).filter(|_| left > 0) {
            *number += 1;
            left -= 1;
        }
    }
    for (target, number) in targets.iter_mut().zip(numbers) {
        *target = number * whole / count64;
    }
}

/// Whether what is told already serves nearly as much, and nearly as fairly.
fn is_good_enough(claims: &[Claim], targets: &[u64], total: u64) -> bool {
    let told: u64 = claims.iter().map(|claim| u64::from(claim.share)).sum();
    let met = |share: u64, claim: &Claim| share.min(claim.demand);
    let now: u64 = claims
        .iter()
        .map(|claim| met(claim.share.into(), claim))
        .sum();
    let then: u64 = claims
        .iter()
        .zip(targets)
        .map(|(claim, target)| met(*target, claim))
        .sum();
    let near = claims
        .iter()
        .zip(targets)
        .all(|(claim, target)| u64::from(claim.share).abs_diff(*target) <= COARSE);
    // A first request must find something.
    let least = least(claims, total);
    let idle = claims
        .iter()
        .zip(targets)
        .all(|(claim, target)| u64::from(claim.share) >= (*target).min(least / 2));
    told <= total && total - told <= FINE && now + FINE >= then && near && idle
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const W: u64 = WHOLE as u64;

    fn claims(demands: &[u64]) -> Vec<Claim> {
        let floor = WHOLE / demands.len() as u32;
        demands
            .iter()
            .map(|demand| Claim {
                demand: *demand,
                floor,
                share: floor,
            })
            .collect()
    }

    fn percent(demands: &[u64]) -> Vec<u32> {
        let targets = targets(&claims(demands), WHOLE, None);
        targets
            .iter()
            .map(|target| target / (WHOLE / 100))
            .collect()
    }

    #[test]
    fn demand_is_met_and_the_rest_divided_by_the_floors() {
        assert_eq!(percent(&[W / 2, 0, 0]), [66, 16, 16]);
    }

    #[test]
    fn too_much_demand_is_met_in_proportion_and_idle_nodes_keep_a_little() {
        assert_eq!(percent(&[10 * W, 0, 0]), [98, 0, 0]);
        assert_eq!(percent(&[8 * W, W * 3 / 2, W / 2]), [80, 15, 5]);
    }

    #[test]
    fn small_numbers_come_out_whole() {
        for (demands, expected) in [([W, 0, 0], [2, 0, 0]), ([W, W, 0], [1, 1, 0])] {
            let targets = targets(&claims(&demands), WHOLE, Some(2));
            let numbers: Vec<u32> = targets.iter().map(|target| units(*target, 2)).collect();
            assert_eq!(numbers, expected);
        }
    }

    #[test]
    fn a_little_change_is_not_worth_telling() {
        let mut before = claims(&[3 * W, W, W]);
        for (claim, share) in before.iter_mut().zip([WHOLE / 5 * 3, WHOLE / 5, WHOLE / 5]) {
            claim.share = share;
        }
        before[0].demand += W / 10;
        let shares: Vec<u32> = before.iter().map(|claim| claim.share).collect();
        assert_eq!(targets(&before, WHOLE, None), shares);
        before[0].demand += 3 * W;
        assert_ne!(targets(&before, WHOLE, None), shares);
    }

    proptest! {
        #[test]
        fn targets_never_exceed_the_total_and_leave_little(
            demands in prop::collection::vec(prop_oneof![Just(0), 0..20 * W, 0..W / 50], 1..8),
            total in W / 10..=W,
            count in prop::option::of(1u32..5000),
        ) {
            let mut claims = claims(&demands);
            for claim in &mut claims {
                claim.share = 0;
            }
            let total = total as u32;
            let targets = targets(&claims, total, count);
            let sum: u64 = targets.iter().map(|target| u64::from(*target)).sum();
            prop_assert!(sum <= u64::from(total));
            let lost = count.map_or(0, |count| W / u64::from(count)) + 100;
            prop_assert!(sum + lost >= u64::from(total), "{sum} of {total}");
        }
    }
}
