//! Nodes that are joined, cut off, killed and started again, with words that are late or lost: at every moment, what all of
//! them hold together is at most the limit.

mod world;

use proptest::prelude::*;

use self::world::World;
use super::*;

const HOLD: i64 = 600;
const TENANTS: usize = 2;

fn fleet(nodes: usize) -> World {
    let mut world = World::new();
    for _ in 0..nodes {
        world.join();
        for _ in 0..4 {
            world.quick_round();
        }
    }
    world
}

#[test]
fn floors_are_even_and_a_tenant_without_demand_has_no_rows() {
    let world = fleet(3);
    for process in &world.processes {
        assert_eq!(process.floor, WHOLE / 3);
    }
    assert!(world.tenants.iter().all(|tenant| tenant.rows.is_empty()));
}

#[test]
fn a_drained_node_hands_its_floor_over_by_halves_and_has_it_again_when_it_stays() {
    let mut world = fleet(3);
    let mut before = WHOLE / 3;
    for halvings in 1..=GONE_AFTER {
        world.nodes[0].halvings = Some(halvings);
        world.quick_round();
        world.quick_round();
        let floor = world.processes[0].floor;
        assert!(floor <= before / 2 + 1, "{halvings}: {floor}");
        before = floor;
        let others = [1, 2].map(|at| world.processes[at].floor);
        assert_eq!(others[0], others[1]);
        assert!(u64::from(floor) + 2 * u64::from(others[0]) >= u64::from(WHOLE) - 3);
    }
    assert_eq!(world.processes[0].floor, 0);
    assert_eq!(world.processes[1].floor, WHOLE / 2);
    // What comes to it nevertheless is served: demand is divided, not floors.
    world.demand(0, 0, 50);
    world.quick_round();
    world.quick_round();
    assert!(world.share(0, 0) >= 50, "{}", world.share(0, 0));
    world.demand(0, 0, 0);
    world.nodes[0].halvings = None;
    world.pass(10);
    for _ in 0..6 {
        world.quick_round();
    }
    assert_eq!(world.processes[0].floor, WHOLE / 3);
}

#[test]
fn where_every_node_is_drained_they_serve_as_before() {
    let mut world = fleet(2);
    for node in &mut world.nodes {
        node.halvings = Some(GONE_AFTER);
    }
    world.quick_round();
    world.quick_round();
    assert_eq!(world.processes[0].floor, WHOLE / 2);
    assert_eq!(world.processes[1].floor, WHOLE / 2);
}

/// Two rounds: one that takes, one that gives.
#[test]
fn shares_follow_demand_within_two_rounds() {
    let mut world = fleet(3);
    world.demand(0, 0, 500);
    world.quick_round();
    world.quick_round();
    assert_eq!(world.share(0, 0), 98);
    world.demand(0, 0, 0);
    world.demand(0, 2, 500);
    world.quick_round();
    world.quick_round();
    assert_eq!(world.share(0, 2), 98);
    assert_eq!(world.share(0, 0), 0);
    assert_eq!(world.share(1, 0), 33, "the other tenant is at its floors");
}

#[test]
fn a_tenant_whose_demand_has_ceased_goes_back_to_the_floors() {
    let mut world = fleet(3);
    world.demand(0, 0, 500);
    world.quick_round();
    world.quick_round();
    world.demand(0, 0, 0);
    world.pass(10);
    for _ in 0..5 {
        world.quick_round();
    }
    assert!(world.tenants[0].rows.is_empty());
    assert_eq!(world.share(0, 0), 33);
}

#[test]
fn what_a_dead_node_held_above_its_floor_is_free_at_once() {
    let mut world = fleet(3);
    world.demand(0, 0, 500);
    world.quick_round();
    world.quick_round();
    world.kill(0);
    world.demand(0, 0, 0);
    world.demand(0, 1, 500);
    world.quick_round();
    world.quick_round();
    assert!(world.share(0, 1) > 60, "{}", world.share(0, 1));
    world.restart(0);
    world.check();
}

#[test]
fn a_silent_node_keeps_its_share_for_the_hold() {
    let mut world = fleet(2);
    world.demand(0, 0, 500);
    world.quick_round();
    world.quick_round();
    world.cut(0);
    world.demand(0, 0, 0);
    world.demand(0, 1, 500);
    world.pass(HOLD);
    world.quick_round();
    world.quick_round();
    assert!(world.share(0, 1) <= 2);
    world.pass(61);
    world.quick_round();
    world.quick_round();
    assert!(world.share(0, 1) >= 48, "{}", world.share(0, 1));
}

#[test]
fn a_node_joins_while_shares_are_moved() {
    let mut world = fleet(2);
    world.demand(0, 0, 500);
    world.quick_round();
    world.quick_round();
    world.join();
    for _ in 0..6 {
        world.quick_round();
    }
    assert!(
        world
            .processes
            .iter()
            .all(|process| process.floor == WHOLE / 3)
    );
    assert_eq!(world.share(0, 0), 98);
}

#[derive(Debug, Clone)]
enum Event {
    Join,
    Connect(usize),
    Cut(usize),
    Kill(usize),
    Restart(usize),
    Demand(usize, usize, u64),
    Round,
    Hear(usize),
    Answered(usize),
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let node = 0usize..4;
    prop_oneof![
        1 => Just(Event::Join),
        2 => node.clone().prop_map(Event::Connect),
        1 => node.clone().prop_map(Event::Cut),
        1 => node.clone().prop_map(Event::Kill),
        2 => node.clone().prop_map(Event::Restart),
        4 => (0..TENANTS, node.clone(), prop_oneof![Just(0u64), 1u64..1000])
            .prop_map(|(tenant, node, percent)| Event::Demand(tenant, node, percent)),
        8 => Just(Event::Round),
        8 => node.clone().prop_map(Event::Hear),
        8 => node.prop_map(Event::Answered),
        3 => prop_oneof![Just(1i64), Just(6), Just(300), Just(700)].prop_map(Event::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_history_gives_a_limit_out_twice(events in prop::collection::vec(event(), 1..250)) {
        let mut world = fleet(2);
        for event in events {
            let there = world.nodes.len();
            match event {
                Event::Join if there < 4 => world.join(),
                Event::Round => world.round(),
                Event::Pass(seconds) => world.pass(seconds),
                Event::Connect(at) if at < there => world.connect(at),
                Event::Cut(at) if at < there => world.cut(at),
                Event::Kill(at) if at < there => world.kill(at),
                Event::Restart(at) if at < there => world.restart(at),
                Event::Hear(at) if at < there => world.hear(at),
                Event::Answered(at) if at < there => world.answered(at),
                Event::Demand(tenant, at, percent) if at < there => world.demand(tenant, at, percent),
                _ => {}
            }
            world.check();
        }
        // Whatever went on: with everybody there again, all of it can be had where it is wanted.
        for at in 0..world.nodes.len() {
            world.restart(at);
            world.connect(at);
            for tenant in 0..TENANTS {
                world.demand(tenant, at, if at == 0 { 900 } else { 0 });
            }
        }
        for _ in 0..12 {
            world.pass(1);
            world.quick_round();
        }
        for tenant in 0..TENANTS {
            prop_assert!(world.share(tenant, 0) >= 97, "{}", world.share(tenant, 0));
        }
        let even = WHOLE / world.nodes.len() as u32;
        prop_assert!(world.processes.iter().all(|process| process.floor == even));
    }
}
