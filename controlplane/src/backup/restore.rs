//! Puts a backup into an empty database: all of it, or nothing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::json;
use sqlx::PgConnection;
use sqlx::migrate::Migrator;

use super::read::{Part, Reader, verify};
use super::{Head, Report, TableHead, names};
use crate::db::backup::{self as rows, Table};
use crate::engine::SETTINGS_ROW;
use crate::secrets::Purpose;
use crate::{MasterKey, Tx, audit, db};

/// So much goes to the database at once.
const PIECE: usize = 256 << 10;

/// What nodes do that have followed the database that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// They take what was restored as soon as a control plane runs.
    Follow,
    /// They keep what they have until the operator accepts them.
    Wait,
}

/// The database must be empty, and its user needs no more than a control plane's. It is brought up to date with this
/// program. Fails, and leaves the database empty, where the backup is damaged or of a newer program, or where the master key
/// is another.
pub async fn restore(
    database_url: &str,
    master_key: &MasterKey,
    backup: &Path,
    nodes: Nodes,
) -> anyhow::Result<Report> {
    let (head, tables_of_then) = checked(master_key, backup).await?;
    let pool = db::connect(database_url).await?;
    let mut tx = Tx::new(pool.begin().await?, None);
    let conn = tx.connection();
    ensure!(
        rows::is_empty(conn).await?,
        "the database is not empty: a backup is restored into an empty one"
    );
    rows::make_tables(conn, &tables_of_then).await?;
    rows::speak_plainly(conn).await?;
    let (counts, bytes) = load(conn, backup).await?;
    rows::bring_up_to_date(conn).await?;
    let breaks = settle(&mut tx, master_key, &head, nodes).await?;
    tx.commit().await?;
    pool.close().await;
    Ok(Report {
        head,
        rows: counts,
        bytes,
        broken_audit_entries: Some(breaks),
    })
}

/// That the backup is whole, that this program can read it, and that the master key is its own.
pub async fn check(master_key: &MasterKey, backup: &Path) -> anyhow::Result<Head> {
    Ok(checked(master_key, backup).await?.0)
}

async fn checked(master_key: &MasterKey, backup: &Path) -> anyhow::Result<(Head, Migrator)> {
    let head = verify(backup).await?;
    let known = names(master_key.fingerprints());
    for key in &head.master_keys {
        ensure!(
            known.contains(key),
            "the backup needs the master key of version {} with the fingerprint {}; given is {}",
            key.version,
            key.fingerprint,
            known
                .iter()
                .map(|key| format!("{}:{}", key.version, key.fingerprint))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    let mut applied = Vec::new();
    for one in &head.migrations {
        applied.push((one.version, hex::decode(&one.checksum)?));
    }
    let tables = rows::known(&applied)?;
    Ok((head, tables))
}

async fn load(
    conn: &mut PgConnection,
    backup: &Path,
) -> anyhow::Result<(BTreeMap<String, u64>, u64)> {
    let mut missing: BTreeMap<String, Table> = rows::tables(conn)
        .await?
        .into_iter()
        .map(|table| (table.name.clone(), table))
        .collect();
    // What the migrations put in goes first: rows of a backup may take its place in any order.
    let all = super::order::sorted(
        missing.values().cloned().collect(),
        &rows::references(conn).await?,
    )?;
    for table in all.iter().rev() {
        rows::open(conn, table).await?;
    }
    let (mut reader, _) = Reader::open(backup).await?;
    let mut counts = BTreeMap::new();
    loop {
        match reader.part().await? {
            Part::Table(head) => {
                let table = missing
                    .remove(&head.table)
                    .filter(|table| table.columns == head.columns)
                    .with_context(|| {
                        format!("the backup's table {} is not this one's", head.table)
                    })?;
                counts.insert(
                    head.table.clone(),
                    fill(conn, &table, &head, &mut reader).await?,
                );
            }
            Part::Sequences(sequences) => {
                for (name, stands) in sequences {
                    rows::set_sequence(conn, &name, stands).await?;
                }
            }
            Part::Rows(told) => ensure!(
                told == counts,
                "the database took other rows than there are"
            ),
            Part::End => break,
        }
    }
    ensure!(
        missing.is_empty(),
        "the backup lacks the tables {:?}",
        missing.keys()
    );
    for table in &all {
        rows::close(conn, table).await?;
    }
    Ok((counts, reader.bytes))
}

async fn fill(
    conn: &mut PgConnection,
    table: &Table,
    head: &TableHead,
    reader: &mut Reader,
) -> anyhow::Result<u64> {
    let mut copy = conn.copy_in_raw(&rows::copy_in(table)).await?;
    let mut piece = Vec::with_capacity(PIECE);
    while let Some(row) = reader.row().await? {
        piece.extend_from_slice(row);
        if piece.len() >= PIECE {
            copy.send(piece.as_slice()).await?;
            piece.clear();
        }
    }
    copy.send(piece.as_slice()).await?;
    copy.finish()
        .await
        .with_context(|| format!("the table {} cannot be filled", head.table))
}

/// What must hold, and what is to be different from the moment of the backup. In how many places the audit logs do not hold.
async fn settle(
    tx: &mut Tx,
    master_key: &MasterKey,
    head: &Head,
    nodes: Nodes,
) -> anyhow::Result<usize> {
    db::enter_system(tx.connection()).await?;
    let settings = db::settings::get(tx.connection()).await?;
    if let Some(settings) = settings {
        master_key
            .open(Purpose::TokenKeys, SETTINGS_ROW, &settings.token_keys)
            .context("the master key is not the one that the backup is sealed under")?;
    }
    rows::distrust(tx.connection()).await?;
    if nodes == Nodes::Follow {
        db::revision::new_epoch(tx).await?;
        db::nodes::accept(tx, None).await?;
    }
    let now = rows::moment(tx.connection()).await?.at;
    let details = json!({ "taken_at": head.taken_at, "revision": head.revision });
    db::audit::insert(tx, now, None, "database.restore", "", details).await?;
    rows::finish_chains(tx.connection()).await?;
    let (_, breaks) = audit::verify(tx).await?;
    Ok(breaks.len())
}
