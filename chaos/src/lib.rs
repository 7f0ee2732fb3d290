//! The fault harness: a whole stack of the real binary, clients that keep a ledger of what was acknowledged, and faults that
//! a seed draws. It imports no product code and asks nothing that an operator, a customer or a disk could not be asked.

pub mod checks;
pub mod clients;
pub mod house;
pub mod inject;
pub mod ledger;
pub mod limited;
pub mod operator;
pub mod plan;
pub mod probers;
pub mod proxy;
pub mod random;
pub mod report;
pub mod run;
pub mod s3;
pub mod verdict;
pub mod worker;
