//! Takes up deletions that broke off, because the bucket refuses writes for as long as they are under way.
//! (Creations that broke off wait for the customer to try again; nobody sees them.)

use std::time::Duration;

use tracing::Instrument as _;

use crate::ids::TenantId;
use crate::{Actor, ControlPlane, Error, Origin, db};

const EVERY: Duration = Duration::from_secs(30);

pub(crate) async fn heal(cp: ControlPlane) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, heal_once(&cp)).await {
            tracing::warn!(%error, "cannot look for deletions that broke off");
        }
    }
}

async fn heal_once(cp: &ControlPlane) -> Result<(), Error> {
    let mut tx = cp.begin_system().await?;
    let left = db::buckets::left_deleting(&mut tx, cp.clock().now()).await?;
    drop(tx);
    for (tenant, name) in left {
        let tenant = TenantId(tenant);
        let deleting = super::delete(cp, tenant, &name, Actor::System, Origin::default());
        let deleting = deleting.instrument(telemetry::job("bucket.delete"));
        let done = deleting.await;
        tracing::info!(%tenant, bucket = %name, ok = done.is_ok(), "a deletion that broke off was taken up");
    }
    Ok(())
}
