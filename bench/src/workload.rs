//! What is asked of each candidate: the operations, how many connections, how long.
//! Nothing here depends on which candidate it is.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

pub const SMALL: usize = 4 * 1024;
pub const LARGE: usize = 64 * 1024 * 1024;
pub const LISTED: usize = 1000;
/// Distinct keys of each size.
const SMALL_KEYS: usize = 64;
const LARGE_KEYS: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Operation {
    Get,
    Put,
    Head,
    List,
    GetLarge,
    PutLarge,
    PutLargeHashed,
}

#[derive(Clone, Copy, Debug)]
pub enum Until {
    Elapsed(Duration),
    /// Requests in all.
    Answered(usize),
}

#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub operation: Operation,
    pub connections: usize,
    pub until: Until,
    pub rounds: usize,
}

/// A request before it is signed.
pub struct Asked {
    pub method: Method,
    /// Below the bucket, already encoded.
    pub key: String,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
    /// Whether the body's hash is signed, or `UNSIGNED-PAYLOAD`.
    pub hashed: bool,
    /// Bytes that must come back.
    pub answer: Option<usize>,
}

pub const fn small(name: &'static str, operation: Operation, connections: usize) -> Workload {
    let millis = if connections == 1 { 800 } else { 1200 };
    Workload {
        name,
        operation,
        connections,
        until: Until::Elapsed(Duration::from_millis(millis)),
        rounds: 5,
    }
}

const fn large(name: &'static str, operation: Operation) -> Workload {
    Workload {
        name,
        operation,
        connections: 2,
        until: Until::Answered(4),
        rounds: 5,
    }
}

pub const WORKLOADS: &[Workload] = &[
    // An aim hangs on it, by a few hundredths.
    Workload {
        rounds: 9,
        ..small("GET 4 KiB", Operation::Get, 16)
    },
    small("PUT 4 KiB", Operation::Put, 16),
    small("HEAD", Operation::Head, 16),
    small("LIST 1000", Operation::List, 16),
    small("GET 4 KiB, one at a time", Operation::Get, 1),
    small("PUT 4 KiB, one at a time", Operation::Put, 1),
    large("GET 64 MiB", Operation::GetLarge),
    large("PUT 64 MiB", Operation::PutLarge),
    large("PUT 64 MiB, hash signed", Operation::PutLargeHashed),
];

impl Workload {
    /// Where a log and buffers make a difference worth a line of its own.
    pub fn tells_buffering(&self) -> bool {
        matches!(self.operation, Operation::Get | Operation::GetLarge) && self.connections > 1
    }
}

impl Operation {
    pub fn is_large(self) -> bool {
        use Operation::*;
        matches!(self, GetLarge | PutLarge | PutLargeHashed)
    }

    /// Every distinct request; connections take them in turn.
    pub fn requests(self, bodies: &Bodies) -> Vec<Asked> {
        let small = |method: Method, body: &Bytes, answer| {
            (0..SMALL_KEYS)
                .map(|i| asked(method.clone(), format!("small/{i:04}"), body, true, answer))
                .collect()
        };
        let large = |method: Method, body: &Bytes, hashed, answer| {
            (0..LARGE_KEYS)
                .map(|i| {
                    asked(
                        method.clone(),
                        format!("large/{i:04}"),
                        body,
                        hashed,
                        answer,
                    )
                })
                .collect()
        };
        match self {
            Operation::Get => small(Method::GET, &Bytes::new(), Some(SMALL)),
            Operation::Put => small(Method::PUT, &bodies.small, None),
            Operation::Head => small(Method::HEAD, &Bytes::new(), Some(0)),
            Operation::List => vec![Asked {
                query: vec![
                    ("list-type".to_owned(), "2".to_owned()),
                    ("prefix".to_owned(), "list/".to_owned()),
                ],
                ..asked(Method::GET, String::new(), &Bytes::new(), true, None)
            }],
            Operation::GetLarge => large(Method::GET, &Bytes::new(), true, Some(LARGE)),
            Operation::PutLarge => large(Method::PUT, &bodies.large, false, None),
            Operation::PutLargeHashed => large(Method::PUT, &bodies.large, true, None),
        }
    }
}

fn asked(method: Method, key: String, body: &Bytes, hashed: bool, answer: Option<usize>) -> Asked {
    Asked {
        method,
        key,
        query: Vec::new(),
        body: body.clone(),
        hashed,
        answer,
    }
}

/// What must be there before anything is measured: the objects that are read, and those that are listed.
pub fn preparation(bodies: &Bodies) -> Vec<Asked> {
    let mut all = Operation::Put.requests(bodies);
    all.extend(Operation::PutLarge.requests(bodies));
    all.extend((0..LISTED).map(|i| asked(Method::PUT, listed_key(i), &Bytes::new(), true, None)));
    all
}

pub fn listed_key(i: usize) -> String {
    format!("list/photo-{i:06}.jpg")
}

pub struct Bodies {
    pub small: Bytes,
    pub large: Bytes,
}

impl Bodies {
    /// Bytes that do not compress, and are the same in every run.
    pub fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut large = Vec::with_capacity(LARGE);
        while large.len() < LARGE {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            large.extend_from_slice(&state.to_le_bytes());
        }
        let large = Bytes::from(large);
        Bodies {
            small: large.slice(..SMALL),
            large,
        }
    }
}
