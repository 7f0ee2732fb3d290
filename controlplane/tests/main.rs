//! The control plane on a fresh database each, through its real router and a real WebSocket.
//! `TEST_DATABASE_URL` says where; `scripts/with-postgres` sets it.

mod accounts;
mod admin;
mod allotments;
mod bucket_settings;
mod buckets;
mod database;
mod engine;
mod isolation;
mod nodes;
mod object_lock;
mod plane;
mod probe;
mod revisions;
mod sealed;
mod stream;
mod versions;
