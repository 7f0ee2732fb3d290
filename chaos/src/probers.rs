//! Those who must be refused: keys that were revoked, tenants that are suspended, and each tenant at what is another's.
//! The operator who revokes and suspends is here too: what a receipt says holds from then on.

use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::operator::Operator;
use crate::random::Random;
use crate::s3::{Connection, Key, Request};
use crate::verdict::{Verdict, count, lock};

const WITHIN: Duration = Duration::from_secs(4);
const PACE: Duration = Duration::from_millis(40);
const OPERATORS_PACE: Duration = Duration::from_millis(700);
/// Keys that are tried again and again.
const REMEMBERED: usize = 200;

/// Another tenant's bucket that exists, with an object in it.
#[derive(Debug, Clone)]
pub struct Foreign {
    pub key: Key,
    pub bucket: String,
    pub object: String,
}

/// A key, and the nodes that must refuse it.
#[derive(Debug, Clone)]
struct Refused {
    key: Key,
    nodes: Vec<usize>,
}

pub struct Probed {
    pub operator: Operator,
    /// Where clients reach each node, and what the node calls itself.
    pub nodes: Vec<(String, String)>,
    pub foreign: Vec<Foreign>,
    /// Whose keys are made and revoked, and a bucket of its own.
    pub tenant: String,
    pub bucket: String,
    /// Who is suspended and resumed, by this key.
    pub suspended: (String, Key),
    revoked: Mutex<Vec<Refused>>,
    /// Nodes that must refuse the suspended tenant.
    is_suspended: RwLock<Vec<usize>>,
}

impl Probed {
    pub fn new(
        operator: Operator,
        nodes: Vec<(String, String)>,
        foreign: Vec<Foreign>,
        (tenant, bucket): (String, String),
        suspended: (String, Key),
    ) -> Self {
        Self {
            operator,
            nodes,
            foreign,
            tenant,
            bucket,
            suspended,
            revoked: Mutex::default(),
            is_suspended: RwLock::default(),
        }
    }

    pub fn revoked(&self) -> usize {
        lock(&self.revoked).len()
    }

    fn named(&self, addresses: &[String]) -> Vec<usize> {
        let nodes = self.nodes.iter().enumerate();
        let named = nodes.filter(|(_, (_, address))| addresses.contains(address));
        named.map(|(node, _)| node).collect()
    }

    /// Makes keys and revokes them, suspends and resumes, by any control plane, until the run is over.
    pub fn operate(&self, random: &mut Random, verdict: &Verdict) {
        while !verdict.is_over() {
            let controlplane = random.below(self.operator.controlplanes.len());
            // What an operator's request came to when it was not answered is not known, and counts for nothing.
            let _ = match random.below(3) {
                0 => self.suspend_for_a_while(controlplane, verdict),
                _ => self.revoke_one(controlplane),
            };
            thread::sleep(OPERATORS_PACE);
        }
    }

    fn revoke_one(&self, controlplane: usize) -> Result<(), String> {
        let key = self.operator.create_key(controlplane, &self.tenant)?;
        let mut opened = Connection::new(&self.nodes[0].0);
        // So that every key has been good before.
        let _ = opened.ask(&key, &self.listing(), WITHIN);
        let receipt = self.operator.revoke(controlplane, &key)?;
        let nodes = self.named(&receipt.nodes);
        let mut revoked = lock(&self.revoked);
        if revoked.len() >= REMEMBERED {
            revoked.remove(0);
        }
        revoked.push(Refused { key, nodes });
        Ok(())
    }

    fn suspend_for_a_while(&self, controlplane: usize, verdict: &Verdict) -> Result<(), String> {
        let path = format!("tenants/{}", self.suspended.0);
        let suspend = format!("{path}/suspend");
        self.operator
            .ask(controlplane, "POST", &suspend, &Value::Null)?;
        // Changes come in order: who has acknowledged this later one has the suspension too.
        let later = self.operator.create_key(controlplane, &self.tenant);
        let receipt = later.and_then(|key| self.operator.revoke(controlplane, &key));
        if let (Ok(receipt), Ok(mut nodes)) = (receipt, self.is_suspended.write()) {
            *nodes = self.named(&receipt.nodes);
        }
        for _ in 0..20 {
            if verdict.is_over() {
                break;
            }
            thread::sleep(PACE);
        }
        if let Ok(mut nodes) = self.is_suspended.write() {
            nodes.clear();
        }
        let resume = format!("{path}/resume");
        self.operator
            .ask(controlplane, "POST", &resume, &Value::Null)?;
        Ok(())
    }

