//! Compares. Engines are listed before rows are read: a row is there before its bucket and until after it, so that what
//! was listed and is in no row then was in none.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Finding, Kind, NotLooked, Report};
use crate::db::drift::Placed;
use crate::engine::{Engine, Listed, PROBE_BUCKETS, PROBE_PREFIX, brief};
use crate::ids::{BucketId, TenantId};
use crate::{ControlPlane, Error, db, usage};

/// What probes are at work on is younger.
const PROBES_END_WITHIN: TimeDelta = TimeDelta::hours(1);
const OUR_BUCKETS: &str = "vt-";
const OUR_PREFIX: &str = "t/";
const ID_LENGTH: usize = 32;

/// What one engine was found to hold.
struct Found {
    id: String,
    endpoint: String,
    /// `None`: it did not say.
    buckets: Option<Vec<Listed>>,
    /// `(pool, prefix)`, of tenants' buckets.
    prefixes: Vec<(String, String)>,
    /// `(pool, prefix)`, of probes that are long over.
    probes: Vec<(String, String)>,
    /// Pools that are not there.
    missing_pools: Vec<String>,
    not_looked: Vec<String>,
}

pub(super) async fn look(cp: &ControlPlane, with_usage: bool) -> Result<Report, Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let engines = db::engines::list(tx.connection()).await?;
    let pools = pools(&engines, &db::drift::all(&mut tx).await?);
    drop(tx);
    let mut found = Vec::new();
    for row in &engines {
        let pools: Vec<&String> = pools
            .iter()
            .filter(|(engine, _)| *engine == row.id)
            .map(|(_, pool)| pool)
            .collect();
        found.push(list(cp, row, &pools, now).await);
    }
    let mut tx = cp.begin_system().await?;
    let rows = db::drift::all(&mut tx).await?;
    drop(tx);

    let mut findings = Vec::new();
    orphans(cp, &found, &rows, now, &mut findings).await;
    missing(cp, &found, &rows, &mut findings).await?;
    findings.extend(broken_creations(&rows, now));
    let mut not_looked: Vec<NotLooked> = Vec::new();
    for engine in &found {
        let reasons = engine.not_looked.iter().map(|reason| NotLooked {
            engine: engine.id.clone(),
            reason: reason.clone(),
        });
        not_looked.extend(reasons);
    }
    if with_usage {
        let (differences, failed) = usage::differences(cp).await?;
        findings.extend(differences.into_iter().map(of_usage));
        not_looked.extend(
            failed
                .into_iter()
                .map(|(engine, reason)| NotLooked { engine, reason }),
        );
    }
    let listed = |found: &Found| {
        found.buckets.as_ref().map_or(0, Vec::len) + found.prefixes.len() + found.probes.len()
    };
    let mut report = Report {
        at: now,
        usage: with_usage,
        repair: false,
        findings,
        not_looked,
        rows: rows.len(),
        places: found.iter().map(listed).sum(),
        orphans: 0,
        missing: 0,
    };
    report.orphans = report.count(&[Kind::OrphanBucket, Kind::OrphanPrefix]);
    report.missing = report.count(&[Kind::MissingBucket]);
    Ok(report)
}

/// Of each engine: the one that new buckets go into, and those that rows are in.
fn pools(engines: &[db::engines::Row], rows: &[Placed]) -> BTreeSet<(String, String)> {
    let of_rows = rows.iter().filter(|row| !row.prefix.is_empty());
    let of_rows = of_rows.map(|row| (row.engine_id.clone(), row.engine_bucket.clone()));
    let of_engines = engines.iter();
    of_engines
        .filter_map(|row| Some((row.id.clone(), row.pool_bucket.clone()?)))
        .chain(of_rows)
        .collect()
}

