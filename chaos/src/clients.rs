//! Everybody who uses the stack during a run: their tenants, keys and buckets, and the threads that they act in.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::checks;
use crate::house::House;
use crate::inject::Witness;
use crate::ledger::Tally;
use crate::limited::{self, BURST, RATE};
use crate::operator::Operator;
use crate::plan::NODES;
use crate::probers::{self, Foreign, Probed};
use crate::random::Random;
use crate::s3::{Connection, Key, Request};
use crate::verdict::Verdict;
use crate::worker::{Customer, Setup, Worker};

/// Everybody's bucket has this name, and objects of the same names: whatever is mixed up shows.
const BUCKET: &str = "everybodys";
const QUOTA: u64 = 12_000_000;
const KEYS: usize = 10;
const SETUP_WITHIN: Duration = Duration::from_secs(60);
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

pub struct Clients {
    pub witness: Witness,
    workers: Vec<JoinHandle<Worker>>,
    others: Vec<JoinHandle<()>>,
    limited: Arc<limited::Log>,
    probed: Arc<Probed>,
}

/// What they knew in the end.
pub struct Known {
    pub workers: Vec<Worker>,
    pub limited: Arc<limited::Log>,
    pub revoked: usize,
}

/// Asks at a node until it is answered as wished.
fn insist(house: &mut House, key: &Key, request: &Request<'_>) {
    let mut connection = Connection::new(&house.client_address(0));
    let begun = Instant::now();
    loop {
        let answer = connection.ask(key, request, ANSWERED_WITHIN);
        match answer {
            Ok(answer) if answer.status == 200 => return,
            other => assert!(
                begun.elapsed() < SETUP_WITHIN,
                "{} {}/{}: {other:?}",
                request.method,
                request.bucket,
                request.key
            ),
        }
        house.supervise();
        thread::sleep(Duration::from_millis(100));
    }
}

fn bucket(house: &mut House, key: &Key, bucket: &str) {
    let request = Request {
        method: "PUT",
        bucket,
        ..Request::default()
    };
    insist(house, key, &request);
}

fn object(house: &mut House, key: &Key, bucket: &str, name: &str) {
    let request = Request {
        method: "PUT",
        bucket,
        key: name,
        body: b"somebody's",
        ..Request::default()
    };
    insist(house, key, &request);
}

fn limits(further: &Value) -> Value {
    let mut limits = json!({
        "requests_per_second": 100_000,
        "burst": 100_000,
        "access_key_limit": 10_000,
        "bucket_limit": 10,
    });
    for (name, value) in further.as_object().into_iter().flatten() {
        limits[name] = value.clone();
    }
    limits
}

struct Tenant {
    id: String,
    key: Key,
}

fn tenant(operator: &Operator, name: &str, further: &Value) -> Tenant {
    let (id, key) = operator
        .tenant(name, &limits(further))
        .expect("a tenant can be made when all is well");
    Tenant { id, key }
}

