//! How much is granted to whom: pure figures. Used and outstanding together never grow beyond the limit by a grant.

use wire::Resource;

/// How one quota stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub limit: u64,
    /// Below 0 while what was deleted is booked and what was stored is not yet.
    pub used: i64,
    /// What nodes may still use, all together.
    pub outstanding: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// 0: the node has what it should have.
    Grant(u64),
    /// `held`: by what is used alone it would fit.
    Refuse { held: bool },
}

impl Standing {
    pub(crate) fn available(&self) -> u64 {
        let taken = i128::from(self.used) + i128::from(self.outstanding);
        let left = i128::from(self.limit) - taken;
        // What is booked as negative is not there to be used twice.
        u64::try_from(left.clamp(0, i128::from(self.limit))).unwrap_or(0)
    }

    /// Whether `need` more would be within the limit if nobody held anything.
    fn fits(&self, need: u64) -> bool {
        i128::from(self.used.max(0)) + i128::from(need) <= i128::from(self.limit)
    }

    /// `need` is what a request at hand needs and `want` what of it the node lacks; both 0: the node lays in stock.
    /// `own` is what the node has outstanding, `nodes` how many are connected.
    pub(crate) fn decide(
        &self,
        resource: Resource,
        need: u64,
        want: u64,
        own: u64,
        nodes: usize,
    ) -> Decision {
        let available = self.available();
        let stock = stock(resource, available, nodes);
        if need == 0 && want == 0 {
            return Decision::Grant(stock.saturating_sub(own));
        }
        if want <= available {
            return Decision::Grant(want.max(stock));
        }
        Decision::Refuse {
            held: self.fits(need.max(want)),
        }
    }
}

/// What a node should have beyond the request at hand: so little near the limit that what one node holds is not missed
/// by the others, and so much far from it that nodes seldom ask.
pub(crate) fn stock(resource: Resource, available: u64, nodes: usize) -> u64 {
    let most = match resource {
        Resource::StoredBytes | Resource::EgressBytes => 1 << 30,
        Resource::Objects => 10_000,
        Resource::Unknown => 0,
    };
    let nodes = u64::try_from(nodes.max(1)).unwrap_or(u64::MAX);
    (available / nodes.saturating_mul(4)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: Resource = Resource::StoredBytes;

    fn standing(limit: u64, used: i64, outstanding: u64) -> Standing {
        Standing {
            limit,
            used,
            outstanding,
        }
    }

    #[test]
    fn the_last_byte_is_granted_and_not_the_one_behind_it() {
        let full = standing(100, 60, 30);
        assert_eq!(full.decide(BYTES, 10, 10, 0, 3), Decision::Grant(10));
        assert_eq!(
            full.decide(BYTES, 11, 11, 0, 3),
            Decision::Refuse { held: true }
        );
        assert_eq!(
            full.decide(BYTES, 41, 41, 0, 3),
            Decision::Refuse { held: false }
        );
        // The node has 5 of what it needs: the request would fit only without the others.
        assert_eq!(
            full.decide(BYTES, 40, 35, 5, 3),
            Decision::Refuse { held: true }
        );
    }

    #[test]
    fn stock_is_laid_in_up_to_a_share() {
        let empty = standing(1200, 0, 0);
        assert_eq!(empty.decide(BYTES, 0, 0, 0, 3), Decision::Grant(100));
        assert_eq!(empty.decide(BYTES, 0, 0, 40, 3), Decision::Grant(60));
        assert_eq!(empty.decide(BYTES, 0, 0, 400, 3), Decision::Grant(0));
        assert_eq!(empty.decide(BYTES, 1, 1, 0, 3), Decision::Grant(100));
        assert_eq!(stock(BYTES, u64::MAX, 3), 1 << 30);
        assert_eq!(stock(Resource::Unknown, u64::MAX, 3), 0);
    }

    #[test]
    fn what_is_booked_below_nothing_does_not_enlarge_the_quota() {
        assert_eq!(standing(100, -50, 0).available(), 100);
        assert_eq!(standing(100, -50, 120).available(), 30);
    }

    proptest! {
        #[test]
        fn no_grant_goes_beyond_the_limit(
            limit in 0..=i64::MAX as u64, used in i64::MIN / 2..i64::MAX / 2, outstanding in 0..i64::MAX as u64,
            need in any::<u64>(), want in any::<u64>(), own in any::<u64>(), nodes in 0_usize..50,
        ) {
            let standing = standing(limit, used, outstanding);
            if let Decision::Grant(granted) = standing.decide(BYTES, need, want, own, nodes) {
                let after = i128::from(used) + i128::from(outstanding) + i128::from(granted);
                prop_assert!(granted == 0 || after <= i128::from(limit));
                prop_assert!(granted >= want);
            }
        }
    }
}
