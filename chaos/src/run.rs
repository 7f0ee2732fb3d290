//! One run: the stack, its clients, round after round of faults, and the reckoning.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::checks;
use crate::clients::Clients;
use crate::house::House;
use crate::inject;
use crate::limited;
use crate::plan::{NODES, Part, Plan, Round};
use crate::report::Healed;
use crate::verdict::Verdict;

/// Everything is well again within this time of the end of any fault.
pub const HEALED_WITHIN: Duration = Duration::from_secs(60);
const READY_WITHIN: Duration = Duration::from_secs(120);
const BOOKED_WITHIN: Duration = Duration::from_secs(60);
/// Between two rounds.
const CALM: Duration = Duration::from_millis(800);
const TICK: Duration = Duration::from_millis(50);

pub struct Wishes {
    pub seed: u64,
    /// Kinds of faults, or beginnings of their names; none is all.
    pub faults: Vec<String>,
    pub lasts: Lasts,
}

#[derive(Debug, Clone, Copy)]
pub enum Lasts {
    Rounds(usize),
    Time(Duration),
}

impl Wishes {
    /// What is typed to have the same again.
    fn command(&self) -> String {
        let mut command = format!("make chaos SEED={}", self.seed);
        match self.lasts {
            Lasts::Rounds(rounds) => command += &format!(" ROUNDS={rounds}"),
            Lasts::Time(time) => command += &format!(" MINUTES={}", time.as_secs().div_ceil(60)),
        }
        if !self.faults.is_empty() {
            command += &format!(" FAULTS={}", self.faults.join(","));
        }
        command
    }

    /// As many rounds as can come, for the eye.
    fn shown(&self) -> usize {
        match self.lasts {
            Lasts::Rounds(rounds) => rounds,
            Lasts::Time(time) => usize::try_from(time.as_secs() / 6).unwrap_or(1),
        }
    }
}

/// # Errors
/// Every breach, with what repeats it.
pub fn run(wishes: &Wishes) -> Result<(), String> {
    let begun = Instant::now();
    let plan = Plan::new(wishes.seed, &wishes.faults)?;
    println!("chaos: {}", wishes.command());
    for (number, round) in (1..).zip(Plan::new(wishes.seed, &wishes.faults)?.take(wishes.shown())) {
        println!("  {number:3}. {round}");
    }
    let mut stage = Stage::set(wishes.seed);
    println!("all is well after {:.0} s", begun.elapsed().as_secs_f64());
    let rounds = stage.play(plan, wishes.lasts);
    println!(
        "{rounds} rounds after {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let breaches = stage.reckon();
    println!("done after {:.0} s", begun.elapsed().as_secs_f64());
    if breaches.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\n\nto have it again: {}",
        breaches.join("\n"),
        wishes.command()
    ))
}

struct Stage {
    // Dropped after the clients have ended.
    house: House,
    clients: Option<Clients>,
    verdict: Arc<Verdict>,
    healed: Healed,
    begun: Instant,
}

impl Stage {
    fn set(seed: u64) -> Self {
        let verdict = Arc::new(Verdict::default());
        let mut house = House::build();
        let begun = Instant::now();
        let operator = house.operator();
        for node in 0..NODES {
            let token = loop {
                house.supervise();
                match operator.join_token(0) {
                    Ok(token) => break token,
                    Err(error) => assert!(begun.elapsed() < READY_WITHIN, "{error}"),
                }
                thread::sleep(TICK);
            };
            house.invite(node, &token);
            house.start(Part::Node(node), &[]);
        }
        let clients = Clients::start(&mut house, seed, &verdict);
        checks::heal(&mut house, &clients.witness, 0, READY_WITHIN)
            .unwrap_or_else(|wrong| panic!("it does not get ready: {wrong}"));
        Self {
            house,
            clients: Some(clients),
            verdict,
            healed: Healed::default(),
            begun: Instant::now(),
        }
    }

    fn wait(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time && !self.verdict.is_broken() {
            self.house.supervise();
            thread::sleep(TICK.min(time));
        }
    }

