//! Where the installation is that is to be examined: a data directory, a control plane elsewhere, or a plane's settings.
//! It reads files of the data directory, and asks nobody.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use controlplane::MasterKey;

use crate::cli::{DEFAULT_DATA_DIR, Target};
use crate::private_file;
use crate::settings::Environment;
use crate::up::{Control, MASTER_KEY};

pub struct Place {
    pub shown: String,
    /// Of `vaultaire up`.
    pub data_dir: Option<PathBuf>,
    pub control: Option<Result<(String, String), String>>,
    pub database_url: Option<Result<String, String>>,
    pub master_key: Option<Result<MasterKey, String>>,
    pub secret_files: Vec<PathBuf>,
}

/// `--data-dir`, else what the environment names, else the default data directory.
pub fn find(target: &Target, environment: &Environment) -> anyhow::Result<Place> {
    let default = Path::new(DEFAULT_DATA_DIR);
    let named = [
        "VAULTAIRE_URL",
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "VAULTAIRE_ENGINE_ENDPOINT",
        "VAULTAIRE_CONTROL_URL",
    ];
    let is_named = named.iter().any(|name| environment.get(name).is_some());
    match &target.data_dir {
        Some(dir) => in_data_dir(dir, environment),
        None if is_named => Ok(in_environment(environment)),
        None if default.exists() => in_data_dir(default, environment),
        None => bail!(
            "There is no installation to examine: give --data-dir, or set VAULTAIRE_URL, or the settings of a plane."
        ),
    }
}

fn in_data_dir(dir: &Path, environment: &Environment) -> anyhow::Result<Place> {
    let shown = dir.display().to_string();
    ensure!(
        dir.join("VERSION").exists(),
        "{shown} is no data directory of Vaultaire (it has no file VERSION)."
    );
    let dir = dir.canonicalize()?;
    let key = dir.join(MASTER_KEY);
    let secrets = ["master.key", "admin.token", "database.password"];
    let files = secrets.map(|name| dir.join("controlplane").join(name));
    let embedded = dir.join("postgres").exists();
    Ok(Place {
        shown: format!("the data directory {shown}"),
        control: Some(control(&dir).map_err(|error| format!("{error:#}"))),
        database_url: match embedded {
            true => Some(embedded_url(&dir).map_err(|error| format!("{error:#}"))),
            false => database_url(environment),
        },
        master_key: Some(parse(private_file::read(&key))),
        secret_files: files
            .into_iter()
            .filter(|file| embedded || !file.ends_with("database.password"))
            .collect(),
        data_dir: Some(dir),
    })
}

fn control(dir: &Path) -> anyhow::Result<(String, String)> {
    let text = private_file::read(&dir.join("control.json"))?;
    let control: Control = serde_json::from_str(&text).context("control.json is damaged")?;
    let token = private_file::read(&control.admin_token_file)?;
    Ok((control.url, token))
}

/// Postgres itself writes down its port: <https://www.postgresql.org/docs/current/storage-file-layout.html>
fn embedded_url(dir: &Path) -> anyhow::Result<String> {
    let password = private_file::read(&dir.join("controlplane/database.password"))?;
    let pid_file = dir.join("postgres/postmaster.pid");
    let text = fs::read_to_string(&pid_file).ok();
    let port: Option<u16> = text.and_then(|text| text.lines().nth(3)?.trim().parse().ok());
    let port = port.context("the embedded database is not running")?;
    Ok(format!(
        "postgres://vaultaire:{password}@127.0.0.1:{port}/vaultaire"
    ))
}

fn in_environment(environment: &Environment) -> Place {
    let text = |error: anyhow::Error| format!("{error:#}");
    let control = environment.get("VAULTAIRE_URL").map(|url| {
        let token = environment
            .require_secret("VAULTAIRE_ADMIN_TOKEN")
            .map_err(text)?;
        Ok((url.trim_end_matches('/').to_owned(), token))
    });
    let key = environment.secret("VAULTAIRE_MASTER_KEY");
    let wants_key = database_url(environment).is_some();
    let master_key = match key {
        Ok(None) if !wants_key => None,
        Ok(None) => Some(Err(
            "neither VAULTAIRE_MASTER_KEY nor VAULTAIRE_MASTER_KEY_FILE is set".to_owned(),
        )),
        Ok(Some(key)) => Some(parse(Ok(key))),
        Err(error) => Some(Err(text(error))),
    };
    Place {
        shown: match environment.get("VAULTAIRE_URL") {
            Some(url) => format!("the control plane at {url}, and the settings of this shell"),
            None => "the settings of this shell".to_owned(),
        },
        data_dir: None,
        control,
        database_url: database_url(environment),
        master_key,
        secret_files: environment.secret_files(),
    }
}

fn database_url(environment: &Environment) -> Option<Result<String, String>> {
    let url = environment.secret("DATABASE_URL").transpose()?;
    Some(url.map_err(|error| format!("{error:#}")))
}

fn parse(text: anyhow::Result<String>) -> Result<MasterKey, String> {
    let text = text.map_err(|error| format!("{error:#}"))?;
    MasterKey::parse(&text).map_err(|error| error.to_string())
}