impl Clients {
    /// Makes the tenants and lets them begin.
    pub fn start(house: &mut House, seed: u64, verdict: &Arc<Verdict>) -> Self {
        let operator = house.operator();
        let witness = tenant(&operator, "witness", &json!({}));
        bucket(house, &witness.key, BUCKET);
        let nodes: Vec<String> = (0..NODES).map(|node| house.client_address(node)).collect();

        let mut workers = Vec::new();
        let mut foreign = Vec::new();
        let mut plain = Vec::new();
        for name in ["anna", "bert"] {
            let tenant = tenant(&operator, name, &json!({}));
            bucket(house, &tenant.key, BUCKET);
            let own = format!("only-of-{name}");
            bucket(house, &tenant.key, &own);
            object(house, &tenant.key, &own, "secret");
            plain.push((tenant, own));
        }
        for (at, (mine, _)) in plain.iter().enumerate() {
            let (_, bucket) = &plain[1 - at];
            foreign.push(Foreign {
                key: mine.key.clone(),
                bucket: bucket.clone(),
                object: "secret".to_owned(),
            });
        }
        let full = tenant(&operator, "full", &json!({"quota_bytes": QUOTA}));
        bucket(house, &full.key, BUCKET);
        for (name, of, unlimited, sizes) in [
            (
                "anna",
                &plain[0].0,
                true,
                &[200, 3_000, 60_000, 300_000][..],
            ),
            (
                "bert",
                &plain[1].0,
                true,
                &[200, 3_000, 60_000, 300_000][..],
            ),
            ("full", &full, false, &[200_000, 900_000][..]),
        ] {
            let customer = Arc::new(Customer {
                tenant_id: of.id.clone(),
                bucket: BUCKET.to_owned(),
                unlimited,
            });
            for number in 0..2 {
                let keys = (0..KEYS).map(|_| operator.create_key(0, &of.id));
                let setup = Setup {
                    customer: customer.clone(),
                    prefix: format!("client-{number}/"),
                    keys: keys.collect::<Result<_, _>>().expect("keys can be made"),
                    nodes: nodes.clone(),
                    random: Random::of(seed, &format!("{name}-{number}")),
                    pace: Duration::from_millis(120),
                    sizes,
                };
                workers.push(Worker::new(setup, verdict.clone()));
            }
        }

        let slow = tenant(
            &operator,
            "limited",
            &json!({"requests_per_second": 1000, "burst": 1000}),
        );
        bucket(house, &slow.key, BUCKET);
        object(house, &slow.key, BUCKET, "limited");
        let path = format!("tenants/{}", slow.id);
        let limit = json!({"requests_per_second": RATE, "burst": BURST});
        operator
            .ask(0, "PATCH", &path, &limit)
            .expect("a limit can be set");
        let suspended = tenant(&operator, "suspended", &json!({}));
        bucket(house, &suspended.key, "suspended");

        let addresses = (0..NODES).map(|node| (nodes[node].clone(), house.node_address(node)));
        let probed = Arc::new(Probed::new(
            operator,
            addresses.collect(),
            foreign,
            (plain[0].0.id.clone(), plain[0].1.clone()),
            (suspended.id, suspended.key),
        ));
        let mut others = probers::start(&probed, seed, verdict);
        let log = Arc::new(limited::Log::default());
        for (node, host) in nodes.into_iter().enumerate() {
            let (log, verdict, key) = (log.clone(), verdict.clone(), slow.key.clone());
            others.push(thread::spawn(move || {
                limited::hammer((&host, node, NODES), &key, BUCKET, &log, &verdict);
            }));
        }
        Self {
            witness: Witness {
                tenant: witness.id,
                key: witness.key,
                bucket: BUCKET.to_owned(),
            },
            workers: workers
                .into_iter()
                .map(|worker| thread::spawn(move || worker.run()))
                .collect(),
            others,
            limited: log,
            probed,
        }
    }

    /// Waits until everybody has come to an end.
    pub fn end(self, verdict: &Verdict) -> Known {
        verdict.end();
        for other in self.others {
            other.join().expect("a client does not fail");
        }
        let workers = self.workers.into_iter();
        Known {
            workers: workers
                .map(|worker| worker.join().expect("a client does not fail"))
                .collect(),
            limited: self.limited,
            revoked: self.probed.revoked(),
        }
    }
}

impl Known {
    /// Everything that was ever written is as it may be, and no tenant has more than its quota.
    pub fn look_at_all(&mut self, operator: &Operator, verdict: &Verdict) {
        let mut listed: HashMap<String, (u64, bool)> = HashMap::new();
        let mut objects = 0;
        for worker in &mut self.workers {
            let bytes = worker.look_at_all();
            objects += worker.objects();
            let customer = &worker.customer;
            let entry = listed
                .entry(customer.tenant_id.clone())
                .or_insert((0, customer.unlimited));
            entry.0 += bytes;
        }
        println!("{objects} objects that were ever written were looked at");
        for (tenant, (bytes, unlimited)) in listed {
            if !unlimited && bytes > QUOTA {
                verdict.breach(format!("QUOTA: {bytes} bytes are stored of {QUOTA}"));
            }
            stored(operator, &tenant, bytes, unlimited, verdict);
        }
    }

    pub fn tallies(&self) -> HashMap<String, Tally> {
        let tallies = self
            .workers
            .iter()
            .flat_map(|worker| worker.tallies.clone());
        tallies.collect()
    }
}

/// What is shown is never less than what is there, and after an inventory it is that.
fn stored(operator: &Operator, tenant: &str, listed: u64, unlimited: bool, verdict: &Verdict) {
    let path = format!("tenants/{tenant}/inventory");
    let shown = checks::stored(operator, tenant).and_then(|before| {
        operator.ask(0, "POST", &path, &json!({}))?;
        Ok((before, checks::stored(operator, tenant)?))
    });
    match shown {
        Ok((before, after)) => {
            println!(
                "{listed} bytes are stored; shown were {before}, and {after} after an inventory"
            );
            // Without a quota, what a killed node had stored and not written down counts from the inventory on.
            if (!unlimited && before < listed) || after < listed {
                verdict.breach(format!(
                    "STORED: {listed} bytes are there, and shown are {before}, then {after}"
                ));
            }
        }
        Err(error) => verdict.breach(format!("no inventory: {error}")),
    }
}
