//! Nodes that are joined, cut off, killed and started again, with words that are late or lost: at every moment, what all of
//! them hold together is at most the limit.

use std::collections::VecDeque;

use proptest::prelude::*;
use wire::Shares;

use super::*;

const HOLD: i64 = 600;
const TENANTS: usize = 2;

/// A node as `dataplane::limits` has it.
struct Process {
    alive: bool,
    connected: bool,
    heard: i64,
    floor: u32,
    explicit: HashMap<usize, Shares>,
    disk: (u32, HashMap<usize, Shares>),
    words: VecDeque<Word>,
    answers: VecDeque<Answer>,
}

struct Word {
    number: i64,
    floor: u32,
    whole: bool,
    tenants: Vec<(usize, i64, Option<Shares>)>,
}

struct Answer {
    number: i64,
    floor: u32,
    tenants: Vec<(usize, i64, Shares)>,
}

struct World {
    now: i64,
    numbers: i64,
    nodes: Vec<Node>,
    floor_numbers: Vec<i64>,
    seen: Vec<i64>,
    processes: Vec<Process>,
    tenants: Vec<Tenant>,
    /// By tenant and node.
    row_numbers: HashMap<(usize, usize), i64>,
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn shares(row: &Row) -> Option<Shares> {
    let [requests, concurrency, bandwidth] = row.grants;
    (!row.released).then_some(Shares {
        requests: requests.share,
        concurrency: concurrency.share,
        bandwidth: bandwidth.share,
    })
}

impl World {
    fn new() -> Self {
        let tenant = |n: usize| Tenant {
            id: Uuid::from_u128(1000 + n as u128),
            limits: Limits {
                requests_per_second: 100,
                burst: 200,
                concurrent_requests: Some(7),
                bytes_per_second: (n == 0).then_some(1_000_000),
                quota_bytes: None,
                quota_objects: None,
                quota_egress_bytes: None,
            },
            rows: vec![],
            demands: HashMap::new(),
            finished: false,
        };
        World {
            now: 0,
            numbers: 0,
            nodes: vec![],
            floor_numbers: vec![],
            seen: vec![],
            processes: vec![],
            tenants: (0..TENANTS).map(tenant).collect(),
            row_numbers: HashMap::new(),
        }
    }

    fn join(&mut self) {
        let id = Uuid::from_u128(1 + self.nodes.len() as u128);
        self.nodes.push(Node {
            id,
            reachable: false,
            gone: false,
            forgotten: false,
            halvings: None,
            floor: Grant::default(),
            acked: true,
            changed: false,
        });
        self.floor_numbers.push(0);
        self.seen.push(self.now);
        self.processes.push(Process {
            alive: true,
            connected: false,
            heard: self.now,
            floor: 0,
            explicit: HashMap::new(),
            disk: (0, HashMap::new()),
            words: VecDeque::new(),
            answers: VecDeque::new(),
        });
        self.connect(self.nodes.len() - 1);
    }

    /// As `welcome`: a round, and then all that the node must know.
    fn connect(&mut self, at: usize) {
        if !self.processes[at].alive {
            return;
        }
        self.cut(at);
        self.nodes[at].reachable = true;
        self.round();
        let process = &mut self.processes[at];
        process.connected = true;
        process.words.clear();
        process.answers.clear();
        let id = self.nodes[at].id;
        let mut tenants = vec![];
        for (n, tenant) in self.tenants.iter().enumerate() {
            for row in tenant.rows.iter().filter(|row| row.node == id) {
                tenants.push((n, self.row_numbers[&(n, at)], shares(row)));
            }
        }
        self.processes[at].words.push_back(Word {
            number: self.floor_numbers[at],
            floor: self.nodes[at].floor.share,
            whole: true,
            tenants,
        });
    }

    fn cut(&mut self, at: usize) {
        if self.processes[at].connected {
            self.seen[at] = self.now;
        }
        self.processes[at].connected = false;
        self.nodes[at].reachable = false;
    }

    fn kill(&mut self, at: usize) {
        self.cut(at);
        self.processes[at].alive = false;
        self.processes[at].explicit.clear();
    }

    fn restart(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if !process.alive {
            process.alive = true;
            (process.floor, process.explicit) = process.disk.clone();
        }
    }

