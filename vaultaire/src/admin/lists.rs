//! `vaultaire bucket list`, `vaultaire plan list` and `vaultaire node list`.

use super::client::Client;
use super::print_many;
use crate::cli::{BucketCommand, NodeCommand, PlanCommand};
use crate::settings::Environment;

pub async fn bucket(
    BucketCommand::List { tenant, target }: BucketCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    let answer = Client::new(&target, environment)?
        .get(&["tenants", &tenant, "buckets"])
        .await?;
    let columns = [
        "name",
        "created_at",
        "public_read",
        "object_lock",
        "cors_rules",
    ];
    print_many(&answer, "buckets", &columns, target.json)
}

pub async fn plan(
    PlanCommand::List { target }: PlanCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    let answer = Client::new(&target, environment)?.get(&["plans"]).await?;
    let columns = [
        "id",
        "name",
        "price_cents",
        "quota_bytes",
        "requests_per_second",
        "burst",
    ];
    print_many(&answer, "plans", &columns, target.json)
}

pub async fn node(
    NodeCommand::List { target }: NodeCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    let answer = Client::new(&target, environment)?.get(&["nodes"]).await?;
    let columns = [
        "node_id",
        "s3_address",
        "revision",
        "connected",
        "last_seen",
        "version",
    ];
    print_many(&answer, "nodes", &columns, target.json)
}
