//! `vaultaire revenue`, `vaultaire job …` and `vaultaire notice …`.

use serde_json::{Value, json};

use super::client::Client;
use super::{print, print_json, print_many, print_one, table};
use crate::cli::{JobCommand, NoticeCommand, RevenueArguments};
use crate::settings::Environment;

pub async fn revenue(
    RevenueArguments { months, target }: RevenueArguments,
    environment: &Environment,
) -> anyhow::Result<()> {
    let query = [("months", months.to_string())];
    let answer = Client::new(&target, environment)?
        .get_with(&["revenue"], &query)
        .await?;
    if target.json {
        return print_json(&answer);
    }
    print(&told(&answer))
}

/// The report as people read it.
fn told(report: &Value) -> String {
    let mut text = String::new();
    for of in report["currencies"].as_array().into_iter().flatten() {
        let heading = json!({
            "currency": of["currency"], "mrr_cents": of["mrr_cents"], "paying_tenants": of["paying_tenants"],
            "new_cents_in_30_days": of["last_30_days"]["new_cents"],
            "lost_cents_in_30_days": of["last_30_days"]["lost_cents"],
            "lost_tenants_in_30_days": of["last_30_days"]["lost_tenants"],
        });
        text.push_str(&table::fields(&heading));
        let plans = ["plan_id", "version", "tenants", "mrr_cents"];
        let months = [
            "month",
            "opening_cents",
            "new_cents",
            "expansion_cents",
            "contraction_cents",
            "lost_cents",
            "lost_tenants",
            "closing_cents",
        ];
        for (name, columns) in [("plans", &plans[..]), ("months", &months)] {
            text.push('\n');
            text.push_str(&table::rows(&of[name], columns));
        }
        text.push('\n');
    }
    let trials = &report["trials"];
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    text.push_str(&table::fields(&json!({
        "trials_running": trials["running"], "trials_ending_in_7_days": count(&trials["ending"]),
        "trials_converted_in_30_days": count(&trials["converted_in_30_days"]),
    })));
    text.push_str("\nPast due:\n");
    let columns = [
        "tenant_id",
        "name",
        "owed_cents",
        "currency",
        "due_at",
        "rung",
        "since",
    ];
    text.push_str(&table::rows(&report["past_due"], &columns));
    text
}

pub async fn job(command: JobCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        JobCommand::List {
            kind,
            state,
            target,
        } => {
            let mut query = Vec::new();
            query.extend(kind.map(|kind| ("kind", kind.name().to_owned())));
            query.extend(state.map(|state| ("state", state.name().to_owned())));
            let answer = Client::new(&target, environment)?
                .get_with(&["jobs"], &query)
                .await?;
            let columns = [
                "kind",
                "id",
                "state",
                "what",
                "age_seconds",
                "attempts",
                "next_at",
                "last_error",
            ];
            print_many(&answer, "jobs", &columns, target.json)
        }
        JobCommand::Retry {
            kind: Some(kind),
            id: Some(id),
            target,
            ..
        } => {
            let answer = Client::new(&target, environment)?
                .post(&["jobs", kind.name(), &id, "retry"], &json!({}))
                .await?;
            print_one(&answer, target.json)
        }
        JobCommand::Retry {
            of,
            state,
            confirm,
            target,
            ..
        } => {
            let body = json!({
                "kind": of.map(|kind| kind.name()), "state": state.map(|state| state.name()), "confirm": confirm,
            });
            let answer = Client::new(&target, environment)?
                .post(&["jobs", "retry"], &body)
                .await?;
            print_one(&answer, target.json)
        }
    }
}

pub async fn notice(command: NoticeCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        NoticeCommand::Create {
            title,
            text,
            level,
            from,
            until,
            plan,
            confirm,
            target,
        } => {
            let body = json!({
                "title": title, "text": text, "level": level.name(), "from": from, "until": until, "plan": plan,
                "confirm": confirm,
            });
            let answer = Client::new(&target, environment)?
                .post(&["notices"], &body)
                .await?;
            print_one(&answer, target.json)
        }
        NoticeCommand::List { target } => {
            let answer = Client::new(&target, environment)?.get(&["notices"]).await?;
            let columns = [
                "notice_id",
                "level",
                "title",
                "plan",
                "from",
                "until",
                "ended_at",
                "tenants",
                "dismissed",
            ];
            print_many(&answer, "notices", &columns, target.json)
        }
        NoticeCommand::End {
            notice,
            confirm,
            target,
        } => {
            let answer = Client::new(&target, environment)?
                .post(&["notices", &notice, "end"], &json!({ "confirm": confirm }))
                .await?;
            print_one(&answer, target.json)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_with_who_owes() {
        let report = json!({
            "currencies": [{
                "currency": "usd", "mrr_cents": 149_900, "paying_tenants": 1, "last_30_days": { "new_cents": 149_900 },
                "plans": [{ "plan_id": "business", "version": 2, "tenants": 1, "mrr_cents": 149_900 }], "months": [],
            }],
            "trials": { "running": 3, "ending": [{}], "converted_in_30_days": [] },
            "past_due": [{ "name": "Acme", "owed_cents": 299_800, "rung": "owing" }],
        });
        let text = told(&report);
        for line in [
            "mrr cents                149900",
            "business  2",
            "Acme",
            "299800",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("trials ending in 7 days      1"), "{text}");
    }
}
