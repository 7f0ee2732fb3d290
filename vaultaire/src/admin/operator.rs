//! `vaultaire operator …`.

use serde_json::json;

use super::client::Client;
use super::{print_many, print_one};
use crate::cli::OperatorCommand;
use crate::settings::Environment;

pub async fn run(command: OperatorCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        OperatorCommand::Create { email, target } => {
            let client = Client::new(&target, environment)?;
            let body = json!({ "email": email });
            let answer = client.post(&["operators"], &body).await?;
            print_one(&answer, target.json)
        }
        OperatorCommand::List { target } => {
            let client = Client::new(&target, environment)?;
            let answer = client.get(&["operators"]).await?;
            let columns = [
                "operator_id",
                "email",
                "set_up_at",
                "last_log_in_at",
                "disabled_at",
            ];
            print_many(&answer, "operators", &columns, target.json)
        }
        OperatorCommand::Disable { operator, target } => {
            let client = Client::new(&target, environment)?;
            let path = ["operators", &operator, "disable"];
            print_one(&client.post(&path, &json!({})).await?, target.json)
        }
        OperatorCommand::Reset { operator, target } => {
            let client = Client::new(&target, environment)?;
            let path = ["operators", &operator, "reset"];
            print_one(&client.post(&path, &json!({})).await?, target.json)
        }
    }
}
