//! Questions about the database as a whole, for `vaultaire doctor`.
//! Alone here queries are not checked at compile time: the database may be of an older or newer version than the program.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row as _, query, query_as, query_scalar};

use super::MIGRATIONS;
use super::sealed;
use crate::diagnosis::{Engine, MasterKeys, Migrations, Node, Queues, Role, Server};

type Found<T> = Result<T, sqlx::Error>;

pub(crate) async fn server(conn: &mut PgConnection) -> Found<Server> {
    query_as(
        "SELECT current_setting('server_version_num')::int AS version, clock_timestamp() AS now,
                current_setting('max_connections')::int AS max_connections,
                current_setting('superuser_reserved_connections')::int AS reserved_connections,
                (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL) AS used_connections",
    )
    .fetch_one(conn)
    .await
}

/// The user of this connection first, then those of the two roles that there are.
pub(crate) async fn roles(conn: &mut PgConnection) -> Found<Vec<Role>> {
    query_as(
        "SELECT rolname::text AS name, rolsuper AS superuser, rolbypassrls AS bypasses_rls,
                rolname = session_user AS is_login,
                pg_has_role(session_user, oid, 'MEMBER') AS can_be_taken,
                (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p') AND n.nspname = 'public') AS owned_tables
         FROM pg_roles r WHERE rolname IN (session_user, 'vaultaire_app', 'vaultaire_system')
         ORDER BY rolname <> session_user, rolname",
    )
    .fetch_all(conn)
    .await
}

/// Tables with tenants' rows that the tenants' role may use, and in which nothing keeps it to one tenant's.
pub(crate) async fn unprotected(conn: &mut PgConnection) -> Found<Vec<String>> {
    query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
           AND (c.relname = 'tenants' OR EXISTS (SELECT FROM pg_attribute a
                WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
           AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'vaultaire_app')
           AND (has_any_column_privilege('vaultaire_app', c.oid, 'SELECT, INSERT, UPDATE')
                OR has_table_privilege('vaultaire_app', c.oid, 'DELETE'))
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                    AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
         ORDER BY c.relname",
    )
    .fetch_all(conn)
    .await
}

/// What was done here compared with what this program brings. A database that was never used has done nothing.
pub(crate) async fn migrations(conn: &mut PgConnection) -> Found<Migrations> {
    let there: bool = query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *conn)
        .await?;
    let mut found = Migrations::default();
    let mut done = Vec::new();
    if there {
        let rows =
            query("SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version")
                .fetch_all(conn)
                .await?;
        for row in rows {
            let (version, success): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
            let checksum: Vec<u8> = row.try_get(2)?;
            done.push(version);
            match MIGRATIONS.iter().find(|known| known.version == version) {
                _ if !success => found.broken.push(version),
                None => found.unknown.push(version),
                Some(known) if *known.checksum != *checksum => found.altered.push(version),
                Some(_) => {}
            }
        }
    }
    let ours = MIGRATIONS.iter().map(|known| known.version);
    found.pending = ours.filter(|version| !done.contains(version)).collect();
    found.newest = done.last().copied();
    Ok(found)
}

/// What every start of a control plane opens; `None`: none ever started here.
pub(crate) async fn sealed_settings(conn: &mut PgConnection) -> Found<Option<Vec<u8>>> {
    query_scalar("SELECT token_keys FROM settings")
        .fetch_optional(conn)
        .await
}

pub(crate) async fn head(conn: &mut PgConnection) -> Found<i64> {
    query_scalar("SELECT number FROM revision")
        .fetch_one(conn)
        .await
}

pub(crate) async fn nodes(conn: &mut PgConnection) -> Found<Vec<Node>> {
    query_as(
        "SELECT id, s3_address, version, revision, keys_day, nacked_revision, nack_reason, last_seen,
                COALESCE(connected_until > clock_timestamp(), false) AS connected
         FROM nodes WHERE removed_at IS NULL ORDER BY s3_address",
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn engines(conn: &mut PgConnection) -> Found<Vec<Engine>> {
    query_as(
        "SELECT e.id, e.endpoint, e.placement, e.pool_bucket, e.disabled_at IS NOT NULL AS disabled, e.capabilities,
                e.probed_at, e.capacity_bytes, e.old_access_key_id IS NOT NULL AS rotating, e.rotated_at,
                h.reachable, h.checked_at, h.last_error, e.secret, e.region, e.access_key_id,
                (SELECT COALESCE(sum(u.stored_bytes), 0)::bigint
                 FROM buckets b JOIN bucket_usage u ON u.tenant_id = b.tenant_id AND u.bucket_id = b.id
                 WHERE b.engine_id = e.id) AS stored_bytes
         FROM engines e LEFT JOIN engine_health h ON h.engine_id = e.id ORDER BY e.id",
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn queues(conn: &mut PgConnection, now: DateTime<Utc>) -> Found<Queues> {
    query_as(
        "SELECT (SELECT count(*) FROM mails) AS mails,
                (SELECT count(*) FROM mails WHERE attempts > 0) AS mails_failing,
                (SELECT min(next_attempt_at) FROM mails WHERE next_attempt_at < $1) AS mail_due_since,
                (SELECT count(*) FROM stripe_events WHERE state = 'failed') AS stripe_events_failing,
                (SELECT count(*) FROM meter_events WHERE sent_at IS NULL AND attempts > 0) AS meter_events_failing,
                (SELECT min(next_attempt_at) FROM meter_events WHERE sent_at IS NULL AND next_attempt_at < $1) AS meter_event_due_since,
                (SELECT count(*) FROM customer_webhooks WHERE attempts > 0) AS webhooks_failing,
                (SELECT min(next_attempt_at) FROM customer_webhooks WHERE next_attempt_at < $1) AS webhook_due_since,
                (SELECT count(*) FROM buckets WHERE status = 'deleting'
                 AND COALESCE(claimed_until, created_at) < $1 - interval '1 hour') AS deletions_broken_off,
                (SELECT count(*) FROM stripe_customers WHERE live) AS stripe_live_customers,
                (SELECT count(*) FROM stripe_customers WHERE NOT live) AS stripe_test_customers",
    )
    .bind(now)
    .fetch_one(conn)
    .await
}

/// `None`: no version was taken up yet.
pub(crate) async fn master_keys(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Found<Option<MasterKeys>> {
    let byte = |version: i16| u8::try_from(version).unwrap_or_default();
    let seals: Option<i16> = query_scalar("SELECT master_key_version FROM settings")
        .fetch_optional(&mut *conn)
        .await?
        .flatten();
    let Some(seals) = seals else {
        return Ok(None);
    };
    let counts = sealed::count(conn).await?.into_iter();
    let behind = counts.filter(|(_, under, _)| *under != byte(seals));
    let values_behind = behind.map(|(_, _, count)| count).sum();
    let unfinished: Vec<i16> = query_scalar(
        "SELECT version FROM master_keys WHERE dropped_at IS NULL AND version <> $1 ORDER BY version",
    )
    .bind(seals)
    .fetch_all(&mut *conn)
    .await?;
    let (control_planes, lacking): (i64, i64) = query_as(
        "SELECT count(*), count(*) FILTER (WHERE NOT jsonb_exists(master_keys, $2)) FROM control_planes WHERE running_until > $1",
    )
    .bind(now)
    .bind(seals.to_string())
    .fetch_one(conn)
    .await?;
    Ok(Some(MasterKeys {
        seals_under: byte(seals),
        values_behind,
        unfinished: unfinished.into_iter().map(byte).collect(),
        control_planes: control_planes.unsigned_abs(),
        lacking: lacking.unsigned_abs(),
    }))
}
