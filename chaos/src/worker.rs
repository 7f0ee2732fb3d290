//! One client of one tenant, with objects of its own under its prefix: it writes, overwrites, deletes, lists and reads
//! through any node, and holds every answer against its ledger.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::ledger::{Content, Slot, Tally, body};
use crate::random::Random;
use crate::s3::{Answer, Broken, Connection, Key, Request};
use crate::verdict::{Verdict, count};

/// How long a client waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// Live objects of one client.
const OBJECTS: usize = 30;
const PART: usize = 5 << 20;
/// Requests after which the next access key is used, if there is another: what broke off with one leaves the others exact.
const OF_ONE_KEY: u64 = 50;

pub struct Customer {
    pub tenant_id: String,
    pub bucket: String,
    /// Whether nothing of its own (a quota, a rate) lets its requests fail.
    pub unlimited: bool,
}

pub struct Worker {
    pub customer: Arc<Customer>,
    prefix: String,
    keys: Vec<Key>,
    nodes: Vec<Connection>,
    random: Random,
    pace: Duration,
    sizes: &'static [usize],
    /// What is written to, and what nobody knows any more.
    live: Vec<Slot>,
    retired: Vec<Slot>,
    pub tallies: HashMap<String, Tally>,
    asked: u64,
    made: u64,
    verdict: Arc<Verdict>,
}

pub struct Setup {
    pub customer: Arc<Customer>,
    pub prefix: String,
    pub keys: Vec<Key>,
    pub nodes: Vec<String>,
    pub random: Random,
    pub pace: Duration,
    pub sizes: &'static [usize],
}

enum Outcome {
    Done(Answer),
    /// 4xx: nothing happened.
    Refused(Answer),
    /// Not acknowledged.
    Unsure,
    /// Nobody was reached.
    Unsent,
}

impl Worker {
    pub fn new(setup: Setup, verdict: Arc<Verdict>) -> Self {
        Self {
            customer: setup.customer,
            prefix: setup.prefix,
            keys: setup.keys,
            nodes: setup
                .nodes
                .iter()
                .map(|host| Connection::new(host))
                .collect(),
            random: setup.random,
            pace: setup.pace,
            sizes: setup.sizes,
            live: Vec::new(),
            retired: Vec::new(),
            tallies: HashMap::new(),
            asked: 0,
            made: 0,
            verdict,
        }
    }

    /// Until the run is over.
    pub fn run(mut self) -> Self {
        while !self.verdict.is_over() {
            self.step();
            thread::sleep(self.pace);
        }
        self
    }

    fn step(&mut self) {
        if self.live.len() < 5 {
            return self.create();
        }
        match self.random.below(100) {
            0..24 => self.create(),
            24..36 => self.overwrite(),
            36..68 => self.read(),
            68..76 => self.delete(),
            76..84 => self.list(),
            84..90 => self.create_existing(),
            90..95 => self.overwrite_if_match(),
            95..98 => self.copy(),
            _ => self.upload_in_parts(),
        }
    }

    fn breach(&self, what: &str) {
        let of = &self.customer.tenant_id;
        self.verdict.breach(format!("tenant {of}: {what}"));
    }

