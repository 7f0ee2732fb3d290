//! `vaultaire usage …` and `vaultaire inventory run`.

use serde_json::json;

use super::client::Client;
use super::print_many;
use crate::cli::{InventoryCommand, Target, UsageCommand};
use crate::settings::Environment;

pub async fn run(command: UsageCommand, environment: &Environment) -> anyhow::Result<()> {
    let (tenant, from, to, by, group, target) = match command {
        UsageCommand::Show {
            tenant,
            from,
            to,
            by,
            group,
            target,
        } => (tenant, from, to, by, group, target),
        UsageCommand::Top {
            from,
            to,
            by,
            limit,
            days,
            target,
        } => {
            let mut query = vec![("by", by.name().to_owned()), ("limit", limit.to_string())];
            query.extend(from.map(|from| ("from", from)));
            query.extend(to.map(|to| ("to", to)));
            return top(&query, days, &target, environment).await;
        }
    };
    let mut query = vec![
        ("by", by.name().to_owned()),
        ("group", group.name().to_owned()),
    ];
    query.extend(from.map(|from| ("from", from)));
    query.extend(to.map(|to| ("to", to)));
    let answer = Client::new(&target, environment)?
        .get_with(&["tenants", &tenant, "usage"], &query)
        .await?;
    let columns = [
        "time",
        group.column(),
        "requests",
        "bytes_in",
        "bytes_out",
        "stored_bytes",
        "byte_hours",
    ];
    print_many(&answer, "rows", &columns, target.json)
}

async fn top(
    query: &[(&str, String)],
    days: bool,
    target: &Target,
    environment: &Environment,
) -> anyhow::Result<()> {
    let answer = Client::new(target, environment)?
        .get_with(&["usage"], query)
        .await?;
    if days {
        let columns = [
            "day",
            "requests",
            "bytes_in",
            "bytes_out",
            "stored_delta",
            "refusals",
        ];
        return print_many(&answer, "days", &columns, target.json);
    }
    let columns = [
        "tenant_id",
        "name",
        "plan",
        "stored_bytes",
        "bytes_out",
        "requests",
        "refusals",
    ];
    print_many(&answer, "tenants", &columns, target.json)
}

pub async fn inventory(
    InventoryCommand::Run {
        tenant,
        bucket,
        target,
    }: InventoryCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    let answer = Client::new(&target, environment)?
        .post(
            &["tenants", &tenant, "inventory"],
            &json!({ "bucket": bucket }),
        )
        .await?;
    let columns = [
        "bucket",
        "found_bytes",
        "found_objects",
        "corrected_bytes",
        "corrected_objects",
        "exact",
    ];
    print_many(&answer, "buckets", &columns, target.json)
}
