//! `vaultaire doctor`: says what is wrong with an installation and how to mend it.
//! Facts are collected first, and judged by pure functions; it changes nothing and prints no secret.

mod checks;
mod collect;
mod facts;
mod place;
mod probes;

use std::io::Write;

use anyhow::bail;
use serde::Serialize;

use crate::cli::Target;
use crate::settings::Environment;
pub use facts::UnknownSetting;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Warning,
    Failure,
    /// It could not be looked at, or there is no such thing here.
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    pub found: String,
    /// One command or a page of the book; with warnings and failures alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Fails where a check failed.
pub async fn run(target: &Target, environment: &Environment) -> anyhow::Result<()> {
    let place = place::find(target, environment)?;
    let shown = place.shown.clone();
    let facts = collect::collect(place, environment).await;
    let checks = checks::examine(&facts);
    let failed = count(&checks, Status::Failure);
    let mut out = std::io::stdout().lock();
    if target.json {
        let report = serde_json::json!({ "examined": shown, "failed": failed, "checks": checks });
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        out.write_all(text(&shown, &checks).as_bytes())?;
    }
    out.flush()?;
    if failed > 0 {
        bail!("{failed} of {} checks failed.", checks.len());
    }
    Ok(())
}

fn count(checks: &[Check], status: Status) -> usize {
    checks.iter().filter(|check| check.status == status).count()
}

fn text(shown: &str, checks: &[Check]) -> String {
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let mut out = format!("Examined: {shown}\n\n");
    for check in checks {
        let word = match check.status {
            Status::Ok => "ok",
            Status::Warning => "WARNING",
            Status::Failure => "FAILURE",
            Status::Skipped => "skipped",
        };
        let (name, found) = (check.name, &check.found);
        out.push_str(&format!("{word:<8} {name:<width$}  {found}\n"));
        if let Some(mend) = &check.mend {
            out.push_str(&format!("{:<8} {:<width$}  → {mend}\n", "", ""));
        }
    }
    let of = |status| count(checks, status);
    out.push_str(&format!(
        "\n{} failed, {} warnings, {} ok, {} skipped\n",
        of(Status::Failure),
        of(Status::Warning),
        of(Status::Ok),
        of(Status::Skipped)
    ));
    out
}
