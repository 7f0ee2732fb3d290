//! A limit that was reached, and how S3 says so: `503 SlowDown` with `Retry-After`.

use std::time::Duration;

use wire::Rule;

use crate::error::{Code, S3Error};

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// More than the rate and its burst; it clears after `wait`. Thousandths of requests a second.
    Rate {
        wait: Duration,
        counter: u64,
        limit: u64,
    },
    /// More at once than allowed.
    Concurrency { counter: u64, limit: u64 },
    /// More bytes are promised to streams under way than can be sent in five seconds. Bytes a second.
    Bandwidth {
        wait: Duration,
        counter: u64,
        limit: u64,
    },
}

impl From<Over> for S3Error {
    fn from(over: Over) -> Self {
        let seconds = |wait: Duration| wait.as_secs_f64().ceil().max(1.0) as u64;
        match over {
            Over::Rate {
                wait,
                counter,
                limit,
            } => S3Error::new(Code::SlowDown)
                .retry_after(seconds(wait))
                .by(Rule::RateLimit)
                .figures(counter, limit, Some(wait)),
            Over::Concurrency { counter, limit } => S3Error::with(
                Code::SlowDown,
                "Too many requests of this account are under way at once.",
            )
            .retry_after(1)
            .by(Rule::ConcurrencyLimit)
            .figures(counter, limit, None),
            Over::Bandwidth {
                wait,
                counter,
                limit,
            } => S3Error::with(
                Code::SlowDown,
                "Transfers of this account that are under way take all of its bandwidth for some seconds.",
            )
            .retry_after(seconds(wait))
            .by(Rule::BandwidthLimit)
            .figures(counter, limit, Some(wait)),
        }
    }
}
