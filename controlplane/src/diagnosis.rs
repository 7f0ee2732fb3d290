//! What a control plane and its database say of themselves, for `vaultaire doctor`: facts, of which it judges.
//! It changes nothing, works on a database of another version too, and no secret is in what it answers.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::types::Json;
use sqlx::{ConnectOptions as _, Connection as _, FromRow};
use uuid::Uuid;
use wire::EngineCapabilities;

use crate::engine::{self, advise};
use crate::secrets::Purpose;
use crate::{ControlPlane, EngineConfig, Error, MailConfig, MasterKey, db};

const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// Nodes hear of a change within a second; one that is still behind after this lags.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(3);

/// What `GET /api/v1/admin/diagnosis` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Diagnosis {
    pub plane: Plane,
    pub database: Database,
}

/// How the control plane that answers is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plane {
    pub version: String,
    /// Its own clock, not the database's.
    pub now: DateTime<Utc>,
    pub public_url: String,
    pub s3_endpoint: String,
    /// `false`: mail lies in a folder.
    pub sends_mail: bool,
    /// `None`: billing is by hand; else whether the key is of live mode.
    pub stripe_live: Option<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Database {
    pub server: Server,
    /// The user of `DATABASE_URL`, and of `vaultaire_app` and `vaultaire_system` those that there are.
    pub roles: Vec<Role>,
    /// Tables in which nothing keeps a tenant to its own rows.
    pub unprotected: Vec<String>,
    pub migrations: Migrations,
    /// Whether the master key opens what was sealed here; `None`: there is no key to try, or nothing was sealed yet.
    pub master_key_opens: Option<bool>,
    /// `None`: no release that exchanges keys was started here yet.
    #[serde(default)]
    pub master_keys: Option<MasterKeys>,
    /// `None`: these tables cannot be read, such as before the first start.
    pub head: Option<i64>,
    pub nodes: Option<Vec<Node>>,
    pub engines: Option<Vec<Engine>>,
    pub queues: Option<Queues>,
}

/// Which versions of the master key there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterKeys {
    pub seals_under: u8,
    /// Sealed under others.
    pub values_behind: u64,
    /// Versions that sealed before, and were not dropped yet.
    pub unfinished: Vec<u8>,
    /// Control planes that run.
    pub control_planes: u64,
    /// Those of them that do not know the version that seals.
    pub lacking: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, FromRow)]
pub struct Server {
    /// As `server_version_num`: 150004 is 15.4.
    pub version: i32,
    pub now: DateTime<Utc>,
    pub max_connections: i32,
    pub reserved_connections: i32,
    pub used_connections: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize, FromRow)]
pub struct Role {
    pub name: String,
    /// It is the user of this connection.
    pub is_login: bool,
    pub superuser: bool,
    pub bypasses_rls: bool,
    /// The user of this connection is a member of it.
    pub can_be_taken: bool,
    pub owned_tables: i64,
}

/// Numbers of migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrations {
    pub newest: Option<i64>,
    /// Known to the program and not done here.
    pub pending: Vec<i64>,
    /// Done here, and not known to the program: it is older than the database.
    pub unknown: Vec<i64>,
    /// Done here with another text.
    pub altered: Vec<i64>,
    /// Begun and not ended.
    pub broken: Vec<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, FromRow)]
pub struct Node {
    pub id: Uuid,
    pub s3_address: String,
    pub version: String,
    /// The last that it acknowledged.
    pub revision: i64,
    /// The UTC day for which its signing keys were made: they reach eight days further.
    pub keys_day: Option<NaiveDate>,
    pub nacked_revision: Option<i64>,
    pub nack_reason: Option<String>,
    pub last_seen: Option<DateTime<Utc>>,
    pub connected: bool,
}

#[derive(Clone, Serialize, Deserialize, FromRow)]
pub struct Engine {
    pub id: String,
    pub endpoint: String,
    pub placement: String,
    pub pool_bucket: Option<String>,
    pub disabled: bool,
    pub capabilities: Json<EngineCapabilities>,
    /// `None`: it is not known what it can do.
    pub probed_at: Option<DateTime<Utc>>,
    pub capacity_bytes: Option<i64>,
    pub stored_bytes: i64,
    /// Credentials are being exchanged.
    pub rotating: bool,
    pub rotated_at: Option<DateTime<Utc>>,
    /// Of the last look; `None`: nobody looked.
    pub reachable: Option<bool>,
    pub checked_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    #[serde(skip)]
    secret: Vec<u8>,
    #[serde(skip)]
    region: String,
    #[serde(skip)]
    access_key_id: String,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("id", &self.id)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// What waits to be done, and since when what is due was not.
#[derive(Debug, Clone, Default, Serialize, Deserialize, FromRow)]
pub struct Queues {
    pub mails: i64,
    /// Tried before, in vain.
    pub mails_failing: i64,
    pub mail_due_since: Option<DateTime<Utc>>,
    pub stripe_events_failing: i64,
    pub meter_events_failing: i64,
    pub meter_event_due_since: Option<DateTime<Utc>>,
    pub webhooks_failing: i64,
    pub webhook_due_since: Option<DateTime<Utc>>,
    /// Of buckets, which nobody has taken up for an hour.
    pub deletions_broken_off: i64,
    pub stripe_live_customers: i64,
    pub stripe_test_customers: i64,
}

/// Of the control plane that is asked, and its database.
pub(crate) async fn of_control_plane(cp: &ControlPlane) -> Result<Diagnosis, Error> {
    let config = cp.config();
    let mut conn = cp.pool().acquire().await?;
    let database = look(&mut conn, Some(&cp.master_key())).await?;
    let plane = Plane {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: own_clock(),
        public_url: config.public_url.clone(),
        s3_endpoint: config.s3_endpoint.clone(),
        sends_mail: matches!(config.mail, MailConfig::Smtp { .. }),
        stripe_live: cp.stripe().map(crate::billing::stripe::Stripe::live),
    };
    Ok(Diagnosis { plane, database })
}

/// What this machine takes for the time, which is itself the question.
#[allow(clippy::disallowed_methods)]
pub fn own_clock() -> DateTime<Utc> {
    Utc::now()
}

/// Of the database at this URL. The error names neither password nor user.
pub async fn of_database(url: &str, master_key: Option<&MasterKey>) -> anyhow::Result<Database> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| anyhow::anyhow!("DATABASE_URL is not a postgres:// URL"))?
        .application_name("vaultaire-doctor");
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let found = async {
        let mut conn = options.connect().await?;
        let found = look(&mut conn, master_key).await?;
        conn.close().await?;
        Ok(found)
    };
    match tokio::time::timeout(CONNECTS_WITHIN + CATCHES_UP_WITHIN, found).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(unreachable(&place, &error)),
        Err(_) => anyhow::bail!("no answer from {place} within 8 seconds"),
    }
}

