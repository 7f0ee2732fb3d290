//! What is sold. Plans are rows: an operator changes them, not a release.

use serde::Serialize;

use crate::{Error, Tx, db};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// `trial`, `business`, …
    pub id: String,
    pub name: String,
    /// A month's price in the smallest unit of `currency`.
    pub price_cents: i64,
    /// ISO 4217, lower case, as Stripe writes it.
    pub currency: String,
    /// Bytes stored that the price includes; GB and TB are decimal.
    pub storage_bytes: i64,
    /// Bytes stored beyond which writes are refused; none where more is metered.
    pub quota_bytes: Option<i64>,
    /// Objects, all buckets together; none where there is no limit.
    pub quota_objects: Option<i64>,
    /// Bytes of answers in a calendar month (UTC); none where there is no limit.
    pub quota_egress_bytes: Option<i64>,
    pub requests_per_second: i32,
    pub burst: i32,
    pub trial_days: Option<i32>,
    pub bucket_limit: i32,
    pub access_key_limit: i32,
}

/// All plans, in the order in which they are shown.
pub async fn list(tx: &mut Tx) -> Result<Vec<Plan>, Error> {
    db::plans::list(tx).await
}
