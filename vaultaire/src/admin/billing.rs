//! `vaultaire billing …`.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use super::client::Client;
use super::{print, print_json, print_many, print_one};
use crate::cli::{BillingCommand, Target};
use crate::settings::Environment;

pub async fn run(command: BillingCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        BillingCommand::Show { tenant, target } => {
            let client = Client::new(&target, environment)?;
            let answer = client.get(&["tenants", &tenant, "billing"]).await?;
            print_one(&answer, target.json)
        }
        BillingCommand::MarkPaid {
            tenant,
            until,
            price_cents,
            target,
        } => {
            let mut body = json!({ "until": until });
            if let Some(cents) = price_cents {
                body["price_cents"] = cents.into();
            }
            let client = Client::new(&target, environment)?;
            let answer = client.post(&["tenants", &tenant, "paid"], &body).await?;
            print_one(&answer, target.json)
        }
        BillingCommand::Invoices { tenant, target } => {
            let client = Client::new(&target, environment)?;
            let answer = client.get(&["tenants", &tenant, "invoices"]).await?;
            let columns = [
                "id",
                "number",
                "issued_at",
                "total_cents",
                "currency",
                "paid_at",
            ];
            print_many(&answer, "invoices", &columns, target.json)
        }
        BillingCommand::Invoice {
            tenant,
            id,
            out,
            target,
        } => write_invoice(&tenant, id, out, &target, environment).await,
        BillingCommand::Sync { target } => {
            let client = Client::new(&target, environment)?;
            let answer = client.post(&["billing", "sync"], &json!({})).await?;
            let columns = [
                "plan",
                "version",
                "kind",
                "price_id",
                "lookup_key",
                "created",
            ];
            print_many(&answer, "prices", &columns, target.json)
        }
        BillingCommand::Events { failed, target } => {
            let client = Client::new(&target, environment)?;
            let query = [("failed", failed.to_string())];
            let answer = client.get_with(&["billing", "events"], &query).await?;
            let columns = [
                "event_id",
                "kind",
                "state",
                "tenant_id",
                "received_at",
                "attempts",
                "next_attempt_at",
                "last_error",
            ];
            print_many(&answer, "events", &columns, target.json)
        }
        BillingCommand::Retry { target } => {
            let client = Client::new(&target, environment)?;
            let path = ["billing", "events", "retry"];
            print_one(&client.post(&path, &json!({})).await?, target.json)
        }
        BillingCommand::Reconcile { target } => reconcile(&target, environment).await,
    }
}

async fn write_invoice(
    tenant: &str,
    id: Option<String>,
    out: Option<PathBuf>,
    target: &Target,
    environment: &Environment,
) -> anyhow::Result<()> {
    let client = Client::new(target, environment)?;
    let list = client.get(&["tenants", tenant, "invoices"]).await?;
    let all = list["invoices"].as_array().map_or(&[][..], Vec::as_slice);
    let found = match &id {
        Some(id) => all.iter().find(|invoice| invoice["id"] == json!(id)),
        None => all.first(),
    };
    let found = found.context("There is no such invoice.")?;
    let id = found["id"].as_str().unwrap_or_default();
    let bytes = client
        .get_bytes(&["tenants", tenant, "invoices", id])
        .await?;
    let named = || PathBuf::from(format!("invoice-{}.pdf", found["number"]));
    let out = out.unwrap_or_else(named);
    std::fs::write(&out, bytes).with_context(|| format!("{} cannot be written", out.display()))?;
    match target.json {
        true => print_json(&json!({ "id": id, "file": out })),
        false => print(&format!("{}\n", out.display())),
    }
}

/// Fails where they differ, so that a script notices.
async fn reconcile(target: &Target, environment: &Environment) -> anyhow::Result<()> {
    let client = Client::new(target, environment)?;
    let answer = client.post(&["billing", "reconcile"], &json!({})).await?;
    let differences = answer["differences"].as_array().map_or(0, Vec::len);
    if target.json {
        print_json(&answer)?;
    } else if differences == 0 {
        print("Stripe and the database agree.\n")?;
    } else {
        let columns = ["tenant_id", "customer_id", "what", "stripe", "vaultaire"];
        print_many(&answer, "differences", &columns, false)?;
    }
    anyhow::ensure!(differences == 0, "Stripe and the database differ.");
    Ok(())
}
