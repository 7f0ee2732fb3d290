//! The control plane on a fresh database each, through its real router and a real WebSocket.
//! `TEST_DATABASE_URL` says where; `scripts/with-postgres` sets it.

mod accounts;
mod admin;
mod alerts;
mod allotments;
mod audit;
mod billing;
mod bucket_settings;
mod buckets;
mod console;
mod database;
mod engine;
mod isolation;
mod leases;
mod mail;
mod mailbox;
mod members;
mod nodes;
mod object_lock;
mod plane;
mod probe;
mod recovery;
mod revisions;
mod sealed;
mod second_step;
mod sign_up;
mod snapshots;
mod standin;
mod stream;
mod stripe;
mod usage;
mod versions;
mod webhooks;
