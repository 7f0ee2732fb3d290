//! `vaultaire key …`.

use serde_json::{Value, json};

use super::client::Client;
use super::{print, print_many, print_one};
use crate::cli::{Action, KeyCommand};
use crate::settings::Environment;

pub async fn run(command: KeyCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create {
            tenant,
            buckets,
            prefixes,
            permission,
            actions,
            source_addresses,
            expires_in,
            name,
            target,
        } => {
            let mut body = json!({});
            if let Some(name) = name {
                body["name"] = name.into();
            }
            if !buckets.is_empty() {
                body["buckets"] = buckets.into();
            }
            if !prefixes.is_empty() {
                body["prefixes"] = prefixes.into();
            }
            if let Some(permission) = permission {
                body["permission"] = permission.name().into();
            }
            if !actions.is_empty() {
                body["actions"] = actions.into_iter().map(Action::name).collect();
            }
            if !source_addresses.is_empty() {
                body["source_addresses"] = source_addresses.into();
            }
            if let Some(seconds) = expires_in {
                body["expires_in_seconds"] = seconds.into();
            }
            let created = Client::new(&target, environment)?
                .post(&["tenants", &tenant, "access-keys"], &body)
                .await?;
            print_one(&created, target.json)
        }
        KeyCommand::List { tenant, target } => {
            let answer = Client::new(&target, environment)?
                .get(&["tenants", &tenant, "access-keys"])
                .await?;
            let columns = [
                "access_key_id",
                "name",
                "scope.permission",
                "scope.buckets",
                "scope.prefixes",
                "scope.actions",
                "scope.source_addresses",
                "expires_at",
                "revoked_at",
            ];
            print_many(&answer, "access_keys", &columns, target.json)
        }
        KeyCommand::Revoke {
            access_key_id,
            target,
        } => {
            let receipt = Client::new(&target, environment)?
                .delete(&["access-keys", &access_key_id])
                .await?;
            if target.json {
                print_one(&receipt, true)
            } else {
                print(&told(&access_key_id, &receipt))
            }
        }
    }
}

/// The receipt as a sentence: refused where, after how long, and where not yet.
fn told(access_key_id: &str, receipt: &Value) -> String {
    let list = |name: &str| receipt[name].as_array().cloned().unwrap_or_default();
    let (nodes, pending) = (list("nodes"), list("pending"));
    let slowest = nodes
        .iter()
        .filter_map(|node| node["millis"].as_u64())
        .max()
        .unwrap_or(0);
    let mut text = format!(
        "{access_key_id} is refused on {} of {} data planes after {:.3} s.\n",
        nodes.len(),
        nodes.len() + pending.len(),
        slowest as f64 / 1000.0
    );
    for node in pending {
        let name = node["s3_address"]
            .as_str()
            .or_else(|| node.as_str())
            .unwrap_or("a data plane");
        text.push_str(&format!("Not yet acknowledged by {name}.\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_says_where_the_key_is_refused_and_where_not_yet() {
        let receipt = json!({"nodes": [{"millis": 12}, {"millis": 204}], "pending": [{"s3_address": "127.0.0.1:9020"}]});
        assert_eq!(
            told("VK1", &receipt),
            "VK1 is refused on 2 of 3 data planes after 0.204 s.\nNot yet acknowledged by 127.0.0.1:9020.\n"
        );
    }
}
