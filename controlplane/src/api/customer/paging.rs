//! Lists in pages: a cursor is the place of the last row in the list's order, so that a row that is added or removed
//! meanwhile moves no other, and each row is seen once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::number;
use crate::Error;

const DEFAULT: u32 = 50;
const MOST: u32 = 200;

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// How many rows at most.
    #[serde(default = "fifty", deserialize_with = "number")]
    #[param(minimum = 1, maximum = 200, default = 50, example = 50)]
    pub limit: u32,
    /// `next_cursor` of the page before.
    #[serde(default)]
    #[param(min_length = 1, max_length = 1024)]
    pub cursor: Option<String>,
}

fn fifty() -> u32 {
    DEFAULT
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            limit: DEFAULT,
            cursor: None,
        }
    }
}

impl Paging {
    pub fn limit(&self) -> Result<usize, Error> {
        match self.limit {
            limit @ 1..=MOST => Ok(limit as usize),
            _ => Err(Error::validation("limit", format!("It is 1 to {MOST}."))),
        }
    }

    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Error> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let place = URL_SAFE_NO_PAD.decode(cursor).ok();
        let place = place.and_then(|place| serde_json::from_slice(&place).ok());
        place.map(Some).ok_or_else(|| {
            Error::validation("cursor", "It is the `next_cursor` of a page of this list.")
        })
    }
}

/// Some rows, and the cursor that asks for those after them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    pub data: Vec<T>,
    /// None: these were the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The rows behind the cursor, in the order of `place`, which no two rows share.
    pub fn of<R: Into<T>, K: Ord + Serialize + DeserializeOwned>(
        mut rows: Vec<R>,
        paging: &Paging,
        place: impl Fn(&R) -> K,
    ) -> Result<Self, Error> {
        let (limit, after) = (paging.limit()?, paging.after::<K>()?);
        rows.sort_by_cached_key(&place);
        if let Some(after) = after {
            rows.retain(|row| place(row) > after);
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(place);
        Ok(Self {
            next_cursor: last.map(|place| cursor(&place)).transpose()?,
            data: rows.into_iter().map(Into::into).collect(),
        })
    }
}

pub(super) fn cursor<K: Serialize>(place: &K) -> Result<String, Error> {
    let place = serde_json::to_vec(place).map_err(anyhow::Error::from)?;
    Ok(URL_SAFE_NO_PAD.encode(place))
}

/// The place of a row in a list whose newest rows come first.
pub(super) fn newest_first(at: DateTime<Utc>, id: &str) -> (i64, String) {
    (-at.timestamp_micros(), id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: &[u32], limit: u32, cursor: Option<String>) -> Page<u32> {
        let paging = Paging { limit, cursor };
        Page::of(rows.to_vec(), &paging, |row| *row).expect("a page")
    }

    #[test]
    fn each_row_is_seen_once_whatever_comes_and_goes_meanwhile() {
        let first = page(&[40, 10, 30, 20], 2, None);
        assert_eq!(first.data, [10, 20]);
        let second = page(&[5, 10, 15, 25, 30, 40], 2, first.next_cursor);
        assert_eq!(second.data, [25, 30]);
        let third = page(&[25, 30, 40], 2, second.next_cursor);
        assert_eq!((third.data, third.next_cursor), (vec![40], None));
        assert_eq!(page(&[], 2, None).next_cursor, None);
        assert_eq!(page(&[1, 2], 2, None).next_cursor, None);
    }

    #[test]
    fn a_cursor_of_something_else_is_refused() {
        for text in ["", "x", "!", "WyJhIl0"] {
            let paging = Paging {
                cursor: Some(text.to_owned()),
                ..Paging::default()
            };
            let refused = Page::<u32>::of(vec![1_u32], &paging, |row| *row).err();
            let field = refused.as_ref().and_then(Error::field);
            assert_eq!(field, Some("cursor"), "{text}");
        }
        for limit in [0, 201] {
            assert!(
                Paging {
                    limit,
                    cursor: None
                }
                .limit()
                .is_err()
            );
        }
    }
}
