//! What a client knows: which contents an object may have, and what its access keys have used. Pure.
//! A write that was not acknowledged leaves two outcomes; whatever else is found is a breach.

use sha2::{Digest, Sha256};

use crate::random::Random;

const MARK: &str = "vaultaire-chaos";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// SHA-256, in hexadecimal.
    pub sha: String,
    pub length: usize,
    /// As it was acknowledged; empty where it was not.
    pub etag: String,
}

impl Content {
    pub fn of(body: &[u8], etag: &str) -> Self {
        Self {
            sha: hex::encode(Sha256::digest(body)),
            length: body.len(),
            etag: etag.to_owned(),
        }
    }
}

/// A body that says whose it is: at least its first line, and then what the line and the length decide.
pub fn body(tenant: &str, key: &str, version: u64, length: usize) -> Vec<u8> {
    let line = format!("{MARK} tenant={tenant} key={key} version={version}\n");
    let mut body = line.clone().into_bytes();
    let mut rest = vec![0; length.saturating_sub(body.len())];
    Random::of(version, &line).fill(&mut rest);
    body.extend(rest);
    body
}

/// The first line of a body.
fn line(body: &[u8]) -> String {
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = &line[..line.len().min(200)];
    String::from_utf8_lossy(line).into_owned()
}

/// Whether the body says that it is another tenant's.
pub fn is_foreign(body: &[u8], tenant: &str) -> bool {
    let line = line(body);
    line.starts_with(MARK) && !line.contains(&format!(" tenant={tenant} "))
}

/// What an object may be. `None` is that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub key: String,
    allowed: Vec<Option<Content>>,
}

impl Slot {
    pub fn new(key: String) -> Self {
        Self {
            key,
            allowed: vec![None],
        }
    }

    /// What it certainly is.
    pub fn known(&self) -> Option<Option<&Content>> {
        match self.allowed.as_slice() {
            [one] => Some(one.as_ref()),
            _ => None,
        }
    }

    pub fn acknowledged(&mut self, content: Option<Content>) {
        self.allowed = vec![content];
    }

    /// It was sent, and nobody knows what came of it. It may still be on its way: a later write, too, may be followed by it.
    pub fn unsure(&mut self, content: Option<Content>) {
        if !self.allowed.contains(&content) {
            self.allowed.push(content);
        }
    }

    pub fn may_exist(&self) -> bool {
        self.allowed.iter().any(Option::is_some)
    }

    pub fn must_exist(&self) -> bool {
        self.allowed.iter().all(Option::is_some)
    }

    pub fn may_have_length(&self, length: usize) -> bool {
        let mut contents = self.allowed.iter().flatten();
        contents.any(|content| content.length == length)
    }

    /// Whether this may be found. `None`: there is no such object.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, tenant: &str, found: Option<&[u8]>) -> Result<(), String> {
        let Some(found) = found else {
            return match self.allowed.contains(&None) {
                true => Ok(()),
                false => Err(format!("LOST: {} was acknowledged and is gone", self.key)),
            };
        };
        let sha = hex::encode(Sha256::digest(found));
        let mut contents = self.allowed.iter().flatten();
        if contents.any(|content| content.sha == sha) {
            return Ok(());
        }
        let what = if is_foreign(found, tenant) {
            "LEAKED: another tenant's"
        } else if self.may_exist() {
            "TORN or stale"
        } else {
            "UNDEAD: deleted, and there again"
        };
        let expected: Vec<String> = self
            .allowed
            .iter()
            .map(|content| match content {
                Some(content) => format!("{} bytes {}", content.length, &content.sha[..12]),
                None => "nothing".to_owned(),
            })
            .collect();
        Err(format!(
            "{what}: {} holds {} bytes {} ({:?}), not {}",
            self.key,
            found.len(),
            &sha[..12],
            line(found),
            expected.join(" or ")
        ))
    }
}

/// What one access key has used, as far as its client can know: at least, and at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: Range,
    pub bytes_in: Range,
    pub bytes_out: Range,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    pub least: u64,
    pub most: u64,
}

impl Range {
    fn add(&mut self, least: u64, most: u64) {
        self.least += least;
        self.most += most;
    }

    fn holds(&self, figure: u64) -> bool {
        (self.least..=self.most).contains(&figure)
    }
}

