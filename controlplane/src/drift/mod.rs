//! Where database and engines disagree, and putting it right. Nothing that any row could own is ever deleted, and what is
//! in no row is deleted only by somebody who says how much of it there is.

mod look;
mod repair;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ids::{BucketId, TenantId};
use crate::{Actor, ControlPlane, Error, Origin, Tx, audit, db};

/// What is to be done about what is found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    /// Compare what is booked with what each bucket holds: every object is listed.
    pub usage: bool,
    /// Put right what can be put right without losing anything.
    pub repair: bool,
    /// Delete what is in no row.
    pub delete_orphans: bool,
    /// How many of these there are.
    pub confirm: Option<usize>,
    /// Make missing buckets anew, empty: how many there are.
    pub remake: Option<usize>,
    /// How many tenants' buckets or books it changes; must be said where these are several.
    pub tenants: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A bucket at the engine, named as ours are, and in no row.
    OrphanBucket,
    /// The same in a pool.
    OrphanPrefix,
    /// A row whose bucket is not at the engine: its objects are gone.
    MissingBucket,
    /// The pool of some rows is not at the engine.
    MissingPool,
    /// A row that nobody is making a bucket for any more.
    BrokenCreation,
    /// What a probe left behind.
    ProbeLeftover,
    /// What is booked as stored is not what is there.
    Usage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: Kind,
    pub engine: String,
    /// The engine's bucket, and the prefix in it.
    pub engine_bucket: String,
    pub prefix: String,
    /// Both in one, for people.
    pub place: String,
    pub tenant_id: Option<TenantId>,
    pub bucket_id: Option<BucketId>,
    /// As its tenant calls it.
    pub bucket: Option<String>,
    /// What is there; of usage, how much more than is booked. `None`: not known.
    pub bytes: Option<i64>,
    pub objects: Option<i64>,
    pub note: String,
    /// What was done about it; `None`: nothing.
    pub done: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotLooked {
    pub engine: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub at: DateTime<Utc>,
    /// Whether usage was compared.
    pub usage: bool,
    /// Whether anything was to be put right.
    pub repair: bool,
    pub findings: Vec<Finding>,
    /// Engines, or parts of them, of which nothing is known.
    pub not_looked: Vec<NotLooked>,
    /// Rows of buckets, and buckets and prefixes at engines, that were compared.
    pub rows: usize,
    pub places: usize,
    /// How many are in no row: what deleting them asks to be confirmed.
    pub orphans: usize,
    /// How many rows have no bucket at their engine: what making them anew asks to be confirmed.
    pub missing: usize,
}

impl Report {
    /// How many tenants' buckets or books a repair changes, with or without making missing buckets anew.
    pub fn tenants(&self, remake: bool) -> usize {
        let changed = self.findings.iter().filter(|finding| match finding.kind {
            Kind::BrokenCreation | Kind::Usage => true,
            Kind::MissingBucket => remake,
            _ => false,
        });
        let tenants: HashSet<_> = changed.filter_map(|finding| finding.tenant_id).collect();
        tenants.len()
    }

    fn count(&self, kinds: &[Kind]) -> usize {
        let of_kind = self.findings.iter().filter(|f| kinds.contains(&f.kind));
        of_kind.count()
    }
}

/// Looks, does what is wished, and keeps the report. Refused: `confirm_orphans`, `confirm_missing` and `confirm_tenants`,
/// where a wish names another number than there are, or none of several tenants; then nothing was done.
pub async fn run(
    cp: &ControlPlane,
    wish: Wish,
    actor: Actor,
    origin: Origin,
) -> Result<Report, Error> {
    // Not of the pool's: a connection that goes back to it would keep the lock if this ended early.
    let mut conn = cp.pool().acquire().await?.detach();
    if !db::drift::try_lock(&mut conn).await? {
        return Err(Error::Conflict {
            code: "drift_under_way",
            message:
                "Database and engines are being compared already. Try again when that is done."
                    .to_owned(),
        });
    }
    let done = alone(cp, wish, actor, origin).await;
    // Who was refused may try again at once.
    db::drift::unlock(&mut conn).await?;
    sqlx::Connection::close(conn).await?;
    done
}

/// Under the lock.
async fn alone(
    cp: &ControlPlane,
    wish: Wish,
    actor: Actor,
    origin: Origin,
) -> Result<Report, Error> {
    let mut report = look::look(cp, wish.usage).await?;
    check(wish, &report)?;
    let label = actor.label();
    if wish.repair {
        report.repair = true;
        repair::repair(cp, wish, &mut report, &actor, &origin).await;
    }
    let mut tx = cp.begin_system().await?.acting(actor, origin);
    db::drift::insert(&mut tx, &report, &label).await?;
    if wish.repair {
        let done = report.findings.iter().filter(|f| f.done.is_some()).count();
        let details = json!({
            "findings": report.findings.len(), "done": done,
            "delete_orphans": wish.confirm, "remake": wish.remake,
        });
        audit::record(&mut tx, cp, None, "drift.repair", "", details).await?;
    }
    tx.commit().await?;
    Ok(report)
}