async fn list(
    cp: &ControlPlane,
    row: &db::engines::Row,
    pools: &[&String],
    now: DateTime<Utc>,
) -> Found {
    let mut found = Found {
        id: row.id.clone(),
        endpoint: row.endpoint.clone(),
        buckets: None,
        prefixes: Vec::new(),
        probes: Vec::new(),
        missing_pools: Vec::new(),
        not_looked: Vec::new(),
    };
    let engine = match cp.engine(&row.id).await {
        Ok(engine) => engine,
        Err(error) => {
            found.not_looked.push(error.to_string());
            return found;
        }
    };
    match engine.list_buckets().await {
        Ok(buckets) => found.buckets = Some(buckets),
        Err(error) => {
            let reason = format!("its buckets cannot be listed: {}", brief(&error));
            found.not_looked.push(reason);
        }
    }
    for pool in pools {
        if let Err(error) = list_pool(&engine, pool, now, &mut found).await {
            let reason = format!("the pool {pool} cannot be listed: {}", brief(&error));
            found.not_looked.push(reason);
        }
    }
    found
}

async fn list_pool(
    engine: &Engine,
    pool: &str,
    now: DateTime<Utc>,
    found: &mut Found,
) -> anyhow::Result<()> {
    if !engine.has_bucket(pool).await? {
        found.missing_pools.push(pool.to_owned());
        return Ok(());
    }
    for tenant in engine.folders(pool, OUR_PREFIX).await? {
        let prefixes = engine.folders(pool, &tenant).await?.into_iter();
        let ours = prefixes.filter(|prefix| is_ours(prefix));
        found.prefixes.extend(ours.map(|p| (pool.to_owned(), p)));
    }
    for prefix in engine.folders(pool, PROBE_PREFIX).await? {
        let written = engine.written_at(pool, &prefix).await?;
        if written.is_some_and(|at| now - at > PROBES_END_WITHIN) {
            found.probes.push((pool.to_owned(), prefix));
        }
    }
    Ok(())
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `t/<tenant>/<bucket>/`.
fn is_ours(prefix: &str) -> bool {
    let parts: Vec<&str> = prefix.split('/').collect();
    matches!(parts.as_slice(), ["t", tenant, bucket, ""] if is_id(tenant) && is_id(bucket))
}

async fn orphans(
    cp: &ControlPlane,
    found: &[Found],
    rows: &[Placed],
    now: DateTime<Utc>,
    findings: &mut Vec<Finding>,
) {
    // Of whatever engine: two rows of `engines` may be one engine.
    let owned: HashSet<(&str, &str)> = rows
        .iter()
        .map(|row| (row.engine_bucket.as_str(), row.prefix.as_str()))
        .collect();
    let mut seen = HashSet::new();
    for engine in found {
        for bucket in engine.buckets.iter().flatten() {
            let name = bucket.name.as_str();
            let is_bucket = name.strip_prefix(OUR_BUCKETS).is_some_and(is_id);
            let over = bucket
                .created_at
                .is_some_and(|at| now - at > PROBES_END_WITHIN);
            let kind = if is_bucket && !owned.contains(&(name, "")) {
                Kind::OrphanBucket
            } else if name.starts_with(PROBE_BUCKETS) && over {
                Kind::ProbeLeftover
            } else {
                continue;
            };
            if seen.insert((engine.endpoint.as_str(), name, "")) {
                findings.push(unowned(cp, kind, engine, (name, "")).await);
            }
        }
        for (pool, prefix) in &engine.prefixes {
            let place = (pool.as_str(), prefix.as_str());
            if !owned.contains(&place) && seen.insert((engine.endpoint.as_str(), pool, prefix)) {
                findings.push(unowned(cp, Kind::OrphanPrefix, engine, place).await);
            }
        }
        for (pool, prefix) in &engine.probes {
            if seen.insert((engine.endpoint.as_str(), pool, prefix)) {
                let place = (pool.as_str(), prefix.as_str());
                findings.push(unowned(cp, Kind::ProbeLeftover, engine, place).await);
            }
        }
    }
}

/// With what it holds, as far as that can be found out.
async fn unowned(
    cp: &ControlPlane,
    kind: Kind,
    engine: &Found,
    (bucket, prefix): (&str, &str),
) -> Finding {
    let measured = async { cp.engine(&engine.id).await?.measure(bucket, prefix).await };
    let measured = measured.await.ok();
    Finding {
        bytes: measured.map(|m| m.bytes),
        objects: measured.map(|m| m.objects),
        note: match kind {
            Kind::ProbeLeftover => "left by a probe that broke off".to_owned(),
            _ => "in no row: of another installation, of a time after the last backup, or left behind".to_owned(),
        },
        ..Finding::at(kind, &engine.id, bucket, prefix)
    }
}

impl Finding {
    fn at(kind: Kind, engine: &str, bucket: &str, prefix: &str) -> Self {
        let separator = if prefix.is_empty() { "" } else { "/" };
        Self {
            kind,
            engine: engine.to_owned(),
            engine_bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            place: format!("{bucket}{separator}{prefix}"),
            tenant_id: None,
            bucket_id: None,
            bucket: None,
            bytes: None,
            objects: None,
            note: String::new(),
            done: None,
        }
    }

    fn of(kind: Kind, row: &Placed, note: &str) -> Self {
        Self {
            tenant_id: Some(TenantId(row.tenant_id)),
            bucket_id: Some(BucketId(row.id)),
            bucket: Some(row.name.clone()),
            note: note.to_owned(),
            ..Self::at(kind, &row.engine_id, &row.engine_bucket, &row.prefix)
        }
    }
}

/// What is not in the list is asked for by name, and its row read once more: it may have been deleted meanwhile.
async fn missing(
    cp: &ControlPlane,
    found: &[Found],
    rows: &[Placed],
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    for engine in found {
        let Some(listed) = &engine.buckets else {
            continue;
        };
        let listed: HashSet<&str> = listed.iter().map(|b| b.name.as_str()).collect();
        let of_engine = rows.iter().filter(|row| row.engine_id == engine.id);
        let absent = of_engine.filter(|row| {
            row.status == "active"
                && row.prefix.is_empty()
                && !listed.contains(row.engine_bucket.as_str())
        });
        for row in absent {
            let connection = cp.engine(&engine.id).await?;
            if !matches!(connection.has_bucket(&row.engine_bucket).await, Ok(false)) {
                continue;
            }
            let mut tx = cp.begin_system().await?;
            let still = db::drift::lock(&mut tx, row.id).await?;
            if still.is_some_and(|row| row.status == "active") {
                let note = "not at the engine: requests for it fail, and what was in it is gone";
                findings.push(Finding::of(Kind::MissingBucket, row, note));
            }
        }
    }
    for engine in found {
        for pool in &engine.missing_pools {
            let inside = rows
                .iter()
                .filter(|row| row.engine_id == engine.id && row.engine_bucket == *pool);
            let count = inside.count();
            findings.push(Finding {
                note: format!(
                    "the pool of {count} buckets is not at the engine: bring it back, or correct where the engine is"
                ),
                ..Finding::at(Kind::MissingPool, &engine.id, pool, "")
            });
        }
    }
    Ok(())
}

fn broken_creations(rows: &[Placed], now: DateTime<Utc>) -> Vec<Finding> {
    let broken = rows.iter().filter(|row| {
        row.status == "creating" && row.claimed_until.is_none_or(|until| until <= now)
    });
    let note = "its making broke off; the customer may try again";
    broken
        .map(|row| Finding::of(Kind::BrokenCreation, row, note))
        .collect()
}

fn of_usage(difference: usage::Difference) -> Finding {
    let usage::Difference {
        place,
        bytes,
        objects,
    } = difference;
    Finding {
        tenant_id: Some(TenantId(place.tenant_id)),
        bucket_id: Some(BucketId(place.id)),
        bucket: Some(place.name),
        bytes: Some(bytes),
        objects: Some(objects),
        note: "more is there than is booked (or less); the daily inventory puts it right too"
            .to_owned(),
        ..Finding::at(
            Kind::Usage,
            &place.engine_id,
            &place.engine_bucket,
            &place.prefix,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_as_we_name_it_is_ours() {
        let id = "0123456789abcdef0123456789abcdef";
        assert!(is_ours(&format!("t/{id}/{id}/")));
        for foreign in [
            "t/".to_owned(),
            format!("t/{id}/"),
            format!("t/{id}/photos/"),
            format!("t/{id}/{id}/more/"),
            format!("x/{id}/{id}/"),
        ] {
            assert!(!is_ours(&foreign), "{foreign}");
        }
    }
}