    /// A round of the control plane, and what it says to those that it reaches.
    fn round(&mut self) {
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let silent = self.now - self.seen[at];
            node.gone = !node.reachable && (!self.processes[at].alive || silent > HOLD + 60);
        }
        plan(&mut self.nodes, &mut self.tenants, time(self.now));
        let mut words: HashMap<usize, Vec<(usize, i64, Option<Shares>)>> = HashMap::new();
        for (n, tenant) in self.tenants.iter_mut().enumerate() {
            for row in &mut tenant.rows {
                let at = self
                    .nodes
                    .iter()
                    .position(|node| node.id == row.node)
                    .unwrap();
                if std::mem::take(&mut row.changed) {
                    self.numbers += 1;
                    self.row_numbers.insert((n, at), self.numbers);
                    words
                        .entry(at)
                        .or_default()
                        .push((n, self.numbers, shares(row)));
                }
                row.touched = false;
            }
            if std::mem::take(&mut tenant.finished) {
                tenant.rows.clear();
            }
        }
        for at in 0..self.nodes.len() {
            let floor = std::mem::take(&mut self.nodes[at].changed);
            if floor {
                self.numbers += 1;
                self.floor_numbers[at] = self.numbers;
            }
            let tenants = words.remove(&at).unwrap_or_default();
            if self.processes[at].connected && (floor || !tenants.is_empty()) {
                self.processes[at].words.push_back(Word {
                    number: self.floor_numbers[at],
                    floor: self.nodes[at].floor.share,
                    whole: false,
                    tenants,
                });
            }
        }
    }

    /// The node hears one word, writes down what is below its floor, and answers.
    fn hear(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let Some(word) = process.words.pop_front().filter(|_| process.connected) else {
            return;
        };
        process.heard = self.now;
        if word.whole {
            process.explicit.clear();
        }
        process.floor = word.floor;
        let mut told = vec![];
        for (tenant, number, shares) in word.tenants {
            match shares {
                Some(shares) => process.explicit.insert(tenant, shares),
                None => process.explicit.remove(&tenant),
            };
            told.push((tenant, number, shares.unwrap_or(Shares::all(word.floor))));
        }
        let floor = Shares::all(process.floor);
        let below = process
            .explicit
            .iter()
            .filter(|(_, shares)| shares.at_most(floor) != floor)
            .map(|(tenant, shares)| (*tenant, shares.at_most(floor)))
            .collect();
        process.disk = (process.floor, below);
        process.answers.push_back(Answer {
            number: word.number,
            floor: word.floor,
            tenants: told,
        });
    }

    fn answered(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let Some(answer) = process.answers.pop_front().filter(|_| process.connected) else {
            return;
        };
        let node = &mut self.nodes[at];
        if answer.number == self.floor_numbers[at] {
            node.floor.held = answer.floor;
            node.acked = true;
        }
        for (tenant, number, shares) in answer.tenants {
            if self.row_numbers[&(tenant, at)] != number {
                continue;
            }
            for row in &mut self.tenants[tenant].rows {
                if row.node == node.id {
                    let held = [shares.requests, shares.concurrency, shares.bandwidth];
                    for (grant, held) in row.grants.iter_mut().zip(held) {
                        grant.held = held;
                    }
                    row.acked = true;
                }
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        for process in &mut self.processes {
            if process.connected {
                process.heard = self.now;
            } else if self.now - process.heard > HOLD {
                let floor = Shares::all(process.floor);
                for shares in process.explicit.values_mut() {
                    *shares = shares.at_most(floor);
                }
            }
        }
    }

    fn check(&self) {
        for tenant in 0..TENANTS {
            let held: Vec<Shares> = self
                .processes
                .iter()
                .filter(|process| process.alive)
                .map(|process| {
                    let explicit = process.explicit.get(&tenant).copied();
                    explicit.unwrap_or(Shares::all(process.floor))
                })
                .collect();
            for figure in [
                |shares: &Shares| shares.requests,
                |shares: &Shares| shares.concurrency,
                |shares: &Shares| shares.bandwidth,
            ] {
                let sum: u64 = held.iter().map(|shares| u64::from(figure(shares))).sum();
                assert!(sum <= u64::from(WHOLE), "tenant {tenant}: {held:?}");
            }
        }
    }

    /// Everybody is there and answers at once.
    fn quick_round(&mut self) {
        self.round();
        for at in 0..self.nodes.len() {
            while !self.processes[at].words.is_empty() {
                self.hear(at);
            }
            while !self.processes[at].answers.is_empty() {
                self.answered(at);
            }
        }
        self.check();
    }

    fn demand(&mut self, tenant: usize, at: usize, percent: u64) {
        let figures = [percent * 1000, percent * 7 / 100, percent * 10_000];
        let id = self.nodes[at].id;
        self.tenants[tenant].demands.insert(id, figures);
    }

    fn share(&self, tenant: usize, at: usize) -> u32 {
        let process = &self.processes[at];
        let explicit = process.explicit.get(&tenant).map(|shares| shares.requests);
        explicit.unwrap_or(process.floor) / (WHOLE / 100)
    }
}

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
