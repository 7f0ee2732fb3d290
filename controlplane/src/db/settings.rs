//! The one row of settings.

use sqlx::{PgConnection, query, query_as};
use wire::Revision;

use crate::{Error, Tx};

pub(crate) struct Row {
    pub revision: Revision,
    pub region: String,
    /// Sealed.
    pub token_keys: Vec<u8>,
    /// Empty: none.
    pub dashboard_origin: String,
}

pub(crate) async fn get(conn: &mut PgConnection) -> Result<Option<Row>, sqlx::Error> {
    query_as!(
        Row,
        "SELECT revision, region, token_keys, dashboard_origin FROM settings"
    )
    .fetch_optional(conn)
    .await
}

/// Does nothing where the row is there already.
pub(crate) async fn insert(tx: &mut Tx, region: &str, token_keys: &[u8]) -> Result<bool, Error> {
    let done = query!(
        "INSERT INTO settings (revision, region, token_keys) VALUES (0, $1, $2) ON CONFLICT DO NOTHING",
        region,
        token_keys
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn set_region(tx: &mut Tx, region: &str) -> Result<bool, Error> {
    let done = query!("UPDATE settings SET region = $1 WHERE region <> $1", region)
        .execute(tx.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether it was another before.
pub(crate) async fn set_dashboard_origin(tx: &mut Tx, origin: &str) -> Result<bool, Error> {
    let done = query!(
        "UPDATE settings SET dashboard_origin = $1 WHERE dashboard_origin <> $1",
        origin
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
