//! The pages through the real router, on a fresh database each. `scripts/with-postgres cargo test -p web` runs them.

mod accounts;
#[path = "../../../controlplane/tests/authenticator.rs"]
mod authenticator;
mod billing;
mod buckets;
mod business;
mod engines;
mod fleet;
mod hostile;
mod jobs;
mod keys;
mod logins;
mod notices;
mod operators;
mod passkeys;
mod plans;
mod refusals;
mod routes;
mod settings;
mod site;
mod story;
mod tenants;
mod tokens;
mod usage;
