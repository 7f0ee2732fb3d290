//! `vaultaire usage show` and `vaultaire inventory run`.

use serde_json::json;

use super::client::Client;
use super::print_many;
use crate::cli::{InventoryCommand, UsageCommand};
use crate::settings::Environment;

pub async fn show(
    UsageCommand::Show {
        tenant,
        from,
        to,
        by,
        group,
        target,
    }: UsageCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
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
