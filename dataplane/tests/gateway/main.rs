//! The data plane from outside: a real node between a fake control plane, which fails the test on any surprise, and a
//! recording engine. Denied means that nothing reached the engine.

mod client;
mod connections;
mod control;
mod drain;
mod engine;
mod engines;
mod features;
mod form;
mod hostile;
mod hostile_forms;
mod isolation;
mod limits;
mod listing;
mod panics;
mod public;
mod push;
mod quota;
mod refusals;
mod snapshots;
mod streams;
mod tls;
mod upload;
mod usage;
mod world;
mod writes;
