//! The harness of the black-box tests: it starts the real binary and the clients that others wrote, and ends them again.
//! It imports no code of the product, and asks it nothing that an operator or a customer could not ask.

pub mod balancer;
pub mod book;
pub mod client;
pub mod collector;
pub mod doorman;
pub mod engine;
pub mod hammer;
pub mod http;
pub mod load;
pub mod logs;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod stack;
pub mod stripe;
pub mod tools;
pub mod turn;
pub mod wait;

pub use client::Client;
pub use engine::Engine;
pub use process::{Process, run};
pub use stack::{Placement, Stack};
pub use stripe::Stripe;
pub use wait::until;
