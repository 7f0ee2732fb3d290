//! The whole database, read in one snapshot and put into an empty one. What there is comes from the catalogue, so that a
//! table that comes later cannot be forgotten.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgConnection, query, query_as, query_scalar};
use uuid::Uuid;
use wire::Revision;

use super::MIGRATIONS;

/// The policy by which a system transaction sees every row, as Postgres writes it.
const ALL_ROWS: &str = "(CURRENT_USER = 'vaultaire_system'::name)";
/// In `nodes.void_ledger`: whatever ledger the node has.
pub(crate) const EVERY_LEDGER: &str = "*";

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub name: String,
    /// As SQL writes it.
    pub quoted: String,
    /// As SQL writes them; without those that are computed.
    pub columns: Vec<String>,
    /// Under row-level security, which is forced on the owner.
    pub guarded: bool,
    /// A system transaction sees every row.
    pub open_to_system: bool,
}

/// By name.
pub(crate) async fn tables(conn: &mut PgConnection) -> Result<Vec<Table>, sqlx::Error> {
    query_as!(
        Table,
        r#"SELECT c.relname::text AS "name!", quote_ident(c.relname) AS "quoted!", c.relrowsecurity AND c.relforcerowsecurity AS "guarded!",
                  ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                        ORDER BY a.attname) AS "columns!",
                  EXISTS (SELECT FROM pg_policy p
                          WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
                            AND to_regrole('vaultaire_system')::oid = ANY (p.polroles)
                            AND pg_get_expr(p.polqual, p.polrelid) = $1)
                  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)
                      AS "open_to_system!"
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
             AND c.relname <> '_sqlx_migrations'
           ORDER BY c.relname"#,
        ALL_ROWS
    )
    .fetch_all(conn)
    .await
}

/// Which table refers to which other.
pub(crate) async fn references(
    conn: &mut PgConnection,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = query!(
        r#"SELECT DISTINCT c.relname::text AS "from!", t.relname::text AS "to!"
           FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
           WHERE k.contype = 'f' AND k.conrelid <> k.confrelid"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.from, row.to)).collect())
}

/// Whether there is nothing of anybody's in the database.
pub(crate) async fn is_empty(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                              WHERE n.nspname = 'public' AND c.relkind <> 'c') AS "empty!""#
    )
    .fetch_one(conn)
    .await
}

/// Values are written so that any server reads the same from them.
pub(crate) async fn speak_plainly(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query!(
        "SELECT set_config('datestyle', 'ISO, YMD', true) AS a, set_config('intervalstyle', 'postgres', true) AS b,
                set_config('timezone', 'UTC', true) AS c, set_config('bytea_output', 'hex', true) AS d,
                set_config('extra_float_digits', '1', true) AS e"
    )
    .fetch_one(conn)
    .await
    .map(drop)
}

/// To the end of the transaction, or until another role is taken.
pub(crate) async fn enter_owner(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query!("SELECT set_config('role', 'none', true)")
        .fetch_one(conn)
        .await
        .map(drop)
}

/// The migrations that the database has gone through: version and checksum.
pub(crate) async fn applied(conn: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    // sqlx's own table: it is there where sqlx has migrated, not where the macros look.
    sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(conn)
        .await
}

pub(crate) struct Moment {
    pub at: DateTime<Utc>,
    pub revision: Revision,
    pub epoch: Uuid,
}

pub(crate) async fn moment(conn: &mut PgConnection) -> Result<Moment, sqlx::Error> {
    query_as!(
        Moment,
        r#"SELECT now() AS "at!", number AS revision, epoch FROM revision"#
    )
    .fetch_one(conn)
    .await
}

/// The rows of a table in Postgres's text format, handed on piece by piece.
pub(crate) async fn copy_out(
    conn: &mut PgConnection,
    table: &Table,
    mut piece: impl AsyncFnMut(&[u8]) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let sql = format!(
        "COPY {} ({}) TO STDOUT",
        table.quoted,
        table.columns.join(", ")
    );
    let mut rows = conn.copy_out_raw(&sql).await?;
    while let Some(bytes) = rows.try_next().await? {
        piece(&bytes).await?;
    }
    Ok(())
}

