//! What an object was before it is replaced or removed, as the engine tells: so that its bytes are given back, once.
//! A look that fails gives nothing back.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, Method, header};

use crate::error::Code;
use crate::headers::SSE_C;
use crate::journal::{Change, identity};
use crate::ops::{Call, VERSION_ID};
use crate::place::Place;
use crate::upstream::EngineRequest;

/// A write does not wait longer for it.
const WITHIN: Duration = Duration::from_secs(5);
/// Of one batch of deletions.
const AT_ONCE: usize = 16;
/// So that these can be told from customers' requests in an engine's log.
const USER_AGENT: &str = "vaultaire-usage";

/// The version of an object in a bucket that keeps none.
const NULL: &str = "null";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// There is no such object.
    Nothing,
    Found(Found),
    /// The engine did not say.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub bytes: u64,
    pub etag: String,
    what: u64,
    version: Option<String>,
}

impl Look {
    /// What is given back where a write or a plain deletion was answered with `version`: nothing, in a bucket that
    /// keeps what was there as a version.
    pub fn replaced(self, version: Option<&str>) -> Option<Change> {
        match self {
            Look::Found(found) if is_null(version) && is_null(found.version.as_deref()) => {
                Some(found.freed())
            }
            _ => None,
        }
    }

    /// What is given back where just this was removed.
    pub fn removed(self) -> Option<Change> {
        match self {
            Look::Found(found) => Some(found.freed()),
            _ => None,
        }
    }

    /// Nothing is known to be replaced by an object that has this entity tag itself.
    pub fn unless(self, etag: &str) -> Look {
        match self {
            Look::Found(found) if same(&found.etag, etag) => Look::Unknown,
            look => look,
        }
    }

    pub fn bytes(&self) -> Option<u64> {
        match self {
            Look::Found(found) => Some(found.bytes),
            _ => None,
        }
    }
}

impl Found {
    fn freed(&self) -> Change {
        Change::Freed {
            what: self.what,
            bytes: self.bytes,
        }
    }

    fn read(place: Place<'_>, engine_key: &str, headers: &HeaderMap) -> Option<Found> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let bytes = text(header::CONTENT_LENGTH)?.parse().ok()?;
        let etag = text(header::ETAG).unwrap_or_default();
        let version = text(VERSION_ID).map(str::to_owned);
        let fields = [
            place.bucket.id.as_str(),
            engine_key,
            version.as_deref().unwrap_or(NULL),
            etag,
            text(header::LAST_MODIFIED).unwrap_or_default(),
        ];
        Some(Found {
            bytes,
            etag: etag.to_owned(),
            what: identity(&fields.map(str::as_bytes)),
            version,
        })
    }
}

/// Whether two entity tags are one: some engines leave the quotation marks out.
pub fn same(one: &str, other: &str) -> bool {
    one.trim_matches('"') == other.trim_matches('"')
}

fn is_null(version: Option<&str>) -> bool {
    version.is_none_or(|version| version.is_empty() || version == NULL)
}

/// An upload, on every node alike. `upload_id`: the engine's.
pub fn upload(place: Place<'_>, engine_key: &str, upload_id: &str) -> u64 {
    identity(&[place.bucket.id.as_str(), engine_key, upload_id].map(str::as_bytes))
}

impl Call {
    /// Looks at an object, in the engine's terms, with the customer's key of this request.
    pub async fn look(&self, place: Place<'_>, engine_key: &str, version: Option<&str>) -> Look {
        self.look_with(place, engine_key, version, SSE_C).await
    }

    /// `key`: in which headers of this request the customer's key is.
    pub async fn look_with(
        &self,
        place: Place<'_>,
        engine_key: &str,
        version: Option<&str>,
        key: &'static [&'static str],
    ) -> Look {
        let mut request = EngineRequest::new(place.engine, Method::HEAD, place.engine_bucket())
            .key(engine_key.to_owned());
        if let Some(version) = version {
            request = request.query("versionId", version);
        }
        for (name, value) in &self.request.headers {
            let at = key.iter().position(|key| *key == name.as_str());
            if let Some(name) = at.and_then(|at| SSE_C.get(at)) {
                let name = HeaderName::from_static(name);
                request.headers.0.push((name, value.clone()));
            }
        }
        if request.headers.set("user-agent", USER_AGENT).is_err() {
            return Look::Unknown;
        }
        match tokio::time::timeout(WITHIN, self.send(request)).await {
            Ok(Ok(answer)) => {
                Found::read(place, engine_key, answer.headers()).map_or(Look::Unknown, Look::Found)
            }
            Ok(Err(error)) if matches!(error.code, Code::NoSuchKey | Code::NoSuchVersion) => {
                Look::Nothing
            }
            _ => Look::Unknown,
        }
    }

    /// [`Call::look`] at each of these keys and versions, in their order.
    pub async fn look_at_all<'a>(
        &self,
        place: Place<'_>,
        targets: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Vec<Look> {
        let looks: Vec<_> = targets
            .into_iter()
            .map(|(key, version)| self.look(place, key, version))
            .collect();
        futures_util::stream::iter(looks)
            .buffered(AT_ONCE)
            .collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: Option<&str>) -> Look {
        Look::Found(Found {
            bytes: 5,
            etag: "\"e\"".into(),
            what: 1,
            version: version.map(str::to_owned),
        })
    }

    #[test]
    fn what_stays_as_a_version_gives_nothing_back() {
        let freed = Some(Change::Freed { what: 1, bytes: 5 });
        assert_eq!(found(None).replaced(None), freed);
        assert_eq!(found(Some("null")).replaced(Some("null")), freed);
        assert_eq!(found(None).replaced(Some("null")), freed);
        assert_eq!(found(Some("v1")).replaced(Some("v2")), None);
        assert_eq!(found(None).replaced(Some("v1")), None);
        assert_eq!(
            found(Some("v1")).replaced(Some("null")),
            None,
            "versioning is suspended, and v1 stays"
        );
        assert_eq!(found(Some("v1")).removed(), freed);
        for look in [Look::Nothing, Look::Unknown] {
            assert_eq!(look.clone().replaced(None), None);
            assert_eq!(look.removed(), None);
        }
    }
}
