//! The operator's commands: thin clients of the control plane's admin API, for people (tables) and scripts (`--json`).
//! They decide nothing that the control plane could decide.

pub mod audit;
pub mod billing;
pub mod business;
pub mod client;
pub mod duration;
pub mod engine;
pub mod key;
pub mod lists;
pub mod master_key;
pub mod node;
pub mod operator;
pub mod plan;
pub mod table;
pub mod tenant;
pub mod usage;

use serde_json::Value;

/// `export` lines for a shell's `eval`, of an answer that holds an access key.
fn exports(created: &Value) -> String {
    let text = |name: &str| created[name].as_str().unwrap_or_default().to_owned();
    format!(
        "export AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\nexport AWS_REGION={region}\nexport AWS_DEFAULT_REGION={region}\n\
         export AWS_ENDPOINT_URL={}\n",
        text("access_key_id"),
        text("secret_access_key"),
        text("endpoint"),
        region = text("region"),
    )
}

pub fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    // Not `print!`, which panics when the reader of a pipe has seen enough.
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

pub fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// JSON as it came, or each field on a line.
fn print_one(value: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        print_json(value)
    } else {
        print(&table::fields(value))
    }
}

/// The array under `name`, as it is or as a table of these columns.
fn print_many(answer: &Value, name: &str, columns: &[&str], json: bool) -> anyhow::Result<()> {
    let rows = &answer[name];
    if json {
        print_json(rows)
    } else {
        print(&table::rows(rows, columns))
    }
}
