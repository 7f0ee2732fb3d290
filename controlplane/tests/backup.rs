//! A backup holds every row as of one moment, and what is restored from it is what was there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use controlplane::backup::{self, Nodes, Report};
use controlplane::{MasterKey, accounts};
use http::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::io::AsyncReadExt;
use wire::{FromNode, ToNode};

use crate::database::Database;
use crate::isolation::two_tenants;
use crate::plane::{Plane, eventually};

/// Sessions end, and join tokens that were not used are void.
const NOT_KEPT: &[&str] = &["join_tokens", "operator_sessions", "sessions"];

/// What a restore changes on purpose: the columns that are another afterwards, or the rows that are not there.
fn compared(table: &str) -> &'static str {
    match table {
        "sessions" | "operator_sessions" => "SELECT '{}'::jsonb WHERE false",
        "join_tokens" => "SELECT to_jsonb(t) FROM join_tokens t WHERE used_at IS NOT NULL",
        "revision" => "SELECT to_jsonb(t) - 'epoch' FROM revision t",
        "leases" => "SELECT to_jsonb(t) - 'consumed' FROM leases t",
        "bucket_usage" => "SELECT to_jsonb(t) - 'inventory_at' FROM bucket_usage t",
        "nodes" => {
            "SELECT to_jsonb(t) - '{ledger,void_ledger,stream,connected_until,accepted}'::text[] FROM nodes t"
        }
        "audit_log" => "SELECT to_jsonb(t) FROM audit_log t WHERE action <> 'database.restore'",
        "audit_chain" => {
            "SELECT to_jsonb(c) FROM audit_chain c JOIN audit_log l ON l.id = c.entry_id
             WHERE l.action <> 'database.restore'"
        }
        "_sqlx_migrations" => {
            "SELECT to_jsonb(t) - '{installed_on,execution_time}'::text[] FROM _sqlx_migrations t"
        }
        _ => "",
    }
}

async fn texts(conn: &mut PgConnection, sql: String) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(conn)
        .await
        .unwrap()
}

/// Every row of every table, as the superuser sees them, and where the sequences stand.
async fn everything(database: &Database) -> BTreeMap<String, Vec<String>> {
    let mut conn = database.superuser().await;
    let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = $1";
    let mut all = BTreeMap::new();
    for kind in ["r", "S"] {
        let names: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql.replace("$1", &format!("'{kind}'"))))
                .fetch_all(&mut conn)
                .await
                .unwrap();
        for name in names {
            let select = match (kind, compared(&name)) {
                // Of the entry about the restore.
                ("S", _) if name == "audit_log_id_seq" => continue,
                ("S", _) => format!("SELECT jsonb_build_array(last_value, is_called) FROM {name}"),
                (_, "") => format!("SELECT to_jsonb(t) FROM {name} t"),
                (_, other) => other.to_owned(),
            };
            let sql = format!("SELECT row::text FROM ({select}) AS s (row) ORDER BY 1");
            all.insert(name.clone(), texts(&mut conn, sql).await);
        }
    }
    all
}

fn key() -> MasterKey {
    MasterKey::from_bytes([3; 32])
}

async fn back_up(plane: &Plane) -> PathBuf {
    let path = plane.folder.path().join("backup");
    let file = tokio::fs::File::create(&path).await.unwrap();
    backup::write(&plane.database.url(), &key(), file)
        .await
        .unwrap();
    path
}

async fn restore(database: &Database, path: &Path, nodes: Nodes) -> anyhow::Result<Report> {
    backup::restore(&database.url(), &key(), path, nodes).await
}

/// A row in each table that two tenants leave empty.
const MORE: &str = include_str!("backup.sql");

#[tokio::test]
async fn every_row_of_every_table_is_there_again() {
    let plane = Plane::start().await;
    two_tenants(&plane).await;
    plane.database.execute(MORE).await;
    // Jobs that write would make two moments of one.
    plane.cp.shut_down().await;
    let before = everything(&plane.database).await;
    let path = back_up(&plane).await;
    let again = Database::create().await;
    let report = restore(&again, &path, Nodes::Follow).await.unwrap();
    let after = everything(&again).await;
    let mut empty = Vec::new();
    for (table, rows) in &before {
        assert_eq!(Some(rows), after.get(table), "{table}");
        if rows.is_empty() && !NOT_KEPT.contains(&table.as_str()) {
            empty.push(table);
        }
    }
    assert!(
        empty.is_empty(),
        "give each a row in backup.sql, so that it is known to be in a backup: {empty:?}"
    );
    assert_eq!(before.len(), after.len());
    assert_eq!(report.broken_audit_entries, Some(0));
    again.drop().await;
    plane.stop().await;
}

