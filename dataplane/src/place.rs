//! Where a bucket's objects are. One mechanism for dedicated and pooled buckets: an object key becomes `prefix + key`
//! in the engine's bucket, and back. Nothing that does not begin with the prefix ever comes back.

use wire::{Bucket, Engine};

use crate::error::{Code, S3Error};
use crate::request::{MAX_KEY_BYTES, has_dot_segment};

#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub bucket: &'a Bucket,
    pub engine: &'a Engine,
}

impl<'a> Place<'a> {
    pub fn engine_bucket(&self) -> &'a str {
        &self.bucket.placement.bucket
    }

    /// Whether the engine's bucket is this bucket's alone.
    pub fn is_dedicated(&self) -> bool {
        self.prefix().is_empty()
    }

    pub fn prefix(&self) -> &'a str {
        &self.bucket.placement.prefix
    }

    /// The engine's key for an object key. Refused: what this engine would turn into another key, and what is too
    /// long once the prefix stands before it.
    pub fn key(&self, key: &str) -> Result<String, S3Error> {
        if has_dot_segment(key) {
            return Err(S3Error::with(
                Code::InvalidURI,
                "A key must not hold the segments '.' or '..'.",
            ));
        }
        if !self.engine.capabilities.exact_keys && !survives_normalising(key) {
            return Err(S3Error::with(
                Code::InvalidURI,
                "This bucket's storage engine cannot keep keys with empty segments ('//', a leading '/'), backslashes or control characters.",
            ));
        }
        let engine_key = [self.prefix(), key].concat();
        if engine_key.len() > MAX_KEY_BYTES {
            return Err(S3Error::new(Code::KeyTooLongError).detail(
                "MaxSizeAllowed",
                MAX_KEY_BYTES
                    .saturating_sub(self.prefix().len())
                    .to_string(),
            ));
        }
        Ok(engine_key)
    }

    /// Whether any key that [`Place::key`] allows could begin so.
    pub fn may_begin(&self, prefix: &str) -> bool {
        let whole_segments = prefix.rsplit_once('/').map_or("", |(whole, _)| whole);
        !has_dot_segment(whole_segments)
            && (self.engine.capabilities.exact_keys || survives_normalising(prefix))
    }

    /// A marker or prefix in the engine's terms. It is compared, not looked up: nothing is refused.
    pub fn boundary(&self, text: &str) -> String {
        [self.prefix(), text].concat()
    }

    /// The object key of an engine's key, or `None` for a key that is not this bucket's.
    pub fn strip<'k>(&self, engine_key: &'k str) -> Option<&'k str> {
        engine_key.strip_prefix(self.prefix())
    }
}

/// Engines that keep objects as files keep their own files beside them, and fold empty segments and turn backslashes into slashes; and in their listings
/// they lose their way at characters that XML 1.0 does not have.
fn survives_normalising(key: &str) -> bool {
    let unwritable = |c: char| {
        (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let folders = key.rsplit_once('/').map_or("", |(folders, _)| folders);
    let internal = |(i, folder): (usize, &str)| {
        (i == 0 && folder == ".uploads") || folder.ends_with(".versions")
    };
    !folders.split('/').enumerate().any(internal)
        && !key.starts_with('/')
        && !key.contains("//")
        && !key.contains('\\')
        && !key.contains(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::tests::{document, settings};

    fn with_place(exact: bool, prefix: &str, test: impl FnOnce(Place<'_>)) {
        let mut settings = settings(1);
        settings.engines[0].capabilities.exact_keys = exact;
        let mut document = document(1, 1, vec![]);
        document.buckets[0].placement.prefix = prefix.into();
        test(Place {
            bucket: &document.buckets[0],
            engine: &settings.engines[0],
        });
    }

    #[test]
    fn keys_go_behind_the_prefix_and_come_back() {
        with_place(true, "t/a/b/", |place| {
            let engine_key = place.key("x//y").unwrap();
            assert_eq!(engine_key, "t/a/b/x//y");
            assert_eq!(place.strip(&engine_key), Some("x//y"));
            assert_eq!(place.strip("t/a/c/x"), None);
            assert_eq!(place.strip("t/a/b"), None);
        });
    }

    #[test]
    fn keys_that_an_engine_would_change_are_refused_there_and_only_there() {
        for key in [
            "/x",
            "a//b",
            "a\\b",
            "a\u{7}b",
            ".uploads/x",
            "a.versions/x",
        ] {
            with_place(false, "", |place| {
                assert_eq!(place.key(key).unwrap_err().code, Code::InvalidURI, "{key}")
            });
            with_place(true, "", |place| assert_eq!(place.key(key).unwrap(), key));
        }
        for key in ["a/../b", "..", "./a", "a/."] {
            with_place(true, "", |place| {
                assert_eq!(place.key(key).unwrap_err().code, Code::InvalidURI, "{key}")
            });
        }
        for key in [
            "a/",
            "..a",
            "a/.b",
            "e\u{301}",
            "100%",
            ".uploads",
            "a/.uploads/x",
            "a.versions",
        ] {
            with_place(false, "t/a/b/", |place| {
                assert_eq!(place.key(key).unwrap(), format!("t/a/b/{key}"))
            });
        }
    }

    #[test]
    fn the_prefix_counts_towards_the_length() {
        with_place(true, "t/a/b/", |place| {
            assert!(place.key(&"k".repeat(1018)).is_ok());
            assert_eq!(
                place.key(&"k".repeat(1019)).unwrap_err().code,
                Code::KeyTooLongError
            );
        });
    }

    #[test]
    fn prefixes_under_which_nothing_can_be_are_known() {
        with_place(false, "t/a/b/", |place| {
            for prefix in ["", "a", "a/", "a/.", "a/..b", ".."] {
                assert!(place.may_begin(prefix), "{prefix}");
            }
            for prefix in ["../", "a/../", "a/./b", "/", "a//", "a//b", "\\"] {
                assert!(!place.may_begin(prefix), "{prefix}");
            }
        });
        with_place(true, "", |place| {
            assert!(place.may_begin("/") && place.may_begin("a//"));
            assert!(!place.may_begin("../"));
        });
    }
}
