//! The data plane: a stateless S3 gateway that decides on every request from pushed configuration and streams the
//! rest to an engine. It knows no database and no screen, and holds no long-term secret.

// No panic is reachable from the wire: what can panic is either not written or says why it cannot.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod authenticate;
mod body;
mod busiest;
mod cache;
mod chunked;
mod clock;
#[cfg(test)]
mod compatibility;
mod connections;
mod control;
mod copy_source;
mod cors;
mod directory;
mod error;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a fuzz target panics where something is wrong"
)]
pub mod fuzz;
mod gate;
mod hashing;
mod headers;
mod health;
mod identity;
mod intake;
mod integrity;
mod journal;
mod leases;
mod limits;
mod listing;
mod metrics;
mod node;
mod operation;
mod ops;
mod ordered;
mod patience;
mod payload;
mod place;
mod push;
mod reencode;
mod refusals;
mod request;
mod seal;
mod server;
mod source;
mod strangers;
mod tenants;
mod timestamp;
mod tls;
#[cfg(test)]
mod troubleshooting;
mod uplink;
mod upstream;
mod usage;
mod workers;
mod xml;

pub use clock::Clock;
pub use node::{Bound, Config, LeftBehind, left_behind, run};
pub use patience::Patience;
pub use tls::Tls;
