//! What is sealed under the master key, wherever it is.

use sqlx::{AssertSqlSafe, PgConnection, query, query_scalar};

use crate::secrets::Purpose;
use crate::{Error, Tx};

/// A column of sealed values, and in SQL what each value is bound to.
pub(crate) struct Column {
    pub purpose: Purpose,
    pub table: &'static str,
    pub column: &'static str,
    bound_to: &'static str,
}

impl Column {
    const fn new(
        purpose: Purpose,
        table: &'static str,
        column: &'static str,
        bound_to: &'static str,
    ) -> Self {
        Self {
            purpose,
            table,
            column,
            bound_to,
        }
    }

    /// `access_keys.secret`
    pub fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }
}

/// An id as the program writes it.
macro_rules! simple {
    ($id:literal) => {
        concat!("replace(", $id, "::text, '-', '')")
    };
}

/// Every one; a test holds it to the tables, and another to what the program seals.
pub(crate) const COLUMNS: &[Column] = &[
    Column::new(Purpose::TokenKeys, "settings", "token_keys", "'settings'"),
    Column::new(Purpose::EngineSecret, "engines", "secret", "id"),
    Column::new(Purpose::EngineSecret, "engines", "old_secret", "id"),
    Column::new(
        Purpose::EngineSecret,
        "engines",
        "environment",
        "id || '/environment'",
    ),
    Column::new(
        Purpose::EngineSecret,
        "engines",
        "superseded",
        "id || '/superseded'",
    ),
    Column::new(
        Purpose::AccessKeySecret,
        "access_keys",
        "secret",
        concat!(simple!("tenant_id"), " || '/' || access_key_id"),
    ),
    Column::new(Purpose::Mail, "mails", "content", "id::text"),
    Column::new(Purpose::Totp, "totp", "secret", simple!("member_id")),
    Column::new(
        Purpose::OperatorTotp,
        "operators",
        "totp_secret",
        simple!("id"),
    ),
    Column::new(
        Purpose::ApiAnswer,
        "idempotent_requests",
        "answer",
        concat!(simple!("token_id"), " || '/' || encode(key_hash, 'hex')"),
    ),
    Column::new(
        Purpose::WebhookSecret,
        "spending",
        "webhook_secret",
        simple!("tenant_id"),
    ),
];

/// How many values each column has under each version of the key; only what is there.
pub(crate) async fn count(
    conn: &mut PgConnection,
) -> Result<Vec<(&'static Column, u8, u64)>, sqlx::Error> {
    let mut all = Vec::new();
    for column in COLUMNS {
        let counts = count_one(conn, column).await?;
        all.extend(
            counts
                .into_iter()
                .map(|(version, count)| (column, version, count)),
        );
    }
    Ok(all)
}

async fn count_one(
    conn: &mut PgConnection,
    column: &Column,
) -> Result<Vec<(u8, u64)>, sqlx::Error> {
    let Column { table, column, .. } = column;
    // What is empty was never sealed.
    let sql = format!(
        "SELECT get_byte({column}, 0), count(*) FROM {table} WHERE length({column}) > 0 GROUP BY 1"
    );
    let counts: Vec<(i32, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(conn).await?;
    let unsigned = |(version, count): (i32, i64)| {
        let version = u8::try_from(version).unwrap_or_default();
        (version, count.unsigned_abs())
    };
    Ok(counts.into_iter().map(unsigned).collect())
}

pub(crate) struct Value {
    /// Where the row lies; it stays there while the transaction has it locked.
    place: String,
    pub bound_to: String,
    pub sealed: Vec<u8>,
}

/// Some that are under another version, after the one bound to `after`, in order and locked. Those that somebody works on
/// are left out.
pub(crate) async fn others(
    tx: &mut Tx,
    column: &Column,
    version: u8,
    after: &str,
    limit: i64,
) -> Result<Vec<Value>, Error> {
    let Column {
        table,
        column,
        bound_to,
        ..
    } = column;
    let sql = format!(
        r#"SELECT ctid::text, ({bound_to}) COLLATE "C", {column} FROM {table}
           WHERE length({column}) > 0 AND get_byte({column}, 0) <> $1 AND ({bound_to}) COLLATE "C" > $2
           ORDER BY 2 LIMIT $3 FOR UPDATE SKIP LOCKED"#
    );
    let found: Vec<(String, String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(i32::from(version))
        .bind(after)
        .bind(limit)
        .fetch_all(tx.connection())
        .await?;
    let values = found.into_iter().map(|(place, bound_to, sealed)| Value {
        place,
        bound_to,
        sealed,
    });
    Ok(values.collect())
}

/// Of values that this transaction has locked.
pub(crate) async fn replace(
    tx: &mut Tx,
    column: &Column,
    values: &[(&Value, Vec<u8>)],
) -> Result<(), Error> {
    query!("SELECT set_config('vaultaire.resealing', 'on', true)")
        .fetch_one(tx.connection())
        .await?;
    let Column { table, column, .. } = column;
    let sql = format!(
        "UPDATE {table} SET {column} = new.sealed
         FROM UNNEST($1::text[]::tid[], $2::bytea[]) AS new (place, sealed) WHERE {table}.ctid = new.place"
    );
    let (places, sealed): (Vec<_>, Vec<_>) = values
        .iter()
        .map(|(value, sealed)| (value.place.as_str(), sealed.as_slice()))
        .unzip();
    sqlx::query(AssertSqlSafe(sql))
        .bind(places)
        .bind(sealed)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Others wait behind a lock that is waited for. Less than Postgres's `deadlock_timeout`, so that it is never another that
/// has to give up.
const HOLD_WITHIN_MILLIS: u32 = 500;
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>: `query_canceled`, by the time limit.
const CANCELED: &str = "57014";

/// Waits for those who are writing, and holds up others to the end of the transaction: what is counted then is all. `false`:
/// something long is being written; the transaction is of no more use.
pub(crate) async fn hold(tx: &mut Tx) -> Result<bool, Error> {
    // For all the tables together, which a time limit on locks is not.
    limit(tx, HOLD_WITHIN_MILLIS).await?;
    let mut tables: Vec<&str> = COLUMNS.iter().map(|column| column.table).collect();
    tables.dedup();
    let sql = format!(
        "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
        tables.join(", ")
    );
    let held = sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(tx.connection())
        .await;
    match held {
        Ok(_) => limit(tx, 0).await.map(|()| true),
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == CANCELED) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Of each statement of the transaction; 0: none.
async fn limit(tx: &mut Tx, millis: u32) -> Result<(), Error> {
    query!(
        "SELECT set_config('statement_timeout', $1, true)",
        millis.to_string()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// One control plane does it at a time. `false`: another does.
pub(crate) async fn take_turn(tx: &mut Tx) -> Result<bool, Error> {
    let taken = query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtextextended('reseal', 0)) AS "taken!""#
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(taken)
}
