//! The control plane on a fresh database each, through its real router and a real WebSocket.
//! `TEST_DATABASE_URL` says where; `scripts/with-postgres` sets it.

mod accounts;
mod admin;
mod allotments;
mod audit;
mod authenticator;
mod bucket_settings;
mod buckets;
mod console;
mod database;
mod deletion;
mod engine;
mod isolation;
mod leases;
mod mail;
mod mailbox;
mod members;
mod nodes;
mod object_lock;
mod passkeys;
mod plane;
mod probe;
mod recovery;
mod revisions;
mod sealed;
mod second_step;
mod sign_up;
mod snapshots;
mod stream;
mod usage;
mod versions;
