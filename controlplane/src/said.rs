//! A field of a change that may be left out, which leaves things as they are, or be null, which is an answer too.

use serde::{Deserialize, Deserializer};

/// For `#[serde(default, deserialize_with = "said")]`: `None` is not said, `Some(None)` is null.
pub(crate) fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}
