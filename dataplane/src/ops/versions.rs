//! Version ids: an engine's own, sealed for the bucket and key that they belong to. `null` is S3's name for the version
//! of an object that was written before versioning, and stays as it is.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html>

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Call;
use crate::error::{Code, S3Error};
use crate::place::Place;
use crate::seal::Owner;
use crate::upstream::EngineRequest;

const NULL: &str = "null";
pub const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
pub const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");
pub const SOURCE_VERSION_ID: HeaderName = HeaderName::from_static("x-amz-copy-source-version-id");

/// The version that an engine's answer names, in the engine's terms.
pub fn version(headers: &HeaderMap) -> Option<&str> {
    headers.get(VERSION_ID)?.to_str().ok()
}

fn owner<'a>(place: Place<'a>, key: &'a str) -> Owner<'a> {
    Owner::Version {
        bucket_id: &place.bucket.id,
        key,
    }
}

impl Call {
    pub fn seal_version(
        &self,
        place: Place<'_>,
        key: &str,
        engine_id: &str,
    ) -> Result<String, S3Error> {
        if engine_id == NULL || engine_id.is_empty() {
            return Ok(engine_id.to_owned());
        }
        self.seal(owner(place, key), engine_id)
    }

    /// The engine's id of a version that was given out for this very bucket and key.
    pub fn open_version(&self, place: Place<'_>, key: &str, text: &str) -> Result<String, S3Error> {
        if text == NULL {
            return Ok(text.to_owned());
        }
        self.shared
            .sealer
            .open(owner(place, key), text)
            .ok_or_else(|| {
                S3Error::with(Code::InvalidArgument, "Invalid version id specified")
                    .detail("ArgumentName", "versionId")
            })
    }

    /// Adds the version that the request asks for.
    pub fn pass_version<'a>(
        &self,
        place: Place<'_>,
        request: EngineRequest<'a>,
    ) -> Result<EngineRequest<'a>, S3Error> {
        match self.request.query.single("versionId")? {
            None => Ok(request),
            Some(text) => {
                let id = self.open_version(place, self.key()?, text)?;
                Ok(request.query("versionId", id))
            }
        }
    }

    /// The version that the engine's answer is about. A shared engine bucket's versions are nobody's.
    pub fn answer_version(
        &self,
        place: Place<'_>,
        from: &HeaderMap,
        to: &mut HeaderMap,
    ) -> Result<(), S3Error> {
        if !place.is_dedicated() {
            return Ok(());
        }
        self.seal_header(place, self.key()?, from, VERSION_ID, to)
    }

    pub fn answer_source_version(
        &self,
        source: Place<'_>,
        key: &str,
        from: &HeaderMap,
        to: &mut HeaderMap,
    ) -> Result<(), S3Error> {
        if !source.is_dedicated() {
            return Ok(());
        }
        self.seal_header(source, key, from, SOURCE_VERSION_ID, to)
    }

    fn seal_header(
        &self,
        place: Place<'_>,
        key: &str,
        from: &HeaderMap,
        name: HeaderName,
        to: &mut HeaderMap,
    ) -> Result<(), S3Error> {
        let Some(id) = from.get(&name).and_then(|value| value.to_str().ok()) else {
            return Ok(());
        };
        let sealed = self.seal_version(place, key, id)?;
        let value = HeaderValue::from_str(&sealed).map_err(|_| Code::InternalError)?;
        to.insert(name, value);
        Ok(())
    }

    /// A refusal that is about one version says which, in the customer's terms.
    pub fn explain_version(&self, place: Place<'_>, mut error: S3Error) -> S3Error {
        let Some(version) = error.version.take().filter(|_| place.is_dedicated()) else {
            return error;
        };
        if version.is_delete_marker {
            error = error.detail("DeleteMarker", "true");
        }
        let sealed = version
            .id
            .zip(self.key().ok())
            .and_then(|(id, key)| self.seal_version(place, key, &id).ok());
        match sealed {
            Some(id) => error.detail("VersionId", id),
            None => error,
        }
    }
}
