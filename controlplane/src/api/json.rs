//! JSON bodies in, with refusals that name the field.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::{DeserializeOwned, Deserializer};

use crate::Error;

/// A JSON object; an empty body is the empty object.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Error::BadRequest(rejection.body_text()))?;
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // serde would read a list as the fields in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let message = "The body is not a JSON object.";
        return Err(Error::BadRequest(message.to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = from(&mut json)?;
    json.end()
        .map_err(|error| Error::BadRequest(format!("The body is not JSON: {error}.")))?;
    Ok(value)
}

/// As a body, from what is JSON already.
pub(super) fn read<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Error> {
    from(value)
}

fn from<'de, T: DeserializeOwned, D>(json: D) -> Result<T, Error>
where
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return Error::BadRequest(format!("The body is not JSON: {inner}."));
        }
        let message = inner.to_string();
        // Of an unknown or missing field the path is that of the object around it; the message has the name.
        let named = ["unknown field `", "missing field `"]
            .iter()
            .find_map(|start| message.strip_prefix(start)?.split('`').next());
        let field = match (path.as_str(), named) {
            (".", Some(name)) => name.to_owned(),
            (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
            (path, _) => path.to_owned(),
        };
        Error::validation(field, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        name: String,
        #[serde(default)]
        rate: Option<u32>,
    }

    fn refused(text: &str) -> (u16, Option<String>) {
        match parse::<Sample>(text.as_bytes()) {
            Ok(sample) => panic!("{sample:?}"),
            Err(e) => (e.status().as_u16(), e.field().map(str::to_owned)),
        }
    }

    #[test]
    fn a_refusal_names_the_field() {
        assert!(parse::<Sample>(br#"{"name": "a", "rate": 3}"#).is_ok());
        assert_eq!(
            refused(r#"{"name": "a", "rate": "3"}"#),
            (422, Some("rate".into()))
        );
        assert_eq!(
            refused(r#"{"name": "a", "rate": -1}"#),
            (422, Some("rate".into()))
        );
        assert_eq!(
            refused(r#"{"name": "a", "other": 1}"#),
            (422, Some("other".into()))
        );
        assert_eq!(refused(""), (422, Some("name".into())));
        assert_eq!(refused("{"), (400, None));
        assert_eq!(refused(r#" ["a", 3]"#), (400, None));
        assert_eq!(refused(r#"{"name": "a"} x"#), (400, None));
    }
}