/// Whether an answer with this status is counted.
pub fn counts(status: u16) -> bool {
    matches!(status, 200..=299 | 304 | 404 | 412 | 416)
}

impl Tally {
    /// It was answered to its end.
    pub fn answered(&mut self, status: u16, sent: usize, received: usize) {
        if counts(status) {
            // Of a body that was not wanted the node may have read less.
            let least = if status < 300 { sent } else { 0 };
            self.requests.add(1, 1);
            self.bytes_in.add(least as u64, sent as u64);
            self.bytes_out.add(received as u64, received as u64);
        }
    }

    /// It broke off; such an answer may have been on its way.
    pub fn unsure(&mut self, sent: usize, expected: usize) {
        self.requests.add(0, 1);
        self.bytes_in.add(0, sent as u64);
        self.bytes_out.add(0, expected as u64);
    }

    pub fn is_exact(&self) -> bool {
        self.requests.least == self.requests.most
    }

    /// # Errors
    /// What does not fit, if `booked` (requests, bytes in, bytes out) cannot be this.
    pub fn judge(&self, booked: [u64; 3]) -> Result<(), String> {
        let figures = [
            ("requests", self.requests),
            ("bytes in", self.bytes_in),
            ("bytes out", self.bytes_out),
        ];
        for ((name, range), booked) in figures.into_iter().zip(booked) {
            if !range.holds(booked) {
                return Err(format!(
                    "{booked} {name} are booked, of {} to {}",
                    range.least, range.most
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(version: u64) -> (Vec<u8>, Content) {
        let body = body("a", "k", version, 100);
        let content = Content::of(&body, "");
        (body, content)
    }

    #[test]
    fn what_was_acknowledged_must_be_there_and_be_whole() {
        let (first, second) = (content(1), content(2));
        let mut slot = Slot::new("k".to_owned());
        assert!(slot.judge("a", None).is_ok());
        assert!(
            slot.judge("a", Some(&first.0))
                .unwrap_err()
                .contains("UNDEAD")
        );
        slot.acknowledged(Some(first.1));
        assert!(slot.judge("a", Some(&first.0)).is_ok());
        assert!(slot.judge("a", None).unwrap_err().contains("LOST"));
        assert!(
            slot.judge("a", Some(&first.0[..50]))
                .unwrap_err()
                .contains("TORN")
        );
        assert!(
            slot.judge("a", Some(&second.0))
                .unwrap_err()
                .contains("TORN")
        );
    }

    #[test]
    fn what_was_not_acknowledged_may_be_either() {
        let (first, second) = (content(1), content(2));
        let mut slot = Slot::new("k".to_owned());
        slot.acknowledged(Some(first.1));
        slot.unsure(Some(second.1));
        assert_eq!(slot.known(), None);
        assert!(slot.judge("a", Some(&first.0)).is_ok());
        assert!(slot.judge("a", Some(&second.0)).is_ok());
        assert!(slot.judge("a", None).is_err());
        assert!(slot.must_exist());
        slot.unsure(None);
        assert!(slot.judge("a", None).is_ok());
        assert!(!slot.must_exist());
    }

    #[test]
    fn what_is_anothers_is_seen() {
        let (_, own) = content(1);
        let mut slot = Slot::new("k".to_owned());
        slot.acknowledged(Some(own));
        let foreign = body("b", "k", 1, 100);
        assert!(
            slot.judge("a", Some(&foreign))
                .unwrap_err()
                .contains("LEAKED")
        );
    }

    #[test]
    fn a_request_too_many_or_too_few_is_seen() {
        let mut tally = Tally::default();
        tally.answered(200, 10, 0);
        tally.answered(404, 0, 30);
        tally.answered(503, 10, 300);
        assert_eq!(tally.judge([2, 10, 30]), Ok(()));
        assert!(tally.judge([3, 10, 30]).is_err());
        assert!(tally.judge([1, 10, 30]).is_err());
        assert!(tally.judge([2, 20, 30]).is_err());
        tally.unsure(5, 7);
        assert_eq!(tally.judge([3, 15, 33]), Ok(()));
        assert!(tally.judge([4, 15, 33]).is_err());
        assert!(tally.judge([3, 15, 38]).is_err());
    }
}
