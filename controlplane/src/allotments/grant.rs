//! One figure, divided among nodes: what each was told, and what each may hold until it has said otherwise. What is taken
//! from one is given to another only when the first has acknowledged it.

use wire::WHOLE;

/// Parts per billion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Grant {
    /// What the node was told last.
    pub share: u32,
    /// The most that it may still hold of what it was told before.
    pub held: u32,
}

impl Grant {
    /// Held already, and told.
    pub(crate) fn held(share: u32) -> Grant {
        Grant { share, held: share }
    }

    /// What must be counted as the node's.
    pub(crate) fn used(self) -> u32 {
        self.share.max(self.held)
    }

    /// The node will be told another share. Whatever it may hold now it may go on holding.
    fn tell(&mut self, share: u32) {
        self.held = self.used();
        self.share = share;
    }

    /// The node cannot hold more than this any more.
    pub(crate) fn reclaim(&mut self, most: u32) {
        self.held = self.used().min(most);
        self.share = self.share.min(most);
    }
}

/// Moves grants towards their targets as far as that is safe now. `None`: this node cannot be told anything. The sum of
/// what is used never rises above the whole.
pub(crate) fn step(grants: &mut [Grant], targets: &[Option<u32>]) {
    for (grant, target) in grants.iter_mut().zip(targets) {
        if let Some(target) = target.filter(|target| *target < grant.share) {
            grant.tell(target);
        }
    }
    let used: u64 = grants.iter().map(|grant| u64::from(grant.used())).sum();
    let mut free = u64::from(WHOLE).saturating_sub(used);
    let wanted = |grant: &Grant, target: &Option<u32>| {
        u64::from(target.map_or(0, |target| target.saturating_sub(grant.used())))
    };
    let mut want: u64 = grants
        .iter()
        .zip(targets)
        .map(|(grant, target)| wanted(grant, target))
        .sum();
    for (grant, target) in grants.iter_mut().zip(targets) {
        let Some(target) = *target else { continue };
        if target <= grant.share {
            continue;
        }
        let more = wanted(grant, &Some(target));
        let given = if more == 0 || want == 0 {
            0
        } else {
            more.min(free * more / want)
        };
        want -= more;
        free -= given;
        let share = (u64::from(grant.used()) + given).min(u64::from(target));
        grant.tell(u32::try_from(share).unwrap_or(grant.share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_when_it_was_acknowledged() {
        let mut grants = [Grant::held(WHOLE), Grant::default()];
        let targets = [Some(WHOLE / 2), Some(WHOLE / 2)];
        step(&mut grants, &targets);
        assert_eq!(grants[0].share, WHOLE / 2);
        assert_eq!(grants[1], Grant::default());
        grants[0].held = WHOLE / 2;
        step(&mut grants, &targets);
        assert_eq!(grants[1].share, WHOLE / 2);
    }

    #[test]
    fn what_was_not_acknowledged_yet_can_be_had_back_at_once() {
        let mut grants = [Grant::held(WHOLE), Grant::default()];
        step(&mut grants, &[Some(WHOLE / 2), Some(WHOLE / 2)]);
        step(&mut grants, &[Some(WHOLE), Some(0)]);
        assert_eq!(grants[0].share, WHOLE);
    }

    #[test]
    fn a_node_that_cannot_be_told_keeps_what_it_has() {
        let mut grants = [Grant::held(WHOLE / 2), Grant::default(), Grant::default()];
        step(&mut grants, &[None, Some(WHOLE / 2), Some(WHOLE / 2)]);
        assert_eq!(grants[0].used(), WHOLE / 2);
        assert_eq!(grants[1].share + grants[2].share, WHOLE / 2);
    }
}
