//! What comes in beside a body: ids in the path and the query, with refusals that name the parameter.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::Error;

/// The one segment of the path that is not fixed. What cannot be one is not found.
pub(super) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let segment: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        match segment {
            Ok(Path(text)) if !text.contains('\0') => Ok(Self(text)),
            _ => Err(Error::NotFound("resource")),
        }
    }
}

/// Two such segments.
pub(super) struct Segments(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let segments: Result<Path<(String, String)>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        match segments {
            Ok(Path((one, two))) if !one.contains('\0') && !two.contains('\0') => {
                Ok(Self(one, two))
            }
            _ => Err(Error::NotFound("resource")),
        }
    }
}

/// The query, each parameter once at most and none that is unknown.
pub(super) struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let pairs: Result<Query<Vec<(String, String)>>, QueryRejection> =
            Query::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|error| Error::BadRequest(error.body_text()))?;
        read(pairs).map(Self)
    }
}

fn read<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Error> {
    let mut fields = Map::new();
    for (name, value) in pairs {
        if value.contains('\0') {
            return Err(Error::validation(name, "It has no character NUL."));
        }
        let value = Value::String(value);
        if fields.insert(name.clone(), value).is_some() {
            return Err(Error::validation(name, "It is given once at most."));
        }
    }
    super::super::json::read(Value::Object(fields))
}

/// A number, which in a query is text.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| serde::de::Error::custom("a whole number is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default, deserialize_with = "number")]
        limit: u32,
    }

    #[test]
    fn a_refusal_names_the_parameter() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let field = |pairs: &[(String, String)]| {
            let error = read::<Sample>(pairs.to_vec()).err();
            error.and_then(|error| error.field().map(str::to_owned))
        };
        let read = read::<Sample>(vec![pair("limit", "7")]).ok();
        assert_eq!(read.map(|sample| sample.limit), Some(7));
        let limit = Some("limit".to_owned());
        assert_eq!(field(&[pair("limit", "-1")]), limit);
        assert_eq!(field(&[pair("limit", "1"), pair("limit", "1")]), limit);
        assert_eq!(field(&[pair("size", "1")]), Some("size".to_owned()));
        assert_eq!(field(&[pair("a", "\0")]), Some("a".to_owned()));
    }
}
