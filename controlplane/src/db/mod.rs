//! All SQL of the project, one file a table, checked at compile time.
//! No decision is taken here: callers begin, decide and commit.

pub(crate) mod access_key_uses;
pub(crate) mod access_keys;
pub(crate) mod across;
pub(crate) mod allotments;
pub(crate) mod api_tokens;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod billing;
pub(crate) mod buckets;
pub(crate) mod bulk;
pub(crate) mod deletions;
pub(crate) mod diagnosis;
pub(crate) mod drift;
pub(crate) mod email_changes;
pub(crate) mod engine_health;
pub(crate) mod engines;
pub(crate) mod export;
pub(crate) mod fleet;
pub(crate) mod idempotent_requests;
pub(crate) mod impersonations;
pub(crate) mod invitations;
pub(crate) mod jobs;
pub(crate) mod leases;
pub(crate) mod limits;
pub(crate) mod log_in_challenges;
pub(crate) mod login_failures;
pub(crate) mod mails;
pub(crate) mod master_keys;
pub(crate) mod members;
pub(crate) mod metering;
mod neighbours;
pub(crate) mod nodes;
pub(crate) mod notices;
pub(crate) mod operator_audit;
pub(crate) mod operator_sessions;
pub(crate) mod operator_tenants;
pub(crate) mod operators;
pub(crate) mod passkey_ceremonies;
pub(crate) mod passkeys;
pub(crate) mod password_resets;
pub(crate) mod plans;
pub(crate) mod refusals;
pub(crate) mod revenue;
pub(crate) mod revision;
pub(crate) mod sealed;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod sign_ups;
pub(crate) mod spending;
pub(crate) mod stripe;
pub(crate) mod stripe_events;
pub(crate) mod tenants;
pub(crate) mod totp;
pub(crate) mod usage;
pub(crate) mod usage_buckets;
pub(crate) mod usage_report;

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, query, query_scalar};
use tokio::time::{Instant, timeout};

use crate::Error;
use crate::ids::TenantId;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// For what is asked and written in one transaction.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// For a job that does many things in turn.
pub(crate) const PATIENCE_OF_JOBS: Duration = Duration::from_secs(1800);
/// Releases that do not say that they run (see `master_keys`) call their connections `vaultaire`.
const APPLICATION: &str = "vaultaire-program";
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_secs(20);

/// The channel on which the number of a new revision is announced.
pub(crate) const REVISION_CHANNEL: &str = "vaultaire_revision";

/// Connects, trying for half a minute: the database may still be starting.
pub(crate) async fn connect(url: &str) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(url)
        .context("DATABASE_URL is not a postgres:// URL")?
        .application_name(APPLICATION);
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let until = Instant::now() + Duration::from_secs(30);
    let mut told = false;
    loop {
        let pool = pool_options()
            .max_connections(24)
            .connect_with(options.clone())
            .await;
        match pool {
            Ok(pool) => return Ok(pool),
            Err(error) if Instant::now() >= until || is_final(&error) => {
                return Err(error).with_context(|| {
                    format!("the database at {place} cannot be used (DATABASE_URL)")
                });
            }
            Err(error) => {
                if !told {
                    tracing::warn!(%place, %error, "waiting for the database");
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
}

/// A connection may be dead and nobody says so: the other machine is gone, or what stands between has forgotten it. Such
/// a one is found when it is taken from the pool and when it goes back, and closed. And a control plane that stands
/// still must not hold up the others for ever with a transaction that it has open.
fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new()
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(|conn, _| {
            Box::pin(async move {
                query!(
                    "SELECT set_config('idle_in_transaction_session_timeout', '60000', false) AS idle,
                        set_config('tcp_keepalives_idle', '15', false) AS quiet,
                        set_config('tcp_keepalives_interval', '5', false) AS again,
                        set_config('tcp_keepalives_count', '3', false) AS times"
                )
                .fetch_one(conn)
                .await
                .map(drop)
            })
        })
        .test_before_acquire(false)
        .before_acquire(|conn, _| Box::pin(answers(conn)))
        .after_release(|conn, _| Box::pin(answers(conn)))
}

/// An error closes the connection without a word to the server, for which it would have to wait.
async fn answers(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let answered = timeout(ANSWERS_WITHIN, conn.ping()).await;
    answered.map_err(|_| silent())?.map(|()| true)
}

/// For work that nobody waits for: an answer of the database that never comes must not end it for good.
pub(crate) async fn in_time<T>(
    within: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(within, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Unavailable("The database does not answer.")),
    }
}

/// A wrong password or database name does not mend itself; a server that is starting (57P03) does.
fn is_final(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|c| c != "57P03" && c != "53300"),
        sqlx::Error::Configuration(_) => true,
        _ => false,
    }
}

/// Brings the tables up to date; several control planes may do so at once (sqlx takes an advisory lock). A newer release's
/// may have done so already: what it added is in nobody's way. What it took away is.
pub(crate) async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    let superuser = query!(
        r#"SELECT rolsuper OR rolbypassrls AS "bypasses!" FROM pg_roles WHERE rolname = current_user"#
    )
    .fetch_one(pool)
    .await?
    .bypasses;
    if superuser {
        tracing::warn!(
            "the database user is a superuser; an ordinary user with CREATEROLE that owns the database is enough"
        );
    }
    neighbours::refuse_contracted(pool).await?;
    neighbours::migrations()
        .run(pool)
        .await
        .context("bringing the database up to date failed")
}

pub(crate) async fn listener(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = listener_on(pool, REVISION_CHANNEL).await?;
    listener.listen(leases::CHANNEL).await?;
    Ok(listener)
}

/// On a connection of its own: one that is dead would take a place of the pool's with it.
pub(crate) async fn listener_on(pool: &PgPool, channel: &str) -> Result<PgListener, sqlx::Error> {
    let own = pool_options()
        .max_connections(1)
        .connect_lazy_with((*pool.connect_options()).clone());
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(channel).await?;
    Ok(listener)
}

/// What was announced, or `None`: something may have been missed. After silence it is asked whether the server is there.
pub(crate) async fn announced(
    listener: &mut PgListener,
) -> Result<Option<PgNotification>, sqlx::Error> {
    loop {
        if let Ok(announced) = timeout(SILENCE, listener.try_recv()).await {
            return announced;
        }
        let asked = query!("SELECT 1 AS one").fetch_one(&mut *listener);
        timeout(ANSWERS_WITHIN, asked)
            .await
            .map_err(|_| silent())??;
    }
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// What time the database's machine has.
pub(crate) async fn now(pool: &PgPool) -> Result<DateTime<Utc>, sqlx::Error> {
    query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(pool)
        .await
}

pub(crate) async fn is_reachable(pool: &PgPool) -> bool {
    query!("SELECT 1 AS one").fetch_one(pool).await.is_ok()
}

/// To the end of the transaction only this tenant's rows can be seen.
pub(crate) async fn enter_tenant(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> Result<(), sqlx::Error> {
    query!(
        "SELECT set_config('role', 'vaultaire_app', true) AS role, set_config('vaultaire.tenant_id', $1, true) AS tenant",
        tenant.to_string()
    )
    .fetch_one(conn)
    .await
    .map(drop)
}

/// To the end of the transaction every tenant's rows can be seen.
pub(crate) async fn enter_system(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    query!("SELECT set_config('role', 'vaultaire_system', true)")
        .fetch_one(conn)
        .await
        .map(drop)
}
