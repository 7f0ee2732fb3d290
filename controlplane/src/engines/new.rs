//! What an operator says of a new engine: read, refused by the field that is wrong, and brought into the form in which it
//! is kept.

use serde::Deserialize;

use crate::engine::is_endpoint;
use crate::{EngineConfig, Error, PlacementKind};

const MAX_NAME: usize = 40;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    /// Its id from then on: lower-case letters, digits and hyphens.
    pub name: String,
    pub endpoint: String,
    #[serde(default)]
    pub region: Option<String>,
    pub access_key_id: String,
    pub secret_access_key: String,
    #[serde(default)]
    pub placement: Option<String>,
    #[serde(default)]
    pub pool_bucket: Option<String>,
    #[serde(default)]
    pub capacity_bytes: Option<u64>,
}

pub(super) fn check_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let good = (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(name.to_owned());
    }
    Err(Error::validation(
        "name",
        "It has 1 to 40 lower-case letters, digits and hyphens, such as `lyve-east`.",
    ))
}

pub(super) fn capacity(bytes: Option<u64>) -> Result<Option<i64>, Error> {
    let refused = || Error::validation("capacity_bytes", "It is a number of bytes, at least 1.");
    let bytes = bytes.map(|bytes| i64::try_from(bytes).ok().filter(|bytes| *bytes > 0));
    bytes.map(|bytes| bytes.ok_or_else(refused)).transpose()
}

/// What was said, in the form in which it is kept.
pub(super) fn configuration(new: New) -> Result<EngineConfig, Error> {
    let endpoint = check_endpoint(&new.endpoint)?;
    let placement = new.placement.as_deref().unwrap_or("dedicated").parse();
    let placement: PlacementKind =
        placement.map_err(|message: String| Error::validation("placement", message))?;
    let pool_bucket = new.pool_bucket.map(|name| name.trim().to_owned());
    let pool_bucket = pool_bucket.filter(|name| !name.is_empty());
    match (&pool_bucket, placement) {
        (None, PlacementKind::Pooled) => {
            let message = "Pooled placement needs the engine's bucket that all share.";
            return Err(Error::validation("pool_bucket", message));
        }
        (Some(_), PlacementKind::Dedicated) => {
            let message = "Only pooled placement has a pool bucket.";
            return Err(Error::validation("pool_bucket", message));
        }
        (Some(name), PlacementKind::Pooled) if !crate::buckets::is_valid_name(name) => {
            let message =
                "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens.";
            return Err(Error::validation("pool_bucket", message));
        }
        _ => {}
    }
    let region = new.region.unwrap_or_default();
    let region = Some(region.trim()).filter(|region| !region.is_empty());
    Ok(EngineConfig {
        endpoint,
        region: word("region", region.unwrap_or("us-east-1"))?,
        access_key_id: word("access_key_id", &new.access_key_id)?,
        secret_access_key: word("secret_access_key", &new.secret_access_key)?,
        placement,
        pool_bucket,
    })
}

/// `http://host[:port]` or `https://host[:port]`, and nothing behind it.
fn check_endpoint(text: &str) -> Result<String, Error> {
    let text = text.trim().trim_end_matches('/');
    if is_endpoint(text) {
        return Ok(text.to_owned());
    }
    let message = "It is http://host[:port] or https://host[:port], without a path.";
    Err(Error::validation("endpoint", message))
}

/// As it can stand in a signature.
pub(super) fn word(field: &str, text: &str) -> Result<String, Error> {
    let text = text.trim();
    let good = (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if good && (field == "secret_access_key" || !text.contains(['/', ','])) {
        return Ok(text.to_owned());
    }
    Err(Error::validation(
        field,
        "It is 1 to 512 printable characters without blanks.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> New {
        New {
            name: "east".to_owned(),
            endpoint: "https://s3.example/".to_owned(),
            region: None,
            access_key_id: "AK".to_owned(),
            secret_access_key: " se/cret\n".to_owned(),
            placement: None,
            pool_bucket: None,
            capacity_bytes: None,
        }
    }

    #[test]
    fn what_is_said_is_kept_in_one_form() {
        let config = configuration(new()).ok();
        let config = config.as_ref();
        assert_eq!(
            config.map(|c| c.endpoint.as_str()),
            Some("https://s3.example")
        );
        assert_eq!(
            config.map(|c| c.secret_access_key.as_str()),
            Some("se/cret")
        );
        assert_eq!(config.map(|c| c.region.as_str()), Some("us-east-1"));
    }

    #[test]
    fn a_refusal_names_the_field() {
        type Mistake = fn(&mut New);
        let cases: [(&str, Mistake); 8] = [
            ("endpoint", |n| n.endpoint = "s3.example".to_owned()),
            ("endpoint", |n| {
                n.endpoint = "https://s3.example/bucket".to_owned()
            }),
            ("endpoint", |n| {
                n.endpoint = "https://a:b@s3.example".to_owned()
            }),
            ("placement", |n| n.placement = Some("both".to_owned())),
            ("pool_bucket", |n| n.placement = Some("pooled".to_owned())),
            ("pool_bucket", |n| n.pool_bucket = Some("pool".to_owned())),
            ("access_key_id", |n| n.access_key_id = "A/B".to_owned()),
            ("secret_access_key", |n| {
                n.secret_access_key = " ".to_owned()
            }),
        ];
        for (field, change) in cases {
            let mut new = new();
            change(&mut new);
            let refused = configuration(new).err();
            assert_eq!(refused.as_ref().and_then(Error::field), Some(field));
        }
        for name in ["", "East", "-a", "a-", "a/b", &"a".repeat(41)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert_eq!(check_name(" lyve-east ").ok().as_deref(), Some("lyve-east"));
        assert!(capacity(Some(0)).is_err() && capacity(Some(u64::MAX)).is_err());
        assert_eq!(capacity(Some(5)).ok(), Some(Some(5)));
    }
}
