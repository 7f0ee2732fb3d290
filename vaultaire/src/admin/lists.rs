//! `vaultaire plan list` and `vaultaire node list`.

use super::client::Client;
use super::print_many;
use crate::cli::{NodeCommand, PlanCommand};
use crate::settings::Environment;

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
