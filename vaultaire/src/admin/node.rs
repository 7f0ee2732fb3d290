//! `vaultaire node …`.

use super::client::Client;
use super::{print_many, print_one};
use crate::cli::NodeCommand;
use crate::settings::Environment;

pub async fn run(command: NodeCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        NodeCommand::List { target } => {
            let answer = Client::new(&target, environment)?.get(&["nodes"]).await?;
            let columns = [
                "node_id",
                "s3_address",
                "state",
                "revision",
                "lag",
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
        NodeCommand::Show { node, target } => {
            let answer = Client::new(&target, environment)?
                .get(&["nodes", &node])
                .await?;
            if target.json {
                return print_one(&answer, true);
            }
            let mut plain = answer.clone();
            for lists in ["leases", "largest_leases", "largest_shares"] {
                plain[lists] = serde_json::Value::Null;
            }
            print_one(&plain, false)?;
            let columns = ["resource", "tenants", "amount"];
            print_many(&answer, "leases", &columns, false)
        }
        NodeCommand::Drain {
            node,
            undo,
            force,
            target,
        } => {
            let client = Client::new(&target, environment)?;
            let path = ["nodes", node.as_str(), "drain"];
            let answer = match undo {
                true => client.delete(&path).await?,
                false => {
                    let body = serde_json::json!({ "force": force });
                    client.post(&path, &body).await?
                }
            };
            print_one(&answer, target.json)
        }
        NodeCommand::JoinToken { target } => {
            let answer = Client::new(&target, environment)?
                .post(&["join-tokens"], &serde_json::json!({}))
                .await?;
            print_one(&answer, target.json)
        }
    }
}