/// The last one that was kept. Needs a system transaction.
pub async fn last(tx: &mut Tx) -> Result<Option<Report>, Error> {
    db::drift::last(tx).await
}

fn check(wish: Wish, report: &Report) -> Result<(), Error> {
    let (orphans, missing) = (report.orphans, report.missing);
    if (wish.delete_orphans || wish.remake.is_some()) && !wish.repair {
        let message = "Deleting orphans and making buckets anew are repairs: say so.";
        return Err(Error::validation("repair", message));
    }
    if wish.delete_orphans && wish.confirm != Some(orphans) {
        let objects: i64 = report
            .findings
            .iter()
            .filter(|f| matches!(f.kind, Kind::OrphanBucket | Kind::OrphanPrefix))
            .filter_map(|f| f.objects)
            .sum();
        return Err(Error::Conflict {
            code: "confirm_orphans",
            message: format!(
                "{orphans} buckets and prefixes are in no row, with {objects} objects. To delete all of them for good, \
                 confirm the number {orphans}."
            ),
        });
    }
    if wish.remake.is_some_and(|said| said != missing) {
        return Err(Error::Conflict {
            code: "confirm_missing",
            message: format!(
                "{missing} buckets are not at their engine, and what was in them is gone with them. If that is so for \
                 good, and not because the engine is another one, say the number {missing} to make them anew, empty."
            ),
        });
    }
    let tenants = report.tenants(wish.remake.is_some());
    if wish.repair && wish.tenants != Some(tenants) && (tenants > 1 || wish.tenants.is_some()) {
        return Err(Error::Conflict {
            code: "confirm_tenants",
            message: format!(
                "The repair changes something of {tenants} tenants. To do that, confirm the number {tenants}."
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_shown_how_many_tenants_a_repair_changes_changes_no_more() {
        let finding = |kind, tenant: u128| Finding {
            kind,
            engine: "main".to_owned(),
            engine_bucket: "vt-x".to_owned(),
            prefix: String::new(),
            place: "vt-x".to_owned(),
            tenant_id: Some(TenantId(uuid::Uuid::from_u128(tenant))),
            bucket_id: None,
            bucket: None,
            bytes: None,
            objects: None,
            note: String::new(),
            done: None,
        };
        let report = Report {
            at: DateTime::UNIX_EPOCH,
            usage: true,
            repair: false,
            findings: vec![
                finding(Kind::Usage, 1),
                finding(Kind::Usage, 1),
                finding(Kind::BrokenCreation, 2),
                finding(Kind::MissingBucket, 3),
            ],
            not_looked: Vec::new(),
            rows: 4,
            places: 3,
            orphans: 0,
            missing: 1,
        };
        let wish = |tenants, remake| Wish {
            repair: true,
            remake,
            tenants,
            ..Wish::default()
        };
        for allowed in [wish(Some(2), None), wish(Some(3), Some(1))] {
            assert!(check(allowed, &report).is_ok(), "{allowed:?}");
        }
        for refused in [
            wish(Some(1), None),
            wish(Some(2), Some(1)),
            wish(Some(0), None),
            wish(None, None),
        ] {
            let error = check(refused, &report).err();
            assert_eq!(error.map(|e| e.code()), Some("confirm_tenants"));
        }
    }

    #[test]
    fn whoever_deletes_names_the_number() {
        let report = Report {
            at: DateTime::UNIX_EPOCH,
            usage: false,
            repair: false,
            findings: Vec::new(),
            not_looked: Vec::new(),
            rows: 0,
            places: 0,
            orphans: 3,
            missing: 2,
        };
        let wish = |delete_orphans, confirm, remake| Wish {
            usage: false,
            repair: true,
            delete_orphans,
            confirm,
            remake,
            tenants: None,
        };
        assert!(check(wish(true, Some(3), Some(2)), &report).is_ok());
        assert!(check(wish(false, None, None), &report).is_ok());
        for (refused, code) in [
            (wish(true, None, None), "confirm_orphans"),
            (wish(true, Some(2), None), "confirm_orphans"),
            (wish(false, None, Some(3)), "confirm_missing"),
            (
                Wish {
                    repair: false,
                    ..wish(true, Some(3), None)
                },
                "validation_failed",
            ),
        ] {
            let error = check(refused, &report).err();
            assert_eq!(error.map(|e| e.code()), Some(code));
        }
    }
}