    fn listing(&self) -> Request<'_> {
        Request {
            method: "GET",
            bucket: &self.bucket,
            ..Request::default()
        }
    }

    /// Tries what must be refused, until the run is over.
    pub fn probe(&self, random: &mut Random, verdict: &Verdict) {
        let mut nodes: Vec<Connection> = self
            .nodes
            .iter()
            .map(|(host, _)| Connection::new(host))
            .collect();
        while !verdict.is_over() {
            match random.below(3) {
                0 => self.as_another(&mut nodes, random, verdict),
                1 => self.with_a_revoked_key(&mut nodes, random, verdict),
                _ => self.while_suspended(&mut nodes, random, verdict),
            }
            thread::sleep(PACE);
        }
    }

    fn as_another(&self, nodes: &mut [Connection], random: &mut Random, verdict: &Verdict) {
        let foreign = &self.foreign[random.below(self.foreign.len())];
        let (method, key) = match random.below(4) {
            0 => ("GET", ""),
            1 => ("PUT", foreign.object.as_str()),
            2 => ("DELETE", foreign.object.as_str()),
            _ => ("GET", foreign.object.as_str()),
        };
        let request = Request {
            method,
            bucket: &foreign.bucket,
            key,
            ..Request::default()
        };
        let node = random.below(nodes.len());
        let Ok(answer) = nodes[node].ask(&foreign.key, &request, WITHIN) else {
            return;
        };
        count(&verdict.probes);
        // As a bucket that nobody has; a clock that is wrong, or a node that knows nothing yet, refuses otherwise.
        let hidden = answer.status == 404 && answer.code() == "NoSuchBucket";
        if !hidden && answer.status != 403 && answer.status < 500 {
            let bucket = &foreign.bucket;
            verdict.breach(format!(
                "LEAKED: {method} of another tenant's {bucket}/{key} at node {node}: {}",
                answer.told()
            ));
        }
    }

    fn with_a_revoked_key(&self, nodes: &mut [Connection], random: &mut Random, verdict: &Verdict) {
        let refused = {
            let revoked = lock(&self.revoked);
            if revoked.is_empty() {
                return;
            }
            revoked[random.below(revoked.len())].clone()
        };
        let Some(node) = (!refused.nodes.is_empty()).then(|| random.pick(&refused.nodes)) else {
            return;
        };
        let Ok(answer) = nodes[node].ask(&refused.key, &self.listing(), WITHIN) else {
            return;
        };
        count(&verdict.probes);
        if answer.status != 403 && answer.status < 500 {
            verdict.breach(format!(
                "REVOKED: key {} opens node {node}, whose receipt says that it is refused: {}",
                refused.key.id,
                answer.told()
            ));
        }
    }

    fn while_suspended(&self, nodes: &mut [Connection], random: &mut Random, verdict: &Verdict) {
        // Held until the answer is there: nobody is resumed meanwhile.
        let Ok(suspended) = self.is_suspended.read() else {
            return;
        };
        if suspended.is_empty() {
            return;
        }
        let node = random.pick(&suspended);
        let request = Request {
            method: "GET",
            bucket: "suspended",
            ..Request::default()
        };
        let Ok(answer) = nodes[node].ask(&self.suspended.1, &request, WITHIN) else {
            return;
        };
        count(&verdict.probes);
        if answer.status != 403 && answer.status < 500 {
            verdict.breach(format!(
                "SUSPENDED: the tenant is served at node {node}: {}",
                answer.told()
            ));
        }
    }
}

/// The threads of it.
pub fn start(
    probed: &Arc<Probed>,
    seed: u64,
    verdict: &Arc<Verdict>,
) -> Vec<thread::JoinHandle<()>> {
    let operating = (probed.clone(), verdict.clone());
    let probing = (probed.clone(), verdict.clone());
    vec![
        thread::spawn(move || {
            let mut random = Random::of(seed, "operator");
            operating.0.operate(&mut random, &operating.1);
        }),
        thread::spawn(move || {
            let mut random = Random::of(seed, "prober");
            probing.0.probe(&mut random, &probing.1);
        }),
    ]
}
