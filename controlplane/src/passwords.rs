//! Password hashing: Argon2id at OWASP's figures, off the async threads, a few at a time.
//! <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::Error;

const MIN_BYTES: usize = 8;
const MAX_BYTES: usize = 1024;
/// Each hash takes 19 MiB.
const AT_ONCE: usize = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The PHC string. The password was checked with [`check_length`] before.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = Zeroizing::new(password.to_owned());
        self.in_turn(move || hash_now(password.as_bytes())).await?
    }

    /// Takes as long where there is no hash, as for an account that does not exist.
    pub(crate) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool, Error> {
        if password.len() > MAX_BYTES {
            return Ok(false);
        }
        let password = Zeroizing::new(password.to_owned());
        self.in_turn(move || {
            let known = hash.is_some();
            let hash = match hash {
                Some(hash) => hash,
                None => dummy_hash()?,
            };
            let matches = argon2()?
                .verify_password(password.as_bytes(), hash.as_str())
                .is_ok();
            Ok(matches && known)
        })
        .await?
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = tokio::time::timeout(LONGEST_WAIT, self.turns.clone().acquire_owned())
            .await
            .map_err(|_| Error::Unavailable("Too many people are logging in at this moment."))?
            .map_err(|error| Error::Internal(error.into()))?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await
        .map_err(|error| Error::Internal(error.into()))
    }
}

pub(crate) fn check_length(password: &str) -> Result<(), Error> {
    if password.len() < MIN_BYTES {
        return Err(Error::validation(
            "password",
            format!("Use at least {MIN_BYTES} characters."),
        ));
    }
    if password.len() > MAX_BYTES {
        return Err(Error::validation(
            "password",
            format!("Use at most {MAX_BYTES} bytes."),
        ));
    }
    Ok(())
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(19_456, 2, 1, None)
        .map_err(|error| Error::Internal(anyhow::anyhow!("argon2 parameters: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &[u8]) -> Result<String, Error> {
    let salt: [u8; 16] = rand::random();
    argon2()?
        .hash_password_with_salt(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Internal(anyhow::anyhow!("hashing a password failed: {error}")))
}

/// A hash that nobody knows the password of, at the same cost as everyone's.
fn dummy_hash() -> Result<String, Error> {
    static DUMMY: OnceLock<String> = OnceLock::new();
    if let Some(hash) = DUMMY.get() {
        return Ok(hash.clone());
    }
    let hash = hash_now(&rand::random::<[u8; 32]>())?;
    Ok(DUMMY.get_or_init(|| hash).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_opens_and_nothing_else_does() -> Result<(), Error> {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse").await?;
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify("correct horse", Some(hash.clone()))
                .await?
        );
        assert!(
            !passwords
                .verify("correct horsf", Some(hash.clone()))
                .await?
        );
        assert!(!passwords.verify("correct horse", None).await?);
        assert_ne!(passwords.hash("correct horse").await?, hash, "salted");
        Ok(())
    }

    #[test]
    fn lengths_are_bounded_on_both_sides() {
        assert!(check_length("1234567").is_err());
        assert!(check_length("12345678").is_ok());
        assert!(check_length(&"x".repeat(1024)).is_ok());
        assert!(check_length(&"x".repeat(10_000)).is_err());
    }
}
