//! When access keys were last used, and at which node. Whoever writes here has locked the tenants' rows of usage.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use crate::ids::{NodeId, TenantId};
use crate::{Error, Tx};

/// Writes down what is later than what is known by a minute or more: a key that is in use costs one write a minute.
pub(crate) async fn note(
    tx: &mut Tx,
    node: NodeId,
    uses: &BTreeMap<(TenantId, &str), DateTime<Utc>>,
) -> Result<(), Error> {
    if uses.is_empty() {
        return Ok(());
    }
    let tenants: Vec<Uuid> = uses.keys().map(|(tenant, _)| tenant.0).collect();
    let keys: Vec<&str> = uses.keys().map(|(_, key)| *key).collect();
    let times: Vec<DateTime<Utc>> = uses.values().copied().collect();
    query!(
        "INSERT INTO access_key_uses (tenant_id, access_key_id, used_at, node_id)
         SELECT t.tenant_id, t.access_key_id, t.used_at, $4
         FROM UNNEST($1::uuid[], $2::text[], $3::timestamptz[]) AS t (tenant_id, access_key_id, used_at)
         WHERE NOT EXISTS (
            SELECT FROM access_key_uses k WHERE k.tenant_id = t.tenant_id AND k.access_key_id = t.access_key_id
              AND k.used_at > t.used_at - interval '1 minute')
         ON CONFLICT (tenant_id, access_key_id) DO UPDATE SET used_at = EXCLUDED.used_at, node_id = EXCLUDED.node_id",
        &tenants,
        &keys as &[&str],
        &times,
        node.0
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) struct Row {
    pub access_key_id: String,
    pub used_at: DateTime<Utc>,
    pub s3_address: Option<String>,
}

pub(crate) async fn list(tx: &mut Tx, tenant: TenantId) -> Result<Vec<Row>, Error> {
    let rows = query_as!(
        Row,
        r#"SELECT u.access_key_id AS "access_key_id!", u.used_at AS "used_at!", n.s3_address AS "s3_address?"
           FROM access_key_uses u LEFT JOIN nodes n ON n.id = u.node_id WHERE u.tenant_id = $1"#,
        tenant.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
