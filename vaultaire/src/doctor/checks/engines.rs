//! The storage engines underneath.

use chrono::TimeDelta;
use controlplane::diagnosis::{Database, Engine};

use super::super::facts::Facts;
use super::{Outcome, failure, gigabytes, joined, ok, skew, skipped, warning};

/// A look every half minute; one that is older says nothing of now.
const FRESH: TimeDelta = TimeDelta::minutes(5);
const ROTATION_TAKES: TimeDelta = TimeDelta::days(1);

fn with(facts: &Facts, judge: impl FnOnce(&[Engine], &Database) -> Outcome) -> Outcome {
    let Some(Ok(database)) = &facts.database else {
        return skipped("the database could not be asked");
    };
    match database.engines.as_deref() {
        None | Some([]) => skipped("no engine is known to the database yet"),
        Some(engines) => judge(engines, database),
    }
}

/// By own look where there was one, else by what the control plane saw last.
pub fn reachable(facts: &Facts) -> Outcome {
    let mut seen: Vec<(String, Result<String, String>)> = Vec::new();
    for (id, look) in &facts.engine_looks {
        let look = look.clone().map(|millis| format!("{id} in {millis} ms"));
        seen.push((id.clone(), look));
    }
    if let Some(Ok(database)) = &facts.database {
        for engine in database.engines.iter().flatten() {
            let is_fresh = engine
                .checked_at
                .is_some_and(|at| database.server.now - at < FRESH);
            if !is_fresh || seen.iter().any(|(id, _)| *id == engine.id) {
                continue;
            }
            let look = match engine.reachable {
                Some(true) => Ok(engine.id.clone()),
                Some(false) => Err(engine.last_error.clone().unwrap_or_default()),
                None => continue,
            };
            seen.push((engine.id.clone(), look));
        }
    }
    let wrong = joined(
        seen.iter()
            .filter_map(|(id, look)| Some(format!("{id}: {}", look.as_ref().err()?))),
    );
    match wrong.is_empty() {
        _ if seen.is_empty() => skipped("no engine could be asked"),
        true => ok(format!(
            "they answer and take the credentials: {}",
            joined(seen.into_iter().filter_map(|(_, look)| look.ok()))
        )),
        false => failure(
            wrong,
            "mend the setting that is named, then: vaultaire engine probe ENGINE (`vaultaire up`: its logs/engine.log)",
        ),
    }
}

/// Without these, what customers do comes to harm rather than to a refusal.
pub fn capabilities(facts: &Facts) -> Outcome {
    with(facts, |engines, _| {
        let unknown = engines
            .iter()
            .filter(|engine| engine.probed_at.is_none() && !engine.disabled);
        let unknown = joined(unknown.map(|engine| engine.id.clone()));
        if !unknown.is_empty() {
            return failure(
                format!("it is not known what they can do, so what needs it is refused: {unknown}"),
                format!(
                    "vaultaire engine probe {}",
                    unknown.split(';').next().unwrap_or_default()
                ),
            );
        }
        let lacking = engines.iter().filter_map(|engine| {
            let lacks = lacking(engine);
            (!lacks.is_empty()).then(|| format!("{} lacks {}", engine.id, lacks.join(", ")))
        });
        let lacking = joined(lacking);
        match lacking.is_empty() {
            true => ok("known, and nothing that placement needs is missing"),
            false => warning(
                lacking,
                "customers are refused these features: docs/S3-COMPATIBILITY.md",
            ),
        }
    })
}

fn lacking(engine: &Engine) -> Vec<&'static str> {
    let can = &engine.capabilities.0;
    let mut lacks = Vec::new();
    if !can.conditional_writes {
        lacks.push("conditional writes");
    }
    // Pooled buckets have no features of buckets, so there is nothing to lack.
    if engine.placement == "dedicated" && !can.versioning {
        lacks.push("versioning");
    }
    lacks
}

pub fn space(facts: &Facts) -> Outcome {
    with(facts, |engines, _| {
        let mut known = 0;
        let mut low = Vec::new();
        let mut least_percent = 100;
        for engine in engines {
            let Some(capacity) = engine.capacity_bytes.and_then(|c| u64::try_from(c).ok()) else {
                continue;
            };
            known += 1;
            let stored = u64::try_from(engine.stored_bytes).unwrap_or(0);
            let free = capacity.saturating_sub(stored);
            let percent = u128::from(free) * 100 / u128::from(capacity.max(1));
            let percent = u32::try_from(percent).unwrap_or(100);
            least_percent = least_percent.min(percent);
            if percent < 15 {
                low.push(format!(
                    "{} has {} free ({percent} %)",
                    engine.id,
                    gigabytes(free)
                ));
            }
        }
        let mend =
            "add an engine and make it the default: docs/operate/install.md (vaultaire engine add)";
        match low.is_empty() {
            _ if known == 0 => skipped(
                "no engine's capacity is known; say it with `vaultaire engine set ENGINE --capacity-bytes N`",
            ),
            true => ok(format!("{least_percent} % or more is free")),
            false if least_percent < 5 => failure(joined(low), mend),
            false => warning(joined(low), mend),
        }
    })
}

pub fn rotation(facts: &Facts) -> Outcome {
    with(facts, |engines, database| {
        let now = database.server.now;
        let open = engines.iter().filter(|engine| engine.rotating);
        let old =
            open.filter(|engine| engine.rotated_at.is_none_or(|at| now - at > ROTATION_TAKES));
        let old: Vec<String> = old.map(|engine| engine.id.clone()).collect();
        match old.first() {
            None => ok("no exchange of credentials was left open"),
            Some(first) => warning(
                format!(
                    "the credentials before are kept for more than a day: {}",
                    old.join(", ")
                ),
                format!("vaultaire engine rotate {first} --finish   (docs/operate/keys.md)"),
            ),
        }
    })
}

pub fn clocks(facts: &Facts) -> Outcome {
    let clocks = facts.engine_clocks.iter();
    skew(clocks.map(|(id, ahead)| (id.as_str(), *ahead)))
}
