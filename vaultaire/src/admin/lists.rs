//! `vaultaire bucket list`, `vaultaire node …` and `vaultaire refusal …`.

use super::client::Client;
use super::{print_many, print_one};
use crate::cli::{BucketCommand, NodeCommand, RefusalCommand};
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

pub async fn node(command: NodeCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        NodeCommand::List { target } => {
            let answer = Client::new(&target, environment)?.get(&["nodes"]).await?;
            let columns = [
                "node_id",
                "s3_address",
                "revision",
                "connected",
                "last_seen",
                "version",
                "refused_reason",
            ];
            print_many(&answer, "nodes", &columns, target.json)
        }
        NodeCommand::Accept {
            node,
            all: _,
            target,
        } => {
            let path: Vec<&str> = ["nodes"]
                .into_iter()
                .chain(node.as_deref())
                .chain(["accept"])
                .collect();
            let answer = Client::new(&target, environment)?
                .post(&path, &serde_json::json!({}))
                .await?;
            print_one(&answer, target.json)
        }
        NodeCommand::Remove { node, target } => {
            Client::new(&target, environment)?
                .delete(&["nodes", &node])
                .await?;
            print_one(&serde_json::json!({ "node_id": node }), target.json)
        }
    }
}

pub async fn refusal(command: RefusalCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        RefusalCommand::Show { request_id, target } => {
            let answer = Client::new(&target, environment)?
                .get(&["refusals", &request_id])
                .await?;
            print_one(&answer, target.json)
        }
        RefusalCommand::List { tenant, target } => {
            let answer = Client::new(&target, environment)?
                .get(&["tenants", &tenant, "refusals"])
                .await?;
            let columns = [
                "request_id",
                "at",
                "operation",
                "bucket",
                "status",
                "code",
                "rule",
                "more",
            ];
            print_many(&answer, "refusals", &columns, target.json)
        }
    }
}