/// Every sequence: where it stands, and whether that number is taken.
pub(crate) async fn sequences(
    conn: &mut PgConnection,
) -> Result<BTreeMap<String, (i64, bool)>, sqlx::Error> {
    let names = query!(
        r#"SELECT c.relname::text AS "name!", quote_ident(c.relname) AS "quoted!"
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'public' AND c.relkind = 'S'"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut all = BTreeMap::new();
    for row in names {
        let sql = format!("SELECT last_value, is_called FROM {}", row.quoted);
        let stands = sqlx::query_as(AssertSqlSafe(sql))
            .fetch_one(&mut *conn)
            .await?;
        all.insert(row.name, stands);
    }
    Ok(all)
}

pub(crate) async fn set_sequence(
    conn: &mut PgConnection,
    name: &str,
    (last, called): (i64, bool),
) -> Result<(), sqlx::Error> {
    query!(
        "SELECT setval(quote_ident($1)::regclass, $2, $3)",
        name,
        last,
        called
    )
    .fetch_one(conn)
    .await
    .map(drop)
}

/// What this program knows of these migrations: an error names the first that it does not.
pub(crate) fn known(applied: &[(i64, Vec<u8>)]) -> anyhow::Result<Migrator> {
    let newest = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    let mut subset = Vec::new();
    for (version, checksum) in applied {
        let ours = MIGRATIONS.iter().find(|m| m.version == *version);
        let Some(ours) = ours else {
            ensure!(
                *version <= newest,
                "the backup was made by a newer release (its tables are of version {version}, this program knows {newest}): \
                 restore it with that release"
            );
            anyhow::bail!(
                "the backup's tables are of a version ({version}) that this program does not know"
            );
        };
        ensure!(
            *ours.checksum == **checksum,
            "the backup's tables were made by another migration {version} than this program's"
        );
        subset.push(ours.clone());
    }
    Ok(Migrator::with_migrations(subset))
}

/// Makes the tables of those migrations, within the connection's transaction.
pub(crate) async fn make_tables(
    conn: &mut PgConnection,
    migrator: &Migrator,
) -> anyhow::Result<()> {
    migrator
        .run_direct(None, conn, false)
        .await
        .context("the tables cannot be made")
}

/// From the tables of the backup's version to those of this program's.
pub(crate) async fn bring_up_to_date(conn: &mut PgConnection) -> anyhow::Result<()> {
    MIGRATIONS
        .run_direct(None, conn, false)
        .await
        .context("bringing the database up to date failed")
}

/// Lets the owner fill a table as it was: no policy holds it, no trigger adds to it, and what the migrations put into it
/// is taken out.
pub(crate) async fn open(conn: &mut PgConnection, table: &Table) -> anyhow::Result<()> {
    let name = &table.quoted;
    let mut sql = format!("ALTER TABLE {name} DISABLE TRIGGER USER");
    if table.guarded {
        sql += &format!("; ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY");
    }
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *conn)
        .await?;
    let filled: bool =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM {name})")))
            .fetch_one(&mut *conn)
            .await?;
    if filled {
        sqlx::raw_sql(AssertSqlSafe(format!("DELETE FROM {name}")))
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// The end of [`open`].
pub(crate) async fn close(conn: &mut PgConnection, table: &Table) -> Result<(), sqlx::Error> {
    let name = &table.quoted;
    let mut sql = format!("ALTER TABLE {name} ENABLE TRIGGER USER");
    if table.guarded {
        sql += &format!("; ALTER TABLE {name} FORCE ROW LEVEL SECURITY");
    }
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(conn)
        .await
        .map(drop)
}

/// Chains the entries that this transaction has added to the audit logs.
pub(crate) async fn finish_chains(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query!("SET CONSTRAINTS ALL IMMEDIATE")
        .execute(conn)
        .await
        .map(drop)
}

pub(crate) fn copy_in(table: &Table) -> String {
    format!(
        "COPY {} ({}) FROM STDIN",
        table.quoted,
        table.columns.join(", ")
    )
}

/// What other machines have done since the backup is not in it. Nobody who has logged out since is let in again, what
/// nodes hold of quotas is void, and what buckets hold is looked at soon. Needs the system's role.
pub(crate) async fn distrust(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query!("DELETE FROM sessions").execute(&mut *conn).await?;
    query!("DELETE FROM operator_sessions")
        .execute(&mut *conn)
        .await?;
    query!("DELETE FROM join_tokens WHERE used_at IS NULL")
        .execute(&mut *conn)
        .await?;
    query!(
        "UPDATE nodes SET ledger = NULL, void_ledger = $1, stream = NULL, connected_until = NULL",
        EVERY_LEDGER
    )
    .execute(&mut *conn)
    .await?;
    query!("UPDATE leases SET consumed = granted WHERE consumed < granted")
        .execute(&mut *conn)
        .await?;
    query!("UPDATE bucket_usage SET inventory_at = NULL")
        .execute(conn)
        .await
        .map(drop)
}
