//! Seals what an engine hands out and a client hands in again, so that it opens only for the tenant, bucket and key
//! that it belongs to. Sealing is deterministic: the same upload id always looks the same, as clients expect.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// What a token is for, and whom it belongs to: the associated data under which it is sealed.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// A continuation token of ListObjectsV2.
    Listing { bucket_id: &'a str },
    /// An upload id.
    Upload { bucket_id: &'a str, key: &'a str },
    /// A version id.
    Version { bucket_id: &'a str, key: &'a str },
}

impl Owner<'_> {
    fn associated_data(&self) -> Vec<u8> {
        // Ids are of fixed length, so that no two owners have the same bytes.
        match self {
            Owner::Listing { bucket_id } => [b"list\0", bucket_id.as_bytes()].concat(),
            Owner::Upload { bucket_id, key } => {
                [b"upload\0", bucket_id.as_bytes(), b"\0", key.as_bytes()].concat()
            }
            Owner::Version { bucket_id, key } => {
                [b"version\0", bucket_id.as_bytes(), b"\0", key.as_bytes()].concat()
            }
        }
    }
}

struct SealingKey {
    cipher: XChaCha20Poly1305,
    nonce_key: Zeroizing<[u8; 32]>,
}

/// The first key seals; every key opens.
#[derive(Default)]
pub struct Sealer {
    keys: Vec<SealingKey>,
}

impl Sealer {
    /// `keys`: 32 bytes each.
    pub fn new(keys: &[[u8; 32]]) -> Self {
        let keys = keys
            .iter()
            .map(|key| {
                let hkdf = Hkdf::<Sha256>::new(None, key);
                let mut encryption = Zeroizing::new([0u8; 32]);
                let mut nonce_key = Zeroizing::new([0u8; 32]);
                // 32 bytes are within HKDF's bound, so that expand cannot fail.
                let _ = hkdf.expand(b"vaultaire token encryption", encryption.as_mut_slice());
                let _ = hkdf.expand(b"vaultaire token nonce", nonce_key.as_mut_slice());
                SealingKey {
                    cipher: XChaCha20Poly1305::new((&*encryption).into()),
                    nonce_key,
                }
            })
            .collect();
        Sealer { keys }
    }

    /// URL-safe text; `None` only when there is no key at all.
    pub fn seal(&self, owner: Owner<'_>, token: &str) -> Option<String> {
        let key = self.keys.first()?;
        let aad = owner.associated_data();
        let nonce = synthetic_nonce(&key.nonce_key, &aad, token.as_bytes());
        let sealed = key
            .cipher
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: token.as_bytes(),
                    aad: &aad,
                },
            )
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// `None` for what was not sealed here for this very owner.
    pub fn open(&self, owner: Owner<'_>, text: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let aad = owner.associated_data();
        self.keys.iter().find_map(|key| {
            let plain = key
                .cipher
                .decrypt(
                    &XNonce::from(nonce),
                    Payload {
                        msg: sealed,
                        aad: &aad,
                    },
                )
                .ok()?;
            String::from_utf8(plain).ok()
        })
    }
}

/// SIV in effect: two different tokens or owners never share a nonce but by a collision of SHA-256.
fn synthetic_nonce(key: &[u8; 32], aad: &[u8], token: &[u8]) -> [u8; NONCE] {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update((aad.len() as u64).to_be_bytes());
    hash.update(aad);
    hash.update(token);
    let mut nonce = [0u8; NONCE];
    for (byte, of_digest) in nonce.iter_mut().zip(hash.finalize()) {
        *byte = of_digest;
    }
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: &str = "0123456789abcdef0123456789abcdef";
    const C: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn a_token_opens_for_its_owner_alone() {
        let sealer = Sealer::new(&[[7; 32]]);
        let owner = Owner::Upload {
            bucket_id: B,
            key: "k",
        };
        let sealed = sealer.seal(owner, "engine-id").unwrap();
        assert_eq!(sealer.open(owner, &sealed).as_deref(), Some("engine-id"));
        assert_eq!(
            sealer.open(
                Owner::Upload {
                    bucket_id: C,
                    key: "k"
                },
                &sealed
            ),
            None
        );
        assert_eq!(
            sealer.open(
                Owner::Upload {
                    bucket_id: B,
                    key: "l"
                },
                &sealed
            ),
            None
        );
        assert_eq!(sealer.open(Owner::Listing { bucket_id: B }, &sealed), None);
        let version = Owner::Version {
            bucket_id: B,
            key: "k",
        };
        assert_eq!(sealer.open(version, &sealed), None);
        assert_eq!(Sealer::new(&[[8; 32]]).open(owner, &sealed), None);
    }

    #[test]
    fn sealing_is_deterministic_and_old_keys_open() {
        let owner = Owner::Listing { bucket_id: B };
        let old = Sealer::new(&[[1; 32]]);
        let sealed = old.seal(owner, "t").unwrap();
        assert_eq!(old.seal(owner, "t").unwrap(), sealed);
        let rotated = Sealer::new(&[[2; 32], [1; 32]]);
        assert_ne!(rotated.seal(owner, "t").unwrap(), sealed);
        assert_eq!(rotated.open(owner, &sealed).as_deref(), Some("t"));
    }

    #[test]
    fn garbage_does_not_open() {
        let sealer = Sealer::new(&[[1; 32]]);
        for text in ["", "a", "!!!!", &"A".repeat(32), &"A".repeat(200)] {
            assert_eq!(sealer.open(Owner::Listing { bucket_id: B }, text), None);
        }
    }
}
