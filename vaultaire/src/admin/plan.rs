//! `vaultaire plan …`.

use serde_json::{Value, json};

use super::client::Client;
use super::{print_many, print_one};
use crate::cli::{PlanCommand, TermArguments};
use crate::settings::Environment;

pub async fn run(command: PlanCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        PlanCommand::List { target } => {
            let answer = Client::new(&target, environment)?.get(&["plans"]).await?;
            let columns = [
                "id",
                "version",
                "name",
                "price_cents",
                "storage_bytes",
                "quota_bytes",
                "requests_per_second",
                "burst",
                "for_sale",
            ];
            print_many(&answer, "plans", &columns, target.json)
        }
        PlanCommand::Create { id, terms, target } => {
            let mut body = body_of(&terms);
            body["id"] = id.into();
            let client = Client::new(&target, environment)?;
            print_one(&client.post(&["plans"], &body).await?, target.json)
        }
        PlanCommand::Set { id, terms, target } => {
            let body = body_of(&terms);
            anyhow::ensure!(
                body != json!({}),
                "Nothing to set: give --price-cents or another term (see --help)."
            );
            let client = Client::new(&target, environment)?;
            print_one(&client.patch(&["plans", &id], &body).await?, target.json)
        }
        PlanCommand::Show { id, target } => {
            let answer = Client::new(&target, environment)?
                .get(&["plans", &id])
                .await?;
            if target.json {
                return print_one(&answer, true);
            }
            let columns = [
                "version",
                "name",
                "price_cents",
                "currency",
                "storage_bytes",
                "tenants",
            ];
            print_many(&answer, "versions", &columns, false)
        }
        PlanCommand::Retire { id, undo, target } => {
            let client = Client::new(&target, environment)?;
            let path = ["plans", id.as_str(), "retire"];
            let answer = match undo {
                true => client.delete(&path).await?,
                false => client.post(&path, &json!({})).await?,
            };
            print_one(&answer, target.json)
        }
    }
}

/// Only what was given: the rest stays as it is.
fn body_of(terms: &TermArguments) -> Value {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let given = [
        ("name", text(&terms.name)),
        ("currency", text(&terms.currency)),
        ("price_cents", terms.price_cents.map(Value::from)),
        ("storage_bytes", terms.storage_bytes.map(Value::from)),
        ("egress_bytes", terms.egress_bytes.map(Value::from)),
        (
            "storage_price_micros",
            terms.storage_price_micros.map(Value::from),
        ),
        (
            "egress_price_micros",
            terms.egress_price_micros.map(Value::from),
        ),
        ("quota_bytes", terms.quota_bytes.map(Value::from)),
        ("quota_objects", terms.quota_objects.map(Value::from)),
        (
            "quota_egress_bytes",
            terms.quota_egress_bytes.map(Value::from),
        ),
        ("requests_per_second", terms.rate.map(Value::from)),
        ("burst", terms.burst.map(Value::from)),
        ("concurrent_requests", terms.concurrency.map(Value::from)),
        ("bytes_per_second", terms.bandwidth.map(Value::from)),
        ("trial_days", terms.trial_days.map(Value::from)),
        ("bucket_limit", terms.bucket_limit.map(Value::from)),
        ("access_key_limit", terms.access_key_limit.map(Value::from)),
        ("for_sale", terms.for_sale.map(Value::from)),
    ];
    let given = given
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_terms_that_were_given_are_sent() {
        let terms = TermArguments {
            price_cents: Some(0),
            for_sale: Some(false),
            ..TermArguments::default()
        };
        assert_eq!(
            body_of(&terms),
            json!({ "price_cents": 0, "for_sale": false })
        );
        assert_eq!(body_of(&TermArguments::default()), json!({}));
    }
}
