//! The pages through the real router, on a fresh database each. `scripts/with-postgres cargo test -p web` runs them.

mod access;
mod accounts;
#[path = "../../../controlplane/tests/authenticator.rs"]
mod authenticator;
mod buckets;
mod forgery;
mod headers;
mod keys;
mod logins;
mod passkeys;
mod settings;
mod site;
mod story;
