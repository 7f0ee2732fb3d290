//! Changing what nodes do with a bucket: who may read it, and which web pages may use it.
//! The engine hears nothing of it; nodes act upon the pushed document.

use http::StatusCode;
use serde_json::json;
use wire::{BucketSetting, Revision, TenantStatus};

use super::{Change, aborted, cors, no_such_bucket};
use crate::plane::APPLY_TIMEOUT;
use crate::{Error, Receipt, audit, db, tenants};

pub(super) async fn run(change: Change, setting: BucketSetting) -> Result<Receipt, Error> {
    if let BucketSetting::Cors(rules) = &setting {
        cors::check(rules)?;
    }
    let revision = match apply(&change, &setting).await {
        Err(error) if change.may_try_again(&error).await? => apply(&change, &setting).await?,
        other => other?,
    };
    Ok(change.cp.wait_applied(revision, APPLY_TIMEOUT).await)
}

/// The revision in which nodes hear of it.
async fn apply(change: &Change, setting: &BucketSetting) -> Result<Revision, Error> {
    let (cp, id) = (&change.cp, change.tenant);
    let mut tx = change.begin().await?;
    let tenant = tenants::lock(&mut tx, id)
        .await
        .map_err(|error| match error {
            Error::NotFound(_) => no_such_bucket(),
            other => other,
        })?;
    let may = match tenant.status {
        TenantStatus::Active => true,
        // Whoever may add nothing may still take away what others may do.
        TenantStatus::ReadOnly => takes_away(setting),
        _ => false,
    };
    if !may {
        let message = "This account may not change buckets at the moment.";
        return Err(Error::s3(StatusCode::FORBIDDEN, "AccessDenied", message));
    }
    let row = db::buckets::find(&mut tx, id, &change.name)
        .await?
        .filter(|row| row.status != "creating")
        .ok_or_else(no_such_bucket)?;
    if row.status != "active" {
        return Err(aborted());
    }
    let (action, details) = match setting {
        BucketSetting::PublicRead(public) if *public != row.public_read => {
            db::buckets::set_public_read(&mut tx, row.id, *public).await?;
            ("bucket.set_public_read", json!({ "public_read": public }))
        }
        BucketSetting::Cors(rules) if *rules != row.cors.0 => {
            db::buckets::set_cors(&mut tx, row.id, rules).await?;
            ("bucket.set_cors", json!({ "rules": rules.len() }))
        }
        BucketSetting::PublicRead(_) | BucketSetting::Cors(_) => return Ok(tenant.revision),
    };
    audit::record(&mut tx, cp, Some(id), action, &change.name, details).await?;
    let revision = db::revision::next_for_tenant(&mut tx, id).await?;
    tx.commit().await?;
    Ok(revision)
}

fn takes_away(setting: &BucketSetting) -> bool {
    match setting {
        BucketSetting::PublicRead(public) => !public,
        BucketSetting::Cors(rules) => rules.is_empty(),
    }
}
