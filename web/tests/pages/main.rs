//! The pages through the real router, on a fresh database each. `scripts/with-postgres cargo test -p web` runs them.

mod access;
mod accounts;
mod billing;
mod buckets;
mod forgery;
mod headers;
mod keys;
mod logins;
mod site;
mod story;
