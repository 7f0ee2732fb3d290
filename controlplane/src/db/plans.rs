//! Plans.

use sqlx::{query_as, query_scalar};

use crate::plans::Plan;
use crate::{Error, Tx};

pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<Plan>, Error> {
    let plans = query_as!(
        Plan,
        "SELECT id, name, price_cents, currency, storage_bytes, quota_bytes, quota_objects, quota_egress_bytes,
                requests_per_second, burst, trial_days, bucket_limit, access_key_limit
         FROM plans ORDER BY position, id"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(plans)
}

/// The length of the plan's trial in days, if it is one; an outer `None`: there is no such plan.
pub(crate) async fn trial_days(tx: &mut Tx, plan: &str) -> Result<Option<Option<i32>>, Error> {
    let days = query_scalar!("SELECT trial_days FROM plans WHERE id = $1", plan)
        .fetch_optional(tx.connection())
        .await?;
    Ok(days)
}