fn unreachable(place: &str, error: &sqlx::Error) -> anyhow::Error {
    match error {
        sqlx::Error::Database(said) => anyhow::anyhow!("{place} answers: {}", said.message()),
        other => anyhow::anyhow!("{place}: {other}"),
    }
}

async fn look(
    conn: &mut PgConnection,
    master_key: Option<&MasterKey>,
) -> Result<Database, sqlx::Error> {
    let server = db::diagnosis::server(conn).await?;
    let mut found = Database {
        roles: db::diagnosis::roles(conn).await?,
        unprotected: db::diagnosis::unprotected(conn).await?,
        migrations: db::diagnosis::migrations(conn).await?,
        master_key_opens: None,
        master_keys: None,
        head: None,
        nodes: None,
        engines: None,
        queues: None,
        server,
    };
    // As for every question about tenants: a role that sees them all. Without it the tables cannot be read.
    if found.roles.iter().filter(|r| !r.is_login).count() < 2 {
        return Ok(found);
    }
    let now = found.server.now;
    let sealed = section(conn, async |c| db::diagnosis::sealed_settings(c).await).await;
    found.master_key_opens = match (master_key, sealed.flatten()) {
        (Some(key), Some(sealed)) => Some(opens(key, &sealed)),
        _ => None,
    };
    found.master_keys = section(conn, async |c| db::diagnosis::master_keys(c, now).await)
        .await
        .flatten();
    found.engines = section(conn, async |c| db::diagnosis::engines(c).await).await;
    found.queues = section(conn, async |c| db::diagnosis::queues(c, now).await).await;
    let until = tokio::time::Instant::now() + CATCHES_UP_WITHIN;
    loop {
        let head = section(conn, async |c| db::diagnosis::head(c).await).await;
        // What is acknowledged now may be newer than the number that was read; older it is only where a node lags.
        found.nodes = section(conn, async |c| db::diagnosis::nodes(c).await).await;
        // The first number is what is waited for.
        found.head = found.head.or(head);
        let nodes = found.nodes.iter().flatten();
        let lags = nodes
            .filter(|node| node.connected)
            .any(|node| found.head.is_some_and(|head| node.revision < head));
        if !lags || tokio::time::Instant::now() >= until {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// In a transaction of its own, so that a table that is not there spoils no other question.
async fn section<T>(
    conn: &mut PgConnection,
    ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Option<T> {
    let mut tx = conn.begin().await.ok()?;
    db::enter_system(&mut tx).await.ok()?;
    let found = ask(&mut tx).await;
    tx.rollback().await.ok()?;
    found.ok()
}

fn opens(master_key: &MasterKey, sealed: &[u8]) -> bool {
    let opened = master_key.open(Purpose::TokenKeys, engine::SETTINGS_ROW, sealed);
    opened.is_ok()
}

/// Whether the engine answers and takes these credentials: after how many milliseconds, or which setting does not work
/// and how to mend it.
pub async fn look_at(config: &EngineConfig) -> Result<u64, String> {
    let looked = async { engine::Engine::new(config)?.look().await };
    match looked.await {
        Ok(look) => Ok(u64::try_from(look.latency.as_millis()).unwrap_or(u64::MAX)),
        Err(error) => Err(advise(config, &error).message()),
    }
}

/// As [`look_at`], with what the database keeps of the engine. `None`: read from a control plane, which keeps its secrets.
pub async fn look_at_row(row: &Engine, master_key: &MasterKey) -> Option<Result<u64, String>> {
    if row.secret.is_empty() {
        return None;
    }
    let opened = master_key.open(Purpose::EngineSecret, &row.id, &row.secret);
    let Some(secret) = opened.ok().and_then(|s| String::from_utf8(s.to_vec()).ok()) else {
        return Some(Err(
            "The master key does not open the engine's secret.".to_owned()
        ));
    };
    let config = EngineConfig {
        endpoint: row.endpoint.clone(),
        region: row.region.clone(),
        access_key_id: row.access_key_id.clone(),
        secret_access_key: secret,
        placement: row.placement.parse().ok()?,
        pool_bucket: row.pool_bucket.clone(),
    };
    Some(look_at(&config).await)
}