    /// Gives how many rounds there were.
    fn play(&mut self, plan: Plan, lasts: Lasts) -> usize {
        let mut done = 0;
        for (number, round) in (1..).zip(plan) {
            let over = match lasts {
                Lasts::Rounds(rounds) => done >= rounds,
                Lasts::Time(time) => self.begun.elapsed() >= time,
            };
            if over || self.verdict.is_broken() {
                break;
            }
            self.round(number, &round);
            done += 1;
        }
        done
    }

    fn round(&mut self, number: u64, round: &Round) {
        let at = self.begun.elapsed().as_secs();
        println!("{at:4} s  round {number}: {round}");
        let mut faults = round.faults.clone();
        faults.retain(|fault| match inject::impossible(fault, &self.house) {
            Some(why) => {
                println!("   left out: {} ({why})", fault.kind());
                false
            }
            None => true,
        });
        let Some(clients) = self.clients.take() else {
            return;
        };
        let witness = &clients.witness;
        let since = Instant::now();
        for fault in &faults {
            inject::begin(fault, &mut self.house, witness, &self.verdict);
        }
        self.wait(round.lasts);
        for fault in &faults {
            inject::end(fault, &mut self.house, &self.verdict);
        }
        match checks::heal(&mut self.house, witness, number, HEALED_WITHIN) {
            Ok(took) => {
                println!("   all is well after {:.1} s", took.as_secs_f64());
                let kinds: Vec<String> = faults.iter().map(|fault| fault.kind()).collect();
                self.healed.add(kinds.join(" + "), took);
            }
            Err(wrong) => self.verdict.breach(format!(
                "HEALING: after {round}, {} s later: {wrong}",
                HEALED_WITHIN.as_secs()
            )),
        }
        for fault in &faults {
            inject::bury(fault, &self.house);
        }
        let failures = self.verdict.failures_since(since);
        let spared = !faults.is_empty() && faults.iter().all(|fault| fault.spares_customers());
        if let (true, Some(first)) = (spared, failures.first()) {
            self.verdict.breach(format!(
                "SERVED: {} requests failed during {round}, which concerns no data plane: {first}",
                failures.len()
            ));
        } else if !failures.is_empty() {
            println!("   {} requests of unlimited tenants failed", failures.len());
        }
        checks::leases(&self.house, &self.verdict);
        self.clients = Some(clients);
        self.wait(CALM);
    }

    /// Everybody comes to an end, and every invariant is looked at. Gives the breaches.
    fn reckon(&mut self) -> Vec<String> {
        let verdict = self.verdict.clone();
        let Some(clients) = self.clients.take() else {
            return verdict.breaches();
        };
        let mut known = clients.end(&verdict);
        let operator = self.house.operator();
        if !verdict.is_broken() {
            known.look_at_all(&operator, &verdict);
            let tallies = known.tallies();
            let took = checks::usage(&mut self.house, &tallies, BOOKED_WITHIN, &verdict);
            let exact = tallies.values().filter(|tally| tally.is_exact()).count();
            println!(
                "usage of {} access keys is booked as answered ({exact} of them to the request) after {:.1} s",
                tallies.len(),
                took.as_secs_f64()
            );
            let admitted = known.limited.admitted();
            let (rate, burst) = (f64::from(limited::RATE), f64::from(limited::BURST));
            match limited::judge(&admitted, &self.house.starts, rate, burst) {
                Ok(()) => println!("{} requests were admitted at the limit", admitted.len()),
                Err(wrong) => verdict.breach(format!("LIMIT: {wrong}")),
            }
            checks::leases(&self.house, &verdict);
            let entries = checks::audit(&operator, &verdict);
            println!("{entries} entries of the audit log are whole");
        }
        for panic in self.house.panics() {
            verdict.breach(format!("PANIC: {panic}"));
        }
        let figure = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        println!(
            "{} requests answered, {} refused, {} failed, {} broke off; {} that had to be refused were; {} keys revoked; \
             {} processes ended by themselves",
            figure(&verdict.answered),
            figure(&verdict.refused),
            figure(&verdict.failed),
            figure(&verdict.broken),
            figure(&verdict.probes),
            known.revoked,
            self.house.ended.len()
        );
        println!("{}", self.healed.table());
        let breaches = verdict.breaches();
        if !breaches.is_empty() {
            self.house.folder.disable_cleanup(true);
            println!(
                "what the processes said is in {}",
                self.house.folder.path().display()
            );
        }
        breaches
    }
}
