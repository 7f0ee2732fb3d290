//! Writes the backup: everything as of one moment, while the control planes go on working.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    AppliedMigration, CHECKSUM, END_OF_TABLE, FORMAT, Head, ROWS, Report, SEQUENCES, TABLE,
    TableHead, names, order,
};
use crate::db::backup::{self as rows, Table};
use crate::engine::SETTINGS_ROW;
use crate::secrets::Purpose;
use crate::{MasterKey, db, master_key as keys};

/// Counts and hashes what goes through.
struct Out<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: AsyncWrite + Unpin> Out<W> {
    async fn put(&mut self, piece: &[u8]) -> std::io::Result<()> {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        self.to.write_all(piece).await
    }

    async fn line(&mut self, word: &str, what: &impl serde::Serialize) -> anyhow::Result<()> {
        let line = format!("{word}{}\n", serde_json::to_string(what)?);
        Ok(self.put(line.as_bytes()).await?)
    }
}

/// Needs no more than the control plane's own database user. The master key is not written, only named; one that does
/// not open what is there is an error.
pub async fn write(
    database_url: &str,
    master_key: &MasterKey,
    to: impl AsyncWrite + Unpin,
) -> anyhow::Result<Report> {
    let pool = db::connect(database_url).await?;
    let mut tx = pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    rows::speak_plainly(&mut tx).await?;
    let tables = rows::tables(&mut tx).await?;
    ensure!(
        tables.iter().any(|table| table.name == "revision"),
        "this is no database of Vaultaire"
    );
    let tables = order::sorted(tables, &rows::references(&mut tx).await?)?;
    let head = head(&mut tx, master_key).await?;
    let mut out = Out {
        to,
        hash: Sha256::new(),
        bytes: 0,
    };
    out.put(format!("{FORMAT}\n").as_bytes()).await?;
    out.line("", &head).await?;
    let mut counts = BTreeMap::new();
    for table in &tables {
        counts.insert(
            table.name.clone(),
            one_table(&mut tx, table, &mut out).await?,
        );
    }
    rows::enter_owner(&mut tx).await?;
    // They know no snapshot, so they come last: no row has a number that they have not given yet.
    out.line(SEQUENCES, &rows::sequences(&mut tx).await?)
        .await?;
    out.line(ROWS, &counts).await?;
    let checksum = format!("{CHECKSUM}{}\n", hex::encode(out.hash.clone().finalize()));
    out.put(checksum.as_bytes()).await?;
    out.to.flush().await?;
    tx.rollback().await?;
    pool.close().await;
    Ok(Report {
        head,
        rows: counts,
        bytes: out.bytes,
        broken_audit_entries: None,
    })
}

async fn head(conn: &mut PgConnection, master_key: &MasterKey) -> anyhow::Result<Head> {
    let migrations = rows::applied(conn).await?;
    let settings = db::settings::get(conn).await?;
    if let Some(settings) = settings {
        master_key
            .open(Purpose::TokenKeys, SETTINGS_ROW, &settings.token_keys)
            .context("the master key is not the one that this database was set up with")?;
    }
    let known = names(master_key.fingerprints());
    // A database of an older release says nothing of that.
    let needed = match db::master_keys::there_are(conn).await? {
        true => names(keys::needed(conn).await?),
        false => Vec::new(),
    };
    for key in &needed {
        ensure!(
            known.contains(key),
            "secrets may be sealed under the master key of version {} with the fingerprint {}, which is not among those given",
            key.version,
            key.fingerprint
        );
    }
    let named = if needed.is_empty() { known } else { needed };
    let moment = rows::moment(conn).await?;
    Ok(Head {
        taken_at: moment.at,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        migrations: migrations
            .into_iter()
            .map(|(version, checksum)| AppliedMigration {
                version,
                checksum: hex::encode(checksum),
            })
            .collect(),
        master_keys: named,
        revision: moment.revision,
        epoch: moment.epoch,
    })
}

/// How many rows it has.
async fn one_table(
    conn: &mut PgConnection,
    table: &Table,
    out: &mut Out<impl AsyncWrite + Unpin>,
) -> anyhow::Result<u64> {
    if table.guarded {
        // Rows that a policy hides would be missing without a word.
        ensure!(
            table.open_to_system,
            "the table {} has no policy under which all its rows can be read",
            table.name
        );
        db::enter_system(conn).await?;
    } else {
        rows::enter_owner(conn).await?;
    }
    let head = TableHead {
        table: table.name.clone(),
        columns: table.columns.clone(),
    };
    out.line(TABLE, &head).await?;
    let mut count = 0;
    rows::copy_out(conn, table, async |piece| {
        count += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        out.put(piece).await
    })
    .await
    .with_context(|| format!("the table {} cannot be read", table.name))?;
    out.put(END_OF_TABLE).await?;
    Ok(count)
}
