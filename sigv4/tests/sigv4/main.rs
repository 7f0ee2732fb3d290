//! What the crate promises, against what AWS publishes and against a signer that is not ours.
//! One binary, for linking costs more than running.

mod canonical;
mod documented;
mod independent;
mod parsing;
mod suite;
mod tampering;

use sha2::{Digest, Sha256};

/// Lower-case hex.
fn sha256(data: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(data))
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
