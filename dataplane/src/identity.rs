//! Who this node is: an id that the control plane gave, and an Ed25519 key that never leaves. The key signs the node's
//! tokens, and from it comes the key of the cache on disk.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use hkdf::Hkdf;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use wire::{NODE_AUDIENCE, NodeClaims};
use zeroize::Zeroizing;

const FILE: &str = "node.json";

/// Seconds that a node token lives.
const TOKEN_SECONDS: i64 = 120;

pub struct Identity {
    pub node_id: String,
    key: SigningKey,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    node_id: String,
    /// Base64 of the 32 bytes from which the key is made.
    seed: String,
}

pub fn new_key() -> SigningKey {
    SigningKey::from_bytes(&rand::random::<[u8; 32]>())
}

/// Base64 of the 32 bytes of the public key.
pub fn public_key(key: &SigningKey) -> String {
    STANDARD.encode(key.verifying_key().as_bytes())
}

impl Identity {
    /// `None` when the node has not joined yet. A file that cannot be read is an error: a new identity in its place
    /// would hide the damage.
    pub fn load(dir: &Path) -> anyhow::Result<Option<Identity>> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", path.display()));
            }
        };
        let damaged = || {
            format!(
                "{} is damaged: remove it and join the node again",
                path.display()
            )
        };
        let stored: Stored = serde_json::from_str(&text).with_context(damaged)?;
        let seed = STANDARD
            .decode(&stored.seed)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let seed = Zeroizing::new(seed.with_context(damaged)?);
        Ok(Some(Identity {
            node_id: stored.node_id,
            key: SigningKey::from_bytes(&seed),
        }))
    }

    /// Writes the identity down, readable by this user alone.
    pub fn create(dir: &Path, node_id: String, key: SigningKey) -> anyhow::Result<Identity> {
        let stored = Stored {
            node_id,
            seed: STANDARD.encode(key.as_bytes()),
        };
        let partial = dir.join(format!("{FILE}.partial"));
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(serde_json::to_string(&stored)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, dir.join(FILE))?;
        Ok(Identity {
            node_id: stored.node_id,
            key,
        })
    }

    /// A token that says who this node is, for two minutes.
    pub fn token(&self, now: DateTime<Utc>) -> anyhow::Result<String> {
        let claims = NodeClaims {
            sub: self.node_id.clone(),
            aud: NODE_AUDIENCE.to_owned(),
            iat: now.timestamp(),
            exp: now.timestamp() + TOKEN_SECONDS,
        };
        let der = self.key.to_pkcs8_der()?;
        let key = EncodingKey::from_ed_der(der.as_bytes());
        Ok(jsonwebtoken::encode(
            &Header::new(Algorithm::EdDSA),
            &claims,
            &key,
        )?)
    }

    /// The key under which the cache on disk is encrypted.
    pub fn cache_key(&self) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0u8; 32]);
        // 32 bytes are within HKDF's bound, so that expand cannot fail.
        let _ = Hkdf::<Sha256>::new(None, self.key.as_bytes())
            .expand(b"vaultaire node cache", key.as_mut_slice());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_identity_is_kept_and_closed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Identity::load(dir.path()).unwrap().is_none());
        let made = Identity::create(dir.path(), "n1".into(), new_key()).unwrap();
        let loaded = Identity::load(dir.path()).unwrap().unwrap();
        assert_eq!(loaded.node_id, "n1");
        assert_eq!(loaded.cache_key(), made.cache_key());
        let mode = fs::metadata(dir.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(Identity::load(dir.path()).is_err());
    }

    #[test]
    fn tokens_verify_with_the_public_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = new_key();
        let public = key.verifying_key();
        let identity = Identity::create(dir.path(), "n1".into(), key).unwrap();
        let token = identity.token(Clock::system().now()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[NODE_AUDIENCE]);
        let verify = |key: &[u8]| {
            jsonwebtoken::decode::<NodeClaims>(&token, &DecodingKey::from_ed_der(key), &validation)
        };
        assert_eq!(verify(public.as_bytes()).unwrap().claims.sub, "n1");
        assert!(verify(new_key().verifying_key().as_bytes()).is_err());
    }

    use crate::clock::Clock;
}