    /// One request through any node. `expected`: the most that its answer's body has.
    fn ask(&mut self, request: &Request<'_>, expected: usize) -> Outcome {
        let turn = usize::try_from(self.asked / OF_ONE_KEY).unwrap_or(usize::MAX);
        self.asked += 1;
        let key = self.keys[turn.min(self.keys.len() - 1)].clone();
        let node = self.random.below(self.nodes.len());
        let answered = self.nodes[node].ask(&key, request, PATIENCE);
        let tally = self.tallies.entry(key.id).or_default();
        let told = match &answered {
            Ok(answer) => {
                tally.answered(answer.status, request.body.len(), answer.body.len());
                (answer.status >= 500).then(|| answer.told())
            }
            Err(Broken::Sent) => {
                tally.unsure(request.body.len(), expected.max(1000));
                Some("no answer".to_owned())
            }
            Err(Broken::Unsent) => Some("no connection".to_owned()),
        };
        if let Some(told) = told
            && self.customer.unlimited
        {
            let what = format!("{} {} at node {node}: {told}", request.method, request.key);
            self.verdict.failure(what);
        }
        let (counter, outcome) = match answered {
            Ok(answer) if answer.status < 400 => (&self.verdict.answered, Outcome::Done(answer)),
            Ok(answer) if answer.status < 500 => (&self.verdict.refused, Outcome::Refused(answer)),
            Ok(_) => (&self.verdict.failed, Outcome::Unsure),
            Err(Broken::Sent) => (&self.verdict.broken, Outcome::Unsure),
            Err(Broken::Unsent) => (&self.verdict.broken, Outcome::Unsent),
        };
        count(counter);
        outcome
    }

    fn new_key(&mut self) -> String {
        self.made += 1;
        format!("{}{:06} ü", self.prefix, self.made)
    }

    fn content(&mut self, key: &str) -> Vec<u8> {
        self.made += 1;
        let most = self.random.pick(self.sizes);
        let length = self.random.below(most.max(1));
        body(&self.customer.tenant_id, key, self.made, length)
    }

    /// Puts this slot back, among those that are known or those that are not.
    fn keep(&mut self, slot: Slot) {
        match slot.known() {
            Some(_) => self.live.push(slot),
            None => self.retired.push(slot),
        }
    }

