//! The product as its users meet it: one story a module, each on a stack of its own.
//! `make test` runs them all; what takes minutes is ignored there and says how to run it.

mod api;
mod arrears;
mod backup;
mod billing;
mod book;
mod browser;
mod chromium;
mod clients;
mod conformance;
mod dashboard;
mod deletion;
mod engines;
mod fleet;
mod house;
mod isolation;
mod keyboard;
mod ledger;
mod licences;
mod lighthouse;
mod limits;
mod logins;
mod operators;
mod outage;
mod pages;
mod passkeys;
mod quota;
mod revocation;
mod rolling;
mod streams;
mod stripe;
mod survival;
mod two_engines;
mod usage;