#[tokio::test]
async fn what_was_restored_works_and_is_protected_as_before() {
    let plane = Plane::start().await;
    let signed_in = plane.sign_up("one@example.com").await;
    let tenant = plane.tenant("two@example.com").await;
    let path = back_up(&plane).await;
    let again = Database::create().await;
    restore(&again, &path, Nodes::Follow).await.unwrap();
    let plane = plane.moved_to(again).await;

    // Secrets open: the node is told the key, and the log-in's password holds.
    let node = plane.node().await;
    let snapshot = plane.connect(&node, 0).await.snapshot().await;
    let told: Vec<&str> = snapshot
        .tenants
        .iter()
        .flat_map(|t| &t.access_keys)
        .map(|k| k.access_key_id.as_str())
        .collect();
    assert_eq!(told, [tenant.access_key_id.as_str()]);
    assert!(
        accounts::session(&plane.cp, &signed_in.token)
            .await
            .unwrap()
            .is_none(),
        "who logged out since the backup is not let in again"
    );
    // New rows have new numbers.
    plane.tenant("three@example.com").await;
    let (_, verified) = plane.admin(Method::GET, "/audit/verify", None).await;
    assert_eq!(verified["broken"], json!([]));
    let restored = "SELECT count(*) FROM audit_log WHERE action = 'database.restore'";
    assert_eq!(plane.database.count(restored).await, 1);
    let mut owner = plane.database.owner().await;
    for table in [
        "audit_log",
        "audit_chain",
        "operator_audit",
        "operator_audit_chain",
    ] {
        for change in [
            format!("UPDATE {table} SET hash = hash"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let change = change.replace(
                "SET hash = hash",
                match table.ends_with("chain") {
                    true => "SET position = position + 1",
                    false => "SET actor = ''",
                },
            );
            let refused = sqlx::raw_sql(AssertSqlSafe(change.clone()))
                .execute(&mut owner)
                .await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("permission denied"), "{change}: {refused}");
        }
    }
    let unforced = "SELECT count(*) FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity";
    assert_eq!(plane.database.count(unforced).await, 0);
    let off = "SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'";
    assert_eq!(plane.database.count(off).await, 0);
    plane.stop().await;
}

#[tokio::test]
async fn all_of_it_is_of_one_moment_while_work_goes_on() {
    let plane = Plane::start().await;
    let before = plane.tenant("before@example.com").await;
    // It stands still while nobody reads.
    let (to, mut from) = tokio::io::duplex(64);
    let url = plane.database.url();
    let key = key();
    let reading = async {
        let mut all = vec![0; 100];
        from.read_exact(&mut all).await.unwrap();
        let after = plane.tenant("after@example.com").await;
        from.read_to_end(&mut all).await.unwrap();
        (all, after)
    };
    let (written, (all, after)) = tokio::join!(backup::write(&url, &key, to), reading);
    written.unwrap();
    let all = String::from_utf8(all).unwrap();
    assert!(all.contains(&before.access_key_id));
    for later in [after.access_key_id.as_str(), "after@example.com"] {
        assert!(!all.contains(later), "{later} came after the moment");
    }
    for secret in [hex::encode([3; 32]), before.secret_access_key] {
        assert!(!all.contains(&secret));
    }
    plane.stop().await;
}

#[tokio::test]
async fn what_is_damaged_foreign_or_newer_is_refused_and_leaves_nothing() {
    let plane = Plane::start().await;
    plane.tenant("one@example.com").await;
    let path = back_up(&plane).await;
    let good = std::fs::read(&path).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let again = Database::create().await;
    let altered = text
        .replacen("one@example.com", "two@example.com", 1)
        .into_bytes();
    let cut = good[..good.len() / 2].to_vec();
    let without_end = text.as_bytes()[..text.rfind("SHA256").unwrap()].to_vec();
    let longer = [good.as_slice(), b"x\n"].concat();
    let other = b"PGDMP\n".to_vec();
    for (content, why) in [
        (altered, "checksum"),
        (cut, "cut off"),
        (without_end, "cut off"),
        (longer, "after its end"),
        (other, "is no backup"),
        (with_newer_tables(&text), "newer release"),
    ] {
        std::fs::write(&path, content).unwrap();
        let refused = restore(&again, &path, Nodes::Follow).await.unwrap_err();
        let refused = format!("{refused:#}");
        assert!(refused.contains(why), "{why}: {refused}");
    }
    std::fs::write(&path, &good).unwrap();
    let wrong = MasterKey::from_bytes([4; 32]);
    let refused = backup::restore(&again.url(), &wrong, &path, Nodes::Follow).await;
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(refused.contains("fingerprint"), "{refused}");
    let refused = backup::write(&plane.database.url(), &wrong, tokio::io::sink()).await;
    assert!(format!("{:#}", refused.unwrap_err()).contains("master key"));

    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(again.count(tables).await, 0);
    restore(&again, &path, Nodes::Follow).await.unwrap();
    let twice = restore(&again, &path, Nodes::Follow).await.unwrap_err();
    assert!(format!("{twice:#}").contains("not empty"));
    again.drop().await;
    plane.stop().await;
}

