//! Password hashing: Argon2id at OWASP's figures, off the async threads, a few at a time.
//! <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, OnceLock};
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

/// The most common ones of at least the least length, by Royce Williams, as Django has them (BSD, CC BY-SA).
/// <https://github.com/django/django/blob/main/django/contrib/auth/common-passwords.txt.gz>
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common.txt").lines().collect());

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

    /// The PHC string. The password was checked with [`check_new`] before.
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

pub(crate) fn check_new(password: &str) -> Result<(), Error> {
    if password.len() < MIN_BYTES {
        return Err(Error::validation(
            "password",
            format!("Use at least {MIN_BYTES} characters."),
        ));
    }
    check_size(password)?;
    // As they are typed: a capital letter at the start is the first thing that everybody tries.
    if COMMON.contains(password.to_lowercase().as_str()) {
        return Err(Error::validation(
            "password",
            "That is one of the passwords that are tried first. Choose another; a few unrelated words do well.",
        ));
    }
    Ok(())
}

/// What is too large to be anyone's password is refused before any work is done on it.
pub(crate) fn check_size(password: &str) -> Result<(), Error> {
    match password.len() > MAX_BYTES {
        true => Err(Error::BadRequest(format!(
            "A password has at most {MAX_BYTES} bytes."
        ))),
        false => Ok(()),
    }
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
    async fn row_04_the_right_password_opens_and_nothing_else_does() -> Result<(), Error> {
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
    fn row_04_lengths_are_bounded_on_both_sides() {
        assert!(check_new("horse b").is_err());
        assert!(check_new("horse ba").is_ok());
        assert!(check_new(&"x".repeat(64)).is_ok());
        assert!(check_new(&"x".repeat(1024)).is_ok());
        let refused = check_new(&"x".repeat(10_000)).err();
        assert_eq!(refused.map(|error| error.status().as_u16()), Some(400));
    }

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for common in ["12345678", "password1", "Password1", "qwertyuiop"] {
            let refused = check_new(common).err();
            assert_eq!(
                refused.as_ref().and_then(Error::field),
                Some("password"),
                "{common}"
            );
        }
        assert!(check_new("qwertyuiop and a horse").is_ok());
    }
}
