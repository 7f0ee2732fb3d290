//! A tenant whose rate is limited, and who asks for more at every node at once: together the nodes admit no more than its
//! limit, whoever is killed and whoever is cut off.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use e2e::load::Asked;

use crate::s3::{Connection, Key, Request};
use crate::verdict::{Verdict, lock};

pub const RATE: u32 = 15;
pub const BURST: u32 = 15;
/// At one node after the other for a while each, so that shares move: there more than the whole limit is asked for.
const TURN: Duration = Duration::from_secs(6);
const PACE: Duration = Duration::from_millis(40);
const IDLE_PACE: Duration = Duration::from_millis(400);
const WITHIN: Duration = Duration::from_secs(4);

/// Everything that was asked, at all nodes.
#[derive(Default)]
pub struct Log(Mutex<Vec<Asked>>);

/// Asks for one object at one of so many nodes until the run is over.
pub fn hammer(
    (host, node, nodes): (&str, usize, usize),
    key: &Key,
    bucket: &str,
    log: &Arc<Log>,
    verdict: &Arc<Verdict>,
) {
    let begun = Instant::now();
    let mut connection = Connection::new(host);
    let request = Request {
        method: "GET",
        bucket,
        key: "limited",
        ..Request::default()
    };
    while !verdict.is_over() {
        let sent = Instant::now();
        let answer = connection.ask(key, &request, WITHIN);
        let asked = Asked {
            sent,
            answered: Instant::now(),
            status: answer.as_ref().map_or(0, |answer| answer.status),
            bytes: 0,
        };
        if asked.status == 200 {
            lock(&log.0).push(asked);
        }
        let turn = begun.elapsed().as_secs() / TURN.as_secs();
        let its_turn = turn % nodes as u64 == node as u64;
        let pace = if its_turn { PACE } else { IDLE_PACE };
        thread::sleep(pace.saturating_sub(sent.elapsed()));
    }
}

impl Log {
    pub fn admitted(&self) -> Vec<Asked> {
        lock(&self.0).clone()
    }
}

/// Whether so many may have been admitted. A node that was started begins with a full bucket: each start is worth the
/// burst once, at most.
///
/// # Errors
/// By how much it was too much.
pub fn judge(admitted: &[Asked], starts: &[Instant], rate: f64, burst: f64) -> Result<(), String> {
    let mut by_time: Vec<&Asked> = admitted.iter().collect();
    by_time.sort_by_key(|asked| asked.answered);
    for seconds in [1, 5, 30, 120, 3600] {
        let stretch = Duration::from_secs(seconds);
        for first in 0..by_time.len() {
            let (from, to) = (by_time[first].sent, by_time[first].sent + stretch);
            let count = by_time
                .iter()
                .filter(|asked| asked.sent >= from && asked.answered <= to)
                .count();
            let begun = starts
                .iter()
                // What a full bucket holds beside the rate is gone no sooner than it is asked for.
                .filter(|start| **start + Duration::from_secs(60) >= from && **start <= to)
                .count();
            let most = rate * seconds as f64 + burst * (1.0 + begun as f64);
            if count as f64 > most.ceil() + 1.0 {
                return Err(format!(
                    "{count} requests were admitted in {seconds} s, of {most:.0} at most ({begun} starts of nodes)"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(millis: u64, count: u64) -> (Instant, Vec<Asked>) {
        let begun = Instant::now();
        let at = |n: u64| begun + Duration::from_millis(n * millis);
        let asked = (0..count).map(|n| Asked {
            sent: at(n),
            answered: at(n) + Duration::from_millis(1),
            status: 200,
            bytes: 0,
        });
        (begun, asked.collect())
    }

    #[test]
    fn more_than_the_limit_is_seen() {
        let (_, at_the_limit) = every(100, 300);
        assert_eq!(judge(&at_the_limit, &[], 10.0, 10.0), Ok(()));
        let (_, above) = every(70, 300);
        assert!(judge(&above, &[], 10.0, 10.0).is_err());
    }

    #[test]
    fn a_start_of_a_node_is_worth_one_burst() {
        let (begun, burst) = every(1, 28);
        assert!(judge(&burst, &[], 10.0, 10.0).is_err());
        assert_eq!(judge(&burst, &[begun], 10.0, 10.0), Ok(()));
    }
}
