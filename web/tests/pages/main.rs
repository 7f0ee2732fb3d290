//! The pages through the real router, on a fresh database each. `scripts/with-postgres cargo test -p web` runs them.

mod accounts;
#[path = "../../../controlplane/tests/authenticator.rs"]
mod authenticator;
mod billing;
mod buckets;
mod engines;
mod hostile;
mod keys;
mod logins;
mod notices;
mod operators;
mod passkeys;
mod refusals;
mod routes;
mod settings;
mod site;
mod story;
mod tenants;
mod tokens;
mod usage;
