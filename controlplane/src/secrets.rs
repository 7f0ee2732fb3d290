//! Sealing of secrets at rest: XChaCha20-Poly1305 under a key for each purpose, bound to the row that it belongs to.
//! A sealed value bears the version of the master key that sealed it, so that the master key can be rotated.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const NONCE_LEN: usize = 24;

/// What a sealed value is; one purpose's values do not open as another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    AccessKeySecret,
    EngineSecret,
    TokenKeys,
    Mail,
    Totp,
    /// An answer of the API that is kept for an Idempotency-Key.
    ApiAnswer,
    WebhookSecret,
    OperatorTotp,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::AccessKeySecret => b"vaultaire/v1/access-key-secret",
            Self::EngineSecret => b"vaultaire/v1/engine-secret",
            Self::TokenKeys => b"vaultaire/v1/token-keys",
            Self::Mail => b"vaultaire/v1/mail",
            Self::Totp => b"vaultaire/v1/totp",
            Self::ApiAnswer => b"vaultaire/v1/api-answer",
            Self::WebhookSecret => b"vaultaire/v1/webhook-secret",
            Self::OperatorTotp => b"vaultaire/v1/operator-totp",
        }
    }
}

/// The key that all secrets at rest are sealed under, with those that it replaces or that are to replace it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    /// Every one opens.
    versions: Vec<(u8, [u8; 32])>,
    /// The one of them that seals.
    seals_under: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    #[error(
        "a master key is 32 bytes in base64 (or 64 hexadecimal digits), one a line, each with `VERSION:` before it where there are several"
    )]
    Malformed,
    #[error("two master keys have the same version")]
    SameVersion,
    #[error("there are 255 versions of the master key already")]
    NoVersionLeft,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// A single key, version 1.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self {
            versions: vec![(1, bytes)],
            seals_under: 1,
        }
    }

    /// Reads what the key file or the environment holds: lines of `[VERSION:]KEY`; `KEY` is 32 bytes in base64 or
    /// hexadecimal, `VERSION` is 0 to 255, and 1 where it is not said. The first seals until a database says another.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let mut versions: Vec<(u8, [u8; 32])> = Vec::new();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (version, key) = match line.split_once(':') {
                Some((version, key)) => (
                    version.parse().map_err(|_| MasterKeyError::Malformed)?,
                    key.trim(),
                ),
                None => (1, line),
            };
            if versions.iter().any(|(other, _)| *other == version) {
                return Err(MasterKeyError::SameVersion);
            }
            versions.push((version, decode_key(key)?));
        }
        let (seals_under, _) = *versions.first().ok_or(MasterKeyError::Malformed)?;
        Ok(Self {
            versions,
            seals_under,
        })
    }

    /// The lines of `text`, and after them a new random key of the next version.
    pub fn with_another(text: &str) -> Result<Zeroizing<String>, MasterKeyError> {
        let newest = Self::parse(text)?.versions.iter().map(|(v, _)| *v).max();
        let next = newest.and_then(|newest| newest.checked_add(1));
        let next = next.ok_or(MasterKeyError::NoVersionLeft)?;
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let key = Zeroizing::new(STANDARD.encode(key.as_slice()));
        Ok(Zeroizing::new(format!(
            "{}\n{next}:{}\n",
            text.trim_end(),
            *key
        )))
    }

    pub(crate) fn seals_under(&self) -> u8 {
        self.seals_under
    }

    /// The same keys, of which that of this version seals; `None`: there is none.
    pub(crate) fn sealing_under(&self, version: u8) -> Option<Self> {
        self.versions.iter().find(|(v, _)| *v == version)?;
        Some(Self {
            versions: self.versions.clone(),
            seals_under: version,
        })
    }

    /// Each version with what tells it from another key, and tells nothing else of it: 16 hexadecimal digits.
    pub fn fingerprints(&self) -> Vec<(u8, String)> {
        let fingerprint = |key: &[u8; 32]| {
            let mut short = [0u8; 8];
            // Eight bytes are never too many.
            let _ = Hkdf::<Sha256>::new(None, key).expand(b"vaultaire/v1/fingerprint", &mut short);
            hex::encode(short)
        };
        let versions = self.versions.iter();
        versions.map(|(v, key)| (*v, fingerprint(key))).collect()
    }

    /// `version | nonce | ciphertext and tag`. `row` says whose value it is and must be given again to open it.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        row: &str,
        plain: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let (version, key) = self
            .versions
            .iter()
            .find(|(version, _)| *version == self.seals_under)
            .ok_or_else(|| anyhow::anyhow!("there is no master key"))?;
        let nonce: [u8; NONCE_LEN] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: row.as_bytes(),
        };
        let ciphertext = cipher(key, purpose)?
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| anyhow::anyhow!("sealing failed"))?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + ciphertext.len());
        sealed.push(*version);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Fails when the value was sealed for another row or purpose, was changed, or its master key is not known.
    pub(crate) fn open(
        &self,
        purpose: Purpose,
        row: &str,
        sealed: &[u8],
    ) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let (version, rest) = sealed
            .split_first()
            .ok_or_else(|| anyhow::anyhow!("a sealed value is empty"))?;
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(|| anyhow::anyhow!("a sealed value is too short"))?;
        let (_, key) = self
            .versions
            .iter()
            .find(|(known, _)| known == version)
            .ok_or_else(|| anyhow::anyhow!("master key version {version} is not known"))?;
        let payload = Payload {
            msg: ciphertext,
            aad: row.as_bytes(),
        };
        cipher(key, purpose)?
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| {
                anyhow::anyhow!("a sealed value does not open: wrong master key, or a changed row")
            })
    }
}

