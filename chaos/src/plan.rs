//! What is done to the stack, and in which order: a pure function of the seed and of the kinds that are asked for.
//! Every kind comes up once before any comes up again.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

pub const NODES: usize = 3;
pub const CONTROL_PLANES: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Node(usize),
    ControlPlane(usize),
    Postgres,
    Engine,
}

/// A connection that a proxy stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From clients to one node.
    Client(usize),
    /// From one node to every control plane.
    Push(usize),
    /// From one control plane to Postgres.
    Database(usize),
    /// From every plane to the engine.
    Engine,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// What is open is reset, what is new is reset.
    Cut,
    /// What is open then never says a word again, on either side, and nobody hears that it is over. What is new works.
    HalfOpen,
    /// Nothing gets through for as long as it lasts, and nothing is lost.
    Stall,
    /// So many bytes a second, in each direction of each connection.
    Slow(u64),
    /// Each piece takes so many milliseconds longer.
    Delay(u64),
    /// Each connection is reset when so many bytes went to whoever asked.
    Reset(u64),
}

/// What the engine seems to answer, to every other request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// With this status, and nothing was done.
    Refused(u16),
    /// With 500, and all was done.
    Lied,
    /// With what is no HTTP.
    Garbage,
    /// After so many milliseconds.
    Late(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`; started again at the end.
    Kill(Part),
    /// SIGSTOP; SIGCONT at the end.
    Pause(Part),
    Harm(Way, Harm),
    Engine(Answer),
    /// The node's disk has no byte left.
    FullDisk(usize),
    /// Runs with a clock that is so many seconds wrong.
    Skew(Part, i64),
    /// The node's disk is lost; another one joins in its place.
    EmptyDisk(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Node(node) => write!(f, "node {node}"),
            Part::ControlPlane(number) => write!(f, "control plane {number}"),
            Part::Postgres => f.write_str("Postgres"),
            Part::Engine => f.write_str("the engine"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::Client(node) => write!(f, "clients → node {node}"),
            Way::Push(node) => write!(f, "node {node} → control planes"),
            Way::Database(number) => write!(f, "control plane {number} → Postgres"),
            Way::Engine => f.write_str("planes → engine"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self {
            Fault::Kill(part) | Fault::Pause(part) => write!(f, " ({part})"),
            Fault::Harm(way, Harm::Slow(bytes)) => write!(f, " ({way}, {bytes} bytes/s)"),
            Fault::Harm(way, Harm::Delay(millis)) => write!(f, " ({way}, {millis} ms)"),
            Fault::Harm(way, Harm::Reset(bytes)) => write!(f, " ({way}, after {bytes} bytes)"),
            Fault::Harm(way, _) => write!(f, " ({way})"),
            Fault::Engine(Answer::Late(millis)) => write!(f, " ({millis} ms)"),
            Fault::Engine(_) => Ok(()),
            Fault::FullDisk(node) | Fault::EmptyDisk(node) => write!(f, " (node {node})"),
            Fault::Skew(part, seconds) => write!(f, " ({part}, {seconds:+} s)"),
        }
    }
}

impl Fault {
    /// As it is named in `FAULTS` and in the table.
    pub fn kind(&self) -> String {
        let part = |part: &Part| match part {
            Part::Node(_) => "node",
            Part::ControlPlane(_) => "controlplane",
            Part::Postgres => "postgres",
            Part::Engine => "engine",
        };
        match self {
            Fault::Kill(of) => format!("kill-{}", part(of)),
            Fault::Pause(of) => format!("pause-{}", part(of)),
            Fault::Harm(way, harm) => {
                let harm = match harm {
                    Harm::Cut => "cut",
                    Harm::HalfOpen => "half-open",
                    Harm::Stall => "stall",
                    Harm::Slow(_) => "slow",
                    Harm::Delay(_) => "delay",
                    Harm::Reset(_) => "reset",
                };
                let way = match way {
                    Way::Client(_) => "client",
                    Way::Push(_) => "push",
                    Way::Database(_) => "database",
                    Way::Engine => "engine",
                };
                format!("{harm}-{way}")
            }
            Fault::Engine(Answer::Refused(status)) => format!("answer-{status}"),
            Fault::Engine(Answer::Lied) => "answer-lie".to_owned(),
            Fault::Engine(Answer::Garbage) => "answer-garbage".to_owned(),
            Fault::Engine(Answer::Late(_)) => "answer-late".to_owned(),
            Fault::FullDisk(_) => "full-disk".to_owned(),
            Fault::Skew(of, _) => format!("skew-{}", part(of)),
            Fault::EmptyDisk(_) => "empty-disk".to_owned(),
        }
    }

    /// Whether it concerns what only changes of configuration need: then no request of a customer's may fail.
    pub fn spares_customers(&self) -> bool {
        match self {
            Fault::Kill(part) | Fault::Pause(part) | Fault::Skew(part, _) => {
                matches!(part, Part::ControlPlane(_) | Part::Postgres)
            }
            Fault::Harm(way, _) => matches!(way, Way::Push(_) | Way::Database(_)),
            Fault::Engine(_) | Fault::FullDisk(_) | Fault::EmptyDisk(_) => false,
        }
    }

    /// A node whose disk is to be lost must be able to tell before what it owes.
    fn is_alone(&self) -> bool {
        matches!(self, Fault::EmptyDisk(_))
    }

    /// What it needs to itself: two faults at once are of different places.
    fn place(&self) -> usize {
        match self {
            Fault::Kill(part) | Fault::Pause(part) | Fault::Skew(part, _) => match part {
                Part::Node(node) => *node,
                Part::ControlPlane(number) => 10 + number,
                Part::Postgres => 20,
                Part::Engine => 30,
            },
            Fault::Harm(Way::Client(node) | Way::Push(node), _)
            | Fault::FullDisk(node)
            | Fault::EmptyDisk(node) => *node,
            Fault::Harm(Way::Database(number), _) => 10 + number,
            Fault::Harm(Way::Engine, _) | Fault::Engine(_) => 30,
        }
    }
}

/// One of each kind, at any place.
fn every_kind(random: &mut Random) -> Vec<Fault> {
    let parts = |random: &mut Random| {
        [
            Part::Node(random.below(NODES)),
            Part::ControlPlane(random.below(CONTROL_PLANES)),
            Part::Postgres,
            Part::Engine,
        ]
    };
    let mut all = Vec::new();
    all.extend(parts(random).map(Fault::Kill));
    all.extend(parts(random).map(Fault::Pause));
    let slow = random.pick(&[2_000, 20_000, 200_000]);
    let delay = random.pick(&[50, 200, 1_000]);
    let reset = random.pick(&[200, 5_000, 50_000]);
    for harm in [
        Harm::Cut,
        Harm::HalfOpen,
        Harm::Stall,
        Harm::Slow(slow),
        Harm::Delay(delay),
        Harm::Reset(reset),
    ] {
        for way in [
            Way::Client(random.below(NODES)),
            Way::Push(random.below(NODES)),
            Way::Database(random.below(CONTROL_PLANES)),
            Way::Engine,
        ] {
            all.push(Fault::Harm(way, harm));
        }
    }
    let late = random.pick(&[500, 2_000, 7_000]);
    all.extend(
        [
            Answer::Refused(500),
            Answer::Refused(503),
            Answer::Lied,
            Answer::Garbage,
            Answer::Late(late),
        ]
        .map(Fault::Engine),
    );
    all.push(Fault::FullDisk(random.below(NODES)));
    // Within what a signature may be old, and beyond.
    let seconds = random.pick(&[-3_600, -300, 300, 3_600]);
    all.push(Fault::Skew(Part::Node(random.below(NODES)), seconds));
    let number = random.below(CONTROL_PLANES);
    all.push(Fault::Skew(Part::ControlPlane(number), seconds));
    all.push(Fault::EmptyDisk(random.below(NODES)));
    all
}

/// The names of all kinds.
pub fn kinds() -> Vec<String> {
    let all = every_kind(&mut Random::new(0));
    all.iter().map(Fault::kind).collect()
}

/// What happens at once, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    pub faults: Vec<Fault>,
    pub lasts: Duration,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        let seconds = self.lasts.as_secs_f64();
        write!(f, "{} for {seconds:.1} s", faults.join(" and "))
    }
}

/// Rounds without an end.
pub struct Plan {
    random: Random,
    wanted: Vec<String>,
    left: Vec<Fault>,
}

impl Plan {
    /// `wanted`: kinds, or beginnings of their names (`kill`, `cut-push`); none is all.
    ///
    /// # Errors
    /// What is no beginning of any kind's name.
    pub fn new(seed: u64, wanted: &[String]) -> Result<Self, String> {
        let kinds = kinds();
        for word in wanted {
            if !kinds.iter().any(|kind| kind.starts_with(word.as_str())) {
                return Err(format!("no fault is called {word}: {}", kinds.join(", ")));
            }
        }
        Ok(Self {
            random: Random::of(seed, "plan"),
            wanted: wanted.to_vec(),
            left: Vec::new(),
        })
    }

    fn one(&mut self) -> Fault {
        if self.left.is_empty() {
            let mut all = every_kind(&mut self.random);
            all.retain(|fault| {
                let kind = fault.kind();
                self.wanted.is_empty() || self.wanted.iter().any(|w| kind.starts_with(w.as_str()))
            });
            while !all.is_empty() {
                let at = self.random.below(all.len());
                self.left.push(all.swap_remove(at));
            }
        }
        self.left.pop().expect("a kind was found for every word")
    }
}

impl Iterator for Plan {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let first = self.one();
        let mut faults = vec![first];
        if self.random.below(4) == 0 {
            let second = self.one();
            if second.place() == first.place() || first.is_alone() || second.is_alone() {
                self.left.push(second);
            } else {
                faults.push(second);
            }
        }
        let lasts = Duration::from_millis(self.random.pick(&[2_000, 4_000, 7_000, 11_000]));
        Some(Round { faults, lasts })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rounds(seed: u64) -> Vec<Round> {
        Plan::new(seed, &[]).unwrap().take(100).collect()
    }

    #[test]
    fn a_seed_decides_the_plan() {
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
    }

    #[test]
    fn every_kind_comes_up_and_two_at_once_are_of_different_places() {
        let all = rounds(1);
        let seen: HashSet<String> = all
            .iter()
            .flat_map(|round| round.faults.iter().map(Fault::kind))
            .collect();
        assert_eq!(seen, kinds().into_iter().collect());
        let double = all.iter().filter(|round| round.faults.len() == 2);
        let places: Vec<_> = double
            .map(|round| (round.faults[0].place(), round.faults[1].place()))
            .collect();
        assert!(places.len() > 10, "{} of 100 are two", places.len());
        assert!(places.iter().all(|(one, other)| one != other));
    }

    #[test]
    fn only_what_is_wanted_is_drawn_and_what_is_unknown_is_refused() {
        let wanted = ["kill".to_owned(), "cut-push".to_owned()];
        let drawn = Plan::new(1, &wanted).unwrap().take(20);
        let kinds: Vec<String> = drawn
            .flat_map(|round| round.faults)
            .map(|fault| fault.kind())
            .collect();
        let known = |kind: &String| kind.starts_with("kill-") || kind == "cut-push";
        assert!(kinds.iter().all(known), "{kinds:?}");
        assert!(Plan::new(1, &["kil-node".to_owned()]).is_err());
    }
}