/// With a right checksum, of a release that has one migration more.
fn with_newer_tables(text: &str) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut lines: Vec<&str> = text.lines().collect();
    let mut head: Value = serde_json::from_str(lines[1]).unwrap();
    let more = json!({ "version": 9999, "checksum": "00" });
    head["migrations"].as_array_mut().unwrap().push(more);
    let head = head.to_string();
    lines[1] = &head;
    lines.pop();
    let text = lines.join("\n") + "\n";
    let checksum = hex::encode(Sha256::digest(text.as_bytes()));
    format!("{text}SHA256 {checksum}\n").into_bytes()
}

#[tokio::test]
async fn an_older_backups_tables_are_brought_up_to_date() {
    let plane = Plane::start().await;
    plane.cp.shut_down().await;
    // As a release before migration 27 left it.
    let sql = "DROP FUNCTION refuse_dropped_master_key CASCADE; DROP TABLE control_planes;
        ALTER TABLE settings DROP COLUMN master_key_version, DROP COLUMN resealed; DROP TABLE master_keys;
        DROP TRIGGER keep_engine_credentials ON engines; DROP FUNCTION keep_engine_credentials;
        ALTER TABLE engines DROP COLUMN superseded; DROP TABLE schema_floor;
        DELETE FROM _sqlx_migrations WHERE version >= 27";
    plane.database.execute(sql).await;
    let path = back_up(&plane).await;
    let again = Database::create().await;
    restore(&again, &path, Nodes::Follow).await.unwrap();
    let there = "SELECT count(*) FROM pg_class WHERE relname = 'schema_floor'";
    assert_eq!(again.count(there).await, 1);
    let plane = plane.moved_to(again).await;
    plane.tenant("one@example.com").await;
    plane.stop().await;
}

/// Says that it is ahead of what was restored, and what it hears first of configuration.
async fn ahead(
    plane: &Plane,
    node: &crate::plane::Node,
    epoch: &str,
) -> (crate::plane::Stream, ToNode) {
    let address = crate::plane::serve(&plane.cp).await;
    let token = node.token(plane.clock.now());
    let mut stream = crate::plane::Stream::open(&address, &token).await.unwrap();
    let mut hello = crate::plane::hello(1_000_000);
    if let FromNode::Hello { epoch: said, .. } = &mut hello {
        *said = epoch.to_owned();
    }
    stream.say(&hello).await;
    loop {
        match stream.hear().await {
            ToNode::Allotment(_) | ToNode::Heartbeat { .. } => {}
            other => return (stream, other),
        }
    }
}

#[tokio::test]
async fn a_node_that_is_ahead_takes_what_was_restored_unless_it_is_to_wait() {
    for nodes in [Nodes::Follow, Nodes::Wait] {
        let plane = Plane::start().await;
        let node = plane.node().await;
        let epoch = plane.epoch().await;
        let path = back_up(&plane).await;
        let again = Database::create().await;
        restore(&again, &path, nodes).await.unwrap();
        let plane = plane.moved_to(again).await;
        let (mut stream, told) = ahead(&plane, &node, &epoch).await;
        let ToNode::SnapshotBegin(begin) = told else {
            panic!("{told:?}");
        };
        assert_eq!(begin.accepted, nodes == Nodes::Follow);
        assert_eq!(begin.epoch == epoch, nodes == Nodes::Wait);
        if nodes == Nodes::Follow {
            let snapshot = stream.rest(begin).await;
            stream.ack(snapshot.revision).await;
            eventually(async || {
                let accepted = "SELECT count(*) FROM nodes WHERE accepted";
                plane.database.count(accepted).await == 0
            })
            .await;
        }
        plane.stop().await;
    }
}

#[tokio::test]
async fn what_nodes_held_of_quotas_is_void_whichever_ledger_they_have_now() {
    let plane = Plane::start().await;
    let node = plane.node().await;
    let path = back_up(&plane).await;
    let again = Database::create().await;
    restore(&again, &path, Nodes::Follow).await.unwrap();
    let plane = plane.moved_to(again).await;
    let mut stream = plane.connect(&node, 0).await;
    let revision = stream.snapshot().await.revision;
    stream.ack(revision).await;
    for (ledger, renewed) in [
        ("since the backup", true),
        ("since the backup", true),
        ("new", false),
    ] {
        let ledger = ledger.to_owned();
        stream
            .say(&FromNode::Ledger {
                ledger: ledger.clone(),
            })
            .await;
        let heard = loop {
            let heard = stream.hear().await;
            if matches!(heard, ToNode::Renew { .. } | ToNode::Grants(_)) {
                break heard;
            }
        };
        assert_eq!(
            heard
                == ToNode::Renew {
                    ledger: ledger.clone()
                },
            renewed,
            "{ledger}: {heard:?}"
        );
    }
    plane.stop().await;
}
