//! The control plane: accounts, access keys, buckets, plans and nodes, kept in Postgres and pushed to data planes.
//! It renders no page (crate `web` does) and serves no object (crate `dataplane` does).

pub mod access_keys;
pub mod accounts;
pub mod across;
mod allotments;
mod api;
pub mod api_tokens;
pub mod audit;
pub mod billing;
pub mod buckets;
pub mod bulk;
mod clock;
mod config;
pub mod console;
mod db;
pub mod deletion;
mod engine;
mod error;
pub mod export;
pub mod ids;
pub mod jobs;
pub mod leases;
pub mod limits;
mod mail;
pub mod members;
pub mod nodes;
pub mod notices;
mod passwords;
mod plane;
pub mod plans;
mod push;
mod random;
pub mod refusals;
pub mod revenue;
mod secrets;
pub mod tenants;
mod tx;
pub mod usage;

pub use api::{admin_route_table, client_address, customer_route_table};
pub use clock::Clock;
pub use config::{Config, EngineConfig, PlacementKind};
pub use error::Error;
pub use mail::MailConfig;
pub use plane::{ControlPlane, NodeAck, PendingNode, Receipt};
pub use secrets::{MasterKey, MasterKeyError};
pub use tx::{Actor, Origin, Tx};
