//! A fleet whose words are late or lost, and what it holds.

use std::collections::VecDeque;

use wire::Shares;

use super::{HOLD, TENANTS};
use crate::allotments::plan::*;

/// A node as `dataplane::limits` has it.
pub struct Process {
    pub alive: bool,
    pub connected: bool,
    pub heard: i64,
    pub floor: u32,
    pub explicit: HashMap<usize, Shares>,
    pub disk: (u32, HashMap<usize, Shares>),
    pub words: VecDeque<Word>,
    pub answers: VecDeque<Answer>,
}

pub struct Word {
    pub number: i64,
    pub floor: u32,
    pub whole: bool,
    pub tenants: Vec<(usize, i64, Option<Shares>)>,
}

pub struct Answer {
    pub number: i64,
    pub floor: u32,
    pub tenants: Vec<(usize, i64, Shares)>,
}

pub struct World {
    pub now: i64,
    pub numbers: i64,
    pub nodes: Vec<Node>,
    pub floor_numbers: Vec<i64>,
    pub seen: Vec<i64>,
    pub processes: Vec<Process>,
    pub tenants: Vec<Tenant>,
    /// By tenant and node.
    pub row_numbers: HashMap<(usize, usize), i64>,
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
    pub fn new() -> Self {
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

    pub fn join(&mut self) {
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
    pub fn connect(&mut self, at: usize) {
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

    pub fn cut(&mut self, at: usize) {
        if self.processes[at].connected {
            self.seen[at] = self.now;
        }
        self.processes[at].connected = false;
        self.nodes[at].reachable = false;
    }

    pub fn kill(&mut self, at: usize) {
        self.cut(at);
        self.processes[at].alive = false;
        self.processes[at].explicit.clear();
    }

    pub fn restart(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if !process.alive {
            process.alive = true;
            (process.floor, process.explicit) = process.disk.clone();
        }
    }

    /// A round of the control plane, and what it says to those that it reaches.
    pub fn round(&mut self) {
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
    pub fn hear(&mut self, at: usize) {
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

    pub fn answered(&mut self, at: usize) {
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

    pub fn pass(&mut self, seconds: i64) {
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

    pub fn check(&self) {
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
    pub fn quick_round(&mut self) {
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

    pub fn demand(&mut self, tenant: usize, at: usize, percent: u64) {
        let figures = [percent * 1000, percent * 7 / 100, percent * 10_000];
        let id = self.nodes[at].id;
        self.tenants[tenant].demands.insert(id, figures);
    }

    pub fn share(&self, tenant: usize, at: usize) -> u32 {
        let process = &self.processes[at];
        let explicit = process.explicit.get(&tenant).map(|shares| shares.requests);
        explicit.unwrap_or(process.floor) / (WHOLE / 100)
    }
}
