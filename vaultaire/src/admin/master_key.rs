//! `vaultaire master-key …`. No key is ever printed, or sent anywhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use controlplane::MasterKey;
use serde_json::{Value, json};

use super::client::Client;
use super::{print, print_json, print_one, table};
use crate::cli::{DEFAULT_DATA_DIR, KeyFile, MasterKeyCommand};
use crate::private_file;
use crate::settings::Environment;
use crate::up::MASTER_KEY;

pub async fn run(command: MasterKeyCommand, environment: &Environment) -> anyhow::Result<()> {
    let (answer, target) = match command {
        MasterKeyCommand::Add(file) => return add(&file, environment),
        MasterKeyCommand::Status { target } => {
            let client = Client::new(&target, environment)?;
            (client.get(&["master-key"]).await?, target)
        }
        MasterKeyCommand::Rotate { version, target } => {
            let client = Client::new(&target, environment)?;
            let wish = json!({ "version": version });
            let answer = client.post(&["master-key", "rotate"], &wish).await?;
            (answer, target)
        }
        MasterKeyCommand::Finish { target } => {
            let client = Client::new(&target, environment)?;
            let answer = client.post(&["master-key", "finish"], &json!({})).await?;
            (answer, target)
        }
    };
    show(&answer, target.json)
}

/// One status: what is nested is laid flat for people.
fn show(status: &Value, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(status);
    }
    let mut flat = status.clone();
    for (field, word) in [("sealed", "under version"), ("behind", "in")] {
        let counts = status[field].as_object().into_iter().flatten();
        let counts = counts.map(|(of, count)| json!(format!("{count} {word} {of}")));
        flat[field] = counts.collect::<Vec<_>>().into();
    }
    if let Some(fields) = flat.as_object_mut() {
        fields.remove("control_planes");
    }
    print(&table::fields(&flat))?;
    let mut planes = status["control_planes"].clone();
    for plane in planes.as_array_mut().into_iter().flatten() {
        let knows = plane["master_keys"].as_object();
        let knows = knows.into_iter().flatten().map(|(version, name)| {
            json!(format!("{version} ({})", name.as_str().unwrap_or_default()))
        });
        plane["knows"] = knows.collect::<Vec<_>>().into();
    }
    let columns = ["id", "program", "started_at", "seals_under", "knows"];
    print(&format!("\n{}", table::rows(&planes, &columns)))
}

fn add(arguments: &KeyFile, environment: &Environment) -> anyhow::Result<()> {
    let path = key_file(arguments, environment);
    let before = private_file::read(&path)?;
    let fails = || format!("{} holds no master key", path.display());
    let after = MasterKey::with_another(&before).with_context(fails)?;
    private_file::replace(&path, after.as_bytes())?;
    let names = MasterKey::parse(&after).with_context(fails)?.fingerprints();
    let newest = names.last().with_context(fails)?;
    let kept = private_file::read(&path)?;
    ensure!(
        kept == after.trim(),
        "{} was changed by another meanwhile: look at it.",
        path.display()
    );
    let added = json!({ "file": path, "version": newest.0, "fingerprint": newest.1 });
    print_one(&added, arguments.json)
}

fn key_file(arguments: &KeyFile, environment: &Environment) -> PathBuf {
    let of = |dir: &Path| dir.join(MASTER_KEY);
    if let Some(file) = &arguments.file {
        return file.clone();
    }
    match (
        &arguments.data_dir,
        environment.get("VAULTAIRE_MASTER_KEY_FILE"),
    ) {
        (Some(dir), _) => of(dir),
        (None, Some(file)) => file.into(),
        (None, None) => of(Path::new(DEFAULT_DATA_DIR)),
    }
}
