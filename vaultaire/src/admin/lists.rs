//! `vaultaire bucket list` and `vaultaire refusal …`.

use super::client::Client;
use super::{print_many, print_one};
use crate::cli::{BucketCommand, RefusalCommand};
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
        RefusalCommand::Top {
            rule,
            since,
            limit,
            days,
            target,
        } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(rule.map(|rule| ("rule", rule)));
            query.extend(since.map(|since| ("since", since)));
            let answer = Client::new(&target, environment)?
                .get_with(&["refusals", "top"], &query)
                .await?;
            match days {
                true => print_many(&answer, "days", &["day", "rule", "count"], target.json),
                false => {
                    let columns = [
                        "tenant_id",
                        "name",
                        "rule",
                        "count",
                        "last_at",
                        "request_id",
                    ];
                    print_many(&answer, "tenants", &columns, target.json)
                }
            }
        }
    }
}
