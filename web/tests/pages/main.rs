//! The pages through the real router, on a fresh database each. `scripts/with-postgres cargo test -p web` runs them.

mod accounts;
mod buckets;
mod hostile;
mod keys;
mod logins;
mod routes;
mod site;
mod story;
