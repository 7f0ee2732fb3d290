//! `vaultaire engine …` and `vaultaire drift`.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::client::Client;
use super::{print, print_json, print_many, print_one, table};
use crate::cli::{DriftArguments, EngineCommand, NewEngine};
use crate::private_file;
use crate::settings::Environment;

/// Probing makes dozens of requests, each of which may take some seconds.
const PROBED_WITHIN: Duration = Duration::from_secs(600);
/// Comparing usage lists every object.
const COMPARED_WITHIN: Duration = Duration::from_secs(24 * 3600);

pub async fn run(command: EngineCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        EngineCommand::Add(new) => add(new, environment).await,
        EngineCommand::List { target } => {
            let answer = Client::new(&target, environment)?.get(&["engines"]).await?;
            let columns = [
                "id",
                "endpoint",
                "placement",
                "is_default",
                "status",
                "health.reachable",
                "buckets",
                "stored_bytes",
                "free_bytes",
            ];
            print_many(&answer, "engines", &columns, target.json)
        }
        EngineCommand::Show { engine, target } => {
            let client = Client::new(&target, environment)?;
            show(&client.get(&["engines", &engine]).await?, target.json)
        }
        EngineCommand::Probe { engine, target } => {
            let client = Client::patient(&target, environment, PROBED_WITHIN)?;
            let path = ["engines", &engine, "probe"];
            show(&client.post(&path, &json!({})).await?, target.json)
        }
        EngineCommand::Set {
            engine,
            default,
            capacity_bytes,
            target,
        } => {
            let mut body = json!({});
            if default {
                body["default"] = true.into();
            }
            if let Some(bytes) = capacity_bytes {
                body["capacity_bytes"] = json!((bytes > 0).then_some(bytes));
            }
            ensure!(
                body != json!({}),
                "Nothing to set: give --default or --capacity-bytes."
            );
            let client = Client::new(&target, environment)?;
            show(
                &client.patch(&["engines", &engine], &body).await?,
                target.json,
            )
        }
        EngineCommand::Disable { engine, target } => {
            let client = Client::new(&target, environment)?;
            let path = ["engines", &engine, "disable"];
            show(&client.post(&path, &json!({})).await?, target.json)
        }
        EngineCommand::Enable { engine, target } => {
            let client = Client::new(&target, environment)?;
            let path = ["engines", &engine, "enable"];
            show(&client.post(&path, &json!({})).await?, target.json)
        }
        EngineCommand::Remove { engine, target } => {
            let client = Client::new(&target, environment)?;
            client.delete(&["engines", &engine]).await?;
            print_one(&json!({ "id": engine, "removed": true }), target.json)
        }
        EngineCommand::Rotate {
            engine,
            credentials,
            finish,
            back,
            target,
        } => {
            let client = Client::patient(&target, environment, PROBED_WITHIN)?;
            let path = ["engines", &engine, "rotate"];
            let answer = match credentials.access_key_id {
                Some(access_key_id) => {
                    let secret = secret(credentials.secret_file.as_deref())?;
                    let body =
                        json!({ "access_key_id": access_key_id, "secret_access_key": secret });
                    client.post(&path, &body).await?
                }
                None => {
                    let last = if finish { "finish" } else { "back" };
                    debug_assert!(finish || back);
                    let path = [path[0], path[1], path[2], last];
                    client.post(&path, &json!({})).await?
                }
            };
            show(&answer, target.json)
        }
    }
}

async fn add(new: NewEngine, environment: &Environment) -> anyhow::Result<()> {
    let client = Client::patient(&new.target, environment, PROBED_WITHIN)?;
    let body = json!({
        "name": new.name,
        "endpoint": new.endpoint,
        "region": new.region,
        "access_key_id": new.access_key_id,
        "secret_access_key": secret(new.secret_file.as_deref())?,
        "placement": new.placement,
        "pool_bucket": new.pool_bucket,
        "capacity_bytes": new.capacity_bytes,
    });
    show(&client.post(&["engines"], &body).await?, new.target.json)
}

/// Never from an argument, which every user of the machine can read.
fn secret(file: Option<&Path>) -> anyhow::Result<String> {
    if let Some(file) = file {
        return private_file::read(file);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("The secret cannot be read from standard input")?;
    let text = text.trim().to_owned();
    ensure!(
        !text.is_empty(),
        "No secret came on standard input: pipe it in, or give --secret-file."
    );
    Ok(text)
}

/// One engine: what is nested is laid flat for people.
fn show(engine: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(engine);
    }
    let mut flat = engine.clone();
    let Some(fields) = flat.as_object_mut() else {
        return print_json(engine);
    };
    let rotation = fields.remove("rotation").unwrap_or_default();
    for name in ["capabilities", "health"] {
        match fields.remove(name) {
            Some(Value::Object(nested)) if name == "health" => {
                fields.extend(
                    nested
                        .into_iter()
                        .map(|(field, value)| (format!("health {field}"), value)),
                );
            }
            Some(Value::Object(nested)) => {
                let able = nested.iter().filter(|(_, value)| **value == json!(true));
                let able: Vec<Value> = able.map(|(field, _)| json!(field)).collect();
                fields.insert("is able to".to_owned(), able.into());
            }
            _ => {}
        }
    }
    let old = rotation["old_access_key_id"].clone();
    if !old.is_null() {
        fields.insert("old access key id".to_owned(), old);
        let can_finish = rotation["can_finish"].clone();
        fields.insert("rotation can finish".to_owned(), can_finish);
    }
    print(&table::fields(&flat))?;
    if rotation["nodes"]
        .as_array()
        .is_some_and(|nodes| !nodes.is_empty())
    {
        let columns = ["node_id", "s3_address", "connected", "has_new"];
        print(&format!("\n{}", table::rows(&rotation["nodes"], &columns)))?;
    }
    Ok(())
}

pub async fn drift(arguments: DriftArguments, environment: &Environment) -> anyhow::Result<()> {
    let client = Client::patient(&arguments.target, environment, COMPARED_WITHIN)?;
    let body = json!({
        "usage": arguments.usage,
        "repair": arguments.repair,
        "delete_orphans": arguments.delete_orphans,
        "confirm": arguments.confirm,
        "remake": arguments.remake,
        "tenants": arguments.tenants,
    });
    let report = client.post(&["drift"], &body).await?;
    if arguments.target.json {
        return print_json(&report);
    }
    let columns = [
        "kind", "engine", "place", "bucket", "objects", "bytes", "note", "done",
    ];
    print(&table::rows(&report["findings"], &columns))?;
    if report["not_looked"]
        .as_array()
        .is_some_and(|engines| !engines.is_empty())
    {
        print("\nNot looked at:\n")?;
        print(&table::rows(&report["not_looked"], &["engine", "reason"]))?;
    }
    let orphans = &report["orphans"];
    let missing = &report["missing"];
    print(&format!(
        "\n{orphans} without a row, {missing} missing at their engine.\n"
    ))
}