    /// A write, with whatever condition. Gives whether it was acknowledged.
    fn put(&mut self, slot: &mut Slot, condition: Option<(&'static str, String)>) -> bool {
        let bucket = self.customer.bucket.clone();
        let content = self.content(&slot.key);
        let request = Request {
            method: "PUT",
            bucket: &bucket,
            key: &slot.key,
            headers: condition.into_iter().collect(),
            body: &content,
            ..Request::default()
        };
        match self.ask(&request, 0) {
            Outcome::Done(answer) => {
                let etag = answer.header("etag").unwrap_or_default();
                slot.acknowledged(Some(Content::of(&content, etag)));
                true
            }
            Outcome::Unsure => {
                slot.unsure(Some(Content::of(&content, "")));
                false
            }
            Outcome::Refused(_) | Outcome::Unsent => false,
        }
    }

    fn create(&mut self) {
        if self.live.len() >= OBJECTS {
            return self.delete();
        }
        let mut slot = Slot::new(self.new_key());
        let only_new = self.random.below(4) == 0;
        let condition = only_new.then(|| ("if-none-match", "*".to_owned()));
        self.put(&mut slot, condition);
        self.keep(slot);
    }

    fn any(&mut self) -> Slot {
        let at = self.random.below(self.live.len());
        self.live.swap_remove(at)
    }

    fn overwrite(&mut self) {
        let mut slot = self.any();
        self.put(&mut slot, None);
        self.keep(slot);
    }

    fn create_existing(&mut self) {
        let mut slot = self.any();
        let exists = slot.known().is_some_and(|content| content.is_some());
        let condition = ("if-none-match", "*".to_owned());
        if self.put(&mut slot, Some(condition)) && exists {
            self.breach(&format!("{} was created a second time", slot.key));
        }
        self.keep(slot);
    }

    fn overwrite_if_match(&mut self) {
        let mut slot = self.any();
        let etag = match slot.known() {
            Some(Some(content)) if !content.etag.is_empty() => content.etag.clone(),
            _ => return self.keep(slot),
        };
        let wrong = self.random.below(2) == 0;
        let etag = if wrong {
            "\"00000000000000000000000000000000\"".to_owned()
        } else {
            etag
        };
        if self.put(&mut slot, Some(("if-match", etag))) && wrong {
            self.breach(&format!(
                "{} was overwritten against its condition",
                slot.key
            ));
        }
        self.keep(slot);
    }

    fn delete(&mut self) {
        let bucket = self.customer.bucket.clone();
        let mut slot = self.any();
        let request = Request {
            method: "DELETE",
            bucket: &bucket,
            key: &slot.key,
            ..Request::default()
        };
        match self.ask(&request, 0) {
            Outcome::Done(_) => slot.acknowledged(None),
            Outcome::Unsure => slot.unsure(None),
            Outcome::Refused(_) | Outcome::Unsent => {}
        }
        // One that is deleted is created again now and then, and forgotten otherwise once it was looked for.
        if slot.known() == Some(None) && self.random.below(2) == 0 {
            self.look(&slot);
            self.retired.push(slot);
        } else {
            self.keep(slot);
        }
    }

    fn read(&mut self) {
        let unknown = !self.retired.is_empty() && self.random.below(5) == 0;
        let slot = if unknown {
            let at = self.random.below(self.retired.len());
            self.retired[at].clone()
        } else {
            let at = self.random.below(self.live.len());
            self.live[at].clone()
        };
        self.look(&slot);
    }

    /// Reads it and holds it against the ledger. Whether it was answered.
    fn look(&mut self, slot: &Slot) -> bool {
        let bucket = self.customer.bucket.clone();
        let request = Request {
            method: "GET",
            bucket: &bucket,
            key: &slot.key,
            ..Request::default()
        };
        let outcome = self.ask(
            &request,
            self.sizes
                .iter()
                .copied()
                .max()
                .unwrap_or(0)
                .max(PART + PART),
        );
        let judged = match &outcome {
            Outcome::Done(answer) => slot.judge(&self.customer.tenant_id, Some(&answer.body)),
            Outcome::Refused(answer) if answer.code() == "NoSuchKey" => {
                slot.judge(&self.customer.tenant_id, None)
            }
            // A clock that is wrong refuses all, and so does an account that is full.
            Outcome::Refused(answer) if answer.status == 403 => return false,
            Outcome::Refused(answer) => Err(format!("{}: {}", slot.key, answer.told())),
            Outcome::Unsure | Outcome::Unsent => return false,
        };
        if let Err(wrong) = judged {
            let id = match &outcome {
                Outcome::Done(answer) | Outcome::Refused(answer) => {
                    answer.header("x-amz-request-id").unwrap_or_default()
                }
                Outcome::Unsure | Outcome::Unsent => "",
            };
            self.breach(&format!("{wrong} (request {id})"));
        }
        true
    }

    /// Everything under the prefix, as far as one page goes.
    fn list(&mut self) {
        self.list_all();
    }

    fn list_all(&mut self) -> Option<u64> {
        let bucket = self.customer.bucket.clone();
        let mut start = String::new();
        let mut found: HashMap<String, usize> = HashMap::new();
        loop {
            let mut query = vec![
                ("list-type", "2".to_owned()),
                ("prefix", self.prefix.clone()),
            ];
            if !start.is_empty() {
                query.push(("start-after", start.clone()));
            }
            let request = Request {
                method: "GET",
                bucket: &bucket,
                query,
                ..Request::default()
            };
            let Outcome::Done(answer) = self.ask(&request, 1 << 20) else {
                return None;
            };
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            for entry in text.split("<Contents>").skip(1) {
                let key = crate::s3::element(entry, "Key").unwrap_or_default();
                let size = crate::s3::element(entry, "Size").and_then(|size| size.parse().ok());
                start = key.to_owned();
                found.insert(key.to_owned(), size.unwrap_or(usize::MAX));
            }
            if !text.contains("<IsTruncated>true</IsTruncated>") {
                break;
            }
        }
        let sum = found.values().map(|size| *size as u64).sum();
        let mut wrong = Vec::new();
        for slot in self.live.iter().chain(&self.retired) {
            match found.remove(&slot.key) {
                None if slot.must_exist() => wrong.push(format!("{} is not listed", slot.key)),
                Some(size) if !slot.may_have_length(size) => {
                    wrong.push(format!("{} is listed with {size} bytes", slot.key));
                }
                _ => {}
            }
        }
        wrong.extend(
            found
                .keys()
                .map(|key| format!("{key} is listed and was never written")),
        );
        for what in wrong {
            self.breach(&what);
        }
        Some(sum)
    }

    fn copy(&mut self) {
        let bucket = self.customer.bucket.clone();
        let at = self.random.below(self.live.len());
        let Some(Some(content)) = self.live[at].known() else {
            return;
        };
        let content = content.clone();
        let from: String = self.live[at].key.bytes().fold(String::new(), |text, byte| {
            match byte.is_ascii_alphanumeric() || byte == b'/' {
                true => text + &char::from(byte).to_string(),
                false => text + &format!("%{byte:02X}"),
            }
        });
        let mut slot = Slot::new(self.new_key());
        let request = Request {
            method: "PUT",
            bucket: &bucket,
            key: &slot.key,
            headers: vec![("x-amz-copy-source", format!("/{bucket}/{from}"))],
            ..Request::default()
        };
        match self.ask(&request, 1000) {
            Outcome::Done(answer) => {
                let etag = answer
                    .element("ETag")
                    .unwrap_or_default()
                    .replace("&quot;", "\"");
                slot.acknowledged(Some(Content { etag, ..content }));
            }
            Outcome::Unsure => slot.unsure(Some(content)),
            Outcome::Refused(_) | Outcome::Unsent => {}
        }
        self.keep(slot);
    }

    fn upload_in_parts(&mut self) {
        let mut slot = Slot::new(self.new_key());
        self.parts(&mut slot);
        self.keep(slot);
    }

    fn parts(&mut self, slot: &mut Slot) -> Option<()> {
        let bucket = self.customer.bucket.clone();
        let key = slot.key.clone();
        let whole = {
            self.made += 1;
            body(&self.customer.tenant_id, &key, self.made, PART + 1000)
        };
        let request = |method, query, body| Request {
            method,
            bucket: &bucket,
            key: &key,
            query,
            headers: Vec::new(),
            body,
        };
        let begin = request("POST", vec![("uploads", String::new())], &[]);
        let Outcome::Done(begun) = self.ask(&begin, 1000) else {
            return None;
        };
        let upload = begun.element("UploadId")?;
        let id = || ("uploadId", upload.clone());
        let mut listed = String::new();
        for (number, part) in (1..).zip(whole.chunks(PART)) {
            let query = vec![("partNumber", format!("{number}")), id()];
            let Outcome::Done(answer) = self.ask(&request("PUT", query, part), 0) else {
                self.ask(&request("DELETE", vec![id()], &[]), 0);
                return None;
            };
            let etag = answer.header("etag")?.replace('"', "&quot;");
            listed += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        let document = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
        let content = Content::of(&whole, "");
        match self.ask(&request("POST", vec![id()], document.as_bytes()), 1000) {
            Outcome::Done(answer) if answer.code().is_empty() => {
                slot.acknowledged(Some(content));
            }
            Outcome::Done(_) | Outcome::Unsure => slot.unsure(Some(content)),
            Outcome::Refused(_) | Outcome::Unsent => {}
        }
        Some(())
    }

    /// When all is well again: looks at everything that was ever written. Gives the bytes that are listed.
    pub fn look_at_all(&mut self) -> u64 {
        let all: Vec<Slot> = self.live.iter().chain(&self.retired).cloned().collect();
        for slot in &all {
            let answered = (0..5).any(|_| self.look(slot));
            if !answered {
                self.breach(&format!("{} cannot be read when all is well", slot.key));
            }
        }
        (0..5).find_map(|_| self.list_all()).unwrap_or_else(|| {
            self.breach("nothing can be listed when all is well");
            0
        })
    }

    pub fn objects(&self) -> usize {
        self.live.len() + self.retired.len()
    }
}