fn cipher(key: &[u8; 32], purpose: Purpose) -> anyhow::Result<XChaCha20Poly1305> {
    let mut derived = Zeroizing::new([0u8; 32]);
    Hkdf::<Sha256>::new(None, key)
        .expand(purpose.info(), derived.as_mut_slice())
        .map_err(|_| anyhow::anyhow!("key derivation failed"))?;
    Ok(XChaCha20Poly1305::new(&Key::from(*derived)))
}

fn decode_key(text: &str) -> Result<[u8; 32], MasterKeyError> {
    let bytes = if text.len() == 64 {
        hex::decode(text).map_err(|_| MasterKeyError::Malformed)?
    } else {
        STANDARD
            .decode(text)
            .map_err(|_| MasterKeyError::Malformed)?
    };
    bytes.try_into().map_err(|_| MasterKeyError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "tenant/VLTKEY";

    fn key() -> MasterKey {
        MasterKey::from_bytes([7; 32])
    }

    #[test]
    fn what_was_sealed_opens_for_its_own_row_and_purpose_alone() -> anyhow::Result<()> {
        let sealed = key().seal(Purpose::AccessKeySecret, ROW, b"secret")?;
        let opened = key().open(Purpose::AccessKeySecret, ROW, &sealed)?;
        assert_eq!(opened.as_slice(), b"secret");
        assert!(
            key()
                .open(Purpose::AccessKeySecret, "other/VLTKEY", &sealed)
                .is_err()
        );
        assert!(key().open(Purpose::EngineSecret, ROW, &sealed).is_err());
        let other = MasterKey::from_bytes([8; 32]);
        assert!(other.open(Purpose::AccessKeySecret, ROW, &sealed).is_err());
        Ok(())
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() -> anyhow::Result<()> {
        let sealed = key().seal(Purpose::TokenKeys, ROW, b"0123456789")?;
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(
                key().open(Purpose::TokenKeys, ROW, &changed).is_err(),
                "byte {i}"
            );
        }
        assert!(key().open(Purpose::TokenKeys, ROW, &[]).is_err());
        assert!(key().open(Purpose::TokenKeys, ROW, &sealed[..20]).is_err());
        Ok(())
    }

    #[test]
    fn after_a_rotation_old_values_open_and_new_ones_bear_the_new_version() -> anyhow::Result<()> {
        let old = STANDARD.encode([7; 32]);
        let rotated = MasterKey::parse(&format!("2:{}\n1:{old}\n", STANDARD.encode([9; 32])))?;
        let sealed = key().seal(Purpose::EngineSecret, ROW, b"x")?;
        assert_eq!(
            rotated
                .open(Purpose::EngineSecret, ROW, &sealed)?
                .as_slice(),
            b"x"
        );
        assert_eq!(rotated.seal(Purpose::EngineSecret, ROW, b"x")?[0], 2);
        let back = rotated.sealing_under(1).unwrap();
        let sealed = back.seal(Purpose::EngineSecret, ROW, b"x")?;
        assert_eq!(sealed[0], 1);
        assert!(key().open(Purpose::EngineSecret, ROW, &sealed).is_ok());
        assert!(rotated.sealing_under(3).is_none());
        Ok(())
    }

    #[test]
    fn another_key_comes_beside_those_that_are_there() -> anyhow::Result<()> {
        // A file from before versions were written into it.
        let first = "ab".repeat(32);
        let text = MasterKey::with_another(&first)?;
        let both = MasterKey::parse(&text)?;
        let names = both.fingerprints();
        assert_eq!(names[0], MasterKey::parse(&first)?.fingerprints()[0]);
        assert_eq!((names.len(), names[1].0, both.seals_under()), (2, 2, 1));
        assert_ne!(names[0].1, names[1].1);
        assert_ne!(*MasterKey::with_another(&first)?, *text);
        let full = format!("255:{}", STANDARD.encode([1; 32]));
        assert_eq!(
            MasterKey::with_another(&full).err(),
            Some(MasterKeyError::NoVersionLeft)
        );
        assert_eq!(
            MasterKey::with_another("").err(),
            Some(MasterKeyError::Malformed)
        );
        Ok(())
    }

    #[test]
    fn key_files_are_read_strictly() {
        let line = format!("1:{}\n", STANDARD.encode([7; 32]));
        assert!(MasterKey::parse(&line).is_ok());
        assert!(MasterKey::parse(&"ab".repeat(32)).is_ok());
        for bad in ["", "\n", "short", "x:AAAA", "300:AAAA"] {
            assert_eq!(
                MasterKey::parse(bad).err(),
                Some(MasterKeyError::Malformed),
                "{bad}"
            );
        }
        assert_eq!(
            MasterKey::parse(&line.repeat(2)).err(),
            Some(MasterKeyError::SameVersion)
        );
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", key()), "MasterKey(..)");
    }
}
