//! Finds out the facts: reads settings and files, asks the control plane, the database, nodes and engines.
//! It changes nothing.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use controlplane::MasterKey;
use controlplane::diagnosis::{self, Database, Diagnosis, Plane, own_clock};
use futures_util::future::join_all;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use reqwest::Url;

use super::facts::{Disk, Facts, FileState, SecretFile, Stripe};
use super::place::Place;
use super::probes;
use crate::admin::client::Client;
use crate::cli::{ControlplaneArguments, DataplaneArguments, Target};
use crate::settings::{self, Environment};

/// For the control plane, which itself waits three seconds for nodes that lag.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn collect(place: Place, environment: &Environment) -> Facts {
    let mut facts = Facts {
        now: own_clock(),
        unknown_settings: environment.unknown(),
        secret_files: place
            .secret_files
            .iter()
            .map(|path| secret_file(path))
            .collect(),
        health_address: settings::health_address(environment).ok().flatten(),
        disks: disks(&place),
        open_files: open_files(&place),
        ..Facts::default()
    };
    let key = match &place.master_key {
        Some(Ok(key)) => Some(key),
        _ => None,
    };
    facts.master_key = place
        .master_key
        .as_ref()
        .map(|key| key.as_ref().map(drop).map_err(Clone::clone));
    facts.settings = read_settings(&place, environment);
    let (Ok(client), Ok(world)) = (probes::inside(), probes::outside()) else {
        return facts;
    };
    let (plane, told) = ask_plane(&place, environment).await;
    facts.database = match &place.database_url {
        Some(Ok(url)) => {
            let found = diagnosis::of_database(url, key).await;
            Some(found.map_err(|error| format!("{error:#}")))
        }
        Some(Err(why)) => Some(Err(why.clone())),
        None => told.map(Ok),
    };
    facts.plane = plane;
    if let Some(Ok((url, _))) = &place.control
        && place.data_dir.is_some()
        && let Some(url) = beside(url, "readyz")
    {
        facts.ready = Some(probes::ready(&client, &url).await);
    }
    ask_nodes(&mut facts, &client).await;
    ask_engines(&mut facts, &client, key, &place, environment).await;
    ask_world(&mut facts, &world, environment).await;
    facts
}

fn secret_file(path: &Path) -> SecretFile {
    let state = match fs::metadata(path) {
        Ok(found) => match crate::private_file::read(path) {
            Ok(_) => FileState::There(found.mode() & 0o777),
            Err(error) => FileState::Wrong(format!("{error:#}")),
        },
        Err(error) => FileState::Wrong(error.to_string()),
    };
    SecretFile {
        path: path.to_owned(),
        state,
    }
}

/// Of `up`, what it hands on; else of each plane that the shell has settings for.
fn read_settings(
    place: &Place,
    environment: &Environment,
) -> Vec<(&'static str, Result<(), String>)> {
    let mut read = Vec::new();
    let mut note = |part, found: anyhow::Result<()>| {
        read.push((part, found.map_err(|error| format!("{error:#}"))));
    };
    if place.data_dir.is_some() {
        note("up", settings::handed_on(environment));
        return read;
    }
    // Which port does not matter to what is read.
    let address = SocketAddr::from(([127, 0, 0, 1], 8080));
    if place.database_url.is_some() || environment.get("VAULTAIRE_ENGINE_ENDPOINT").is_some() {
        let arguments = ControlplaneArguments { http: address };
        let found = settings::controlplane(&arguments, environment);
        note("controlplane", found.map(drop));
    }
    if environment.get("VAULTAIRE_CONTROL_URL").is_some() {
        let arguments = DataplaneArguments {
            s3: address,
            data_dir: PathBuf::new(),
        };
        note(
            "dataplane",
            settings::dataplane(&arguments, environment).map(drop),
        );
    }
    read
}

/// How it is set up, and what it says of its database.
async fn ask_plane(
    place: &Place,
    environment: &Environment,
) -> (Option<Result<Plane, String>>, Option<Database>) {
    match &place.control {
        None => return (None, None),
        Some(Err(why)) => return (Some(Err(why.clone())), None),
        Some(Ok(_)) => {}
    }
    let target = Target {
        data_dir: place.data_dir.clone(),
        json: true,
    };
    let asked = async {
        let client = Client::patient(&target, environment, PATIENCE)?;
        let said = client.get(&["diagnosis"]).await?;
        anyhow::Ok(serde_json::from_value::<Diagnosis>(said)?)
    };
    match asked.await {
        Ok(said) => (Some(Ok(said.plane)), Some(said.database)),
        Err(error) => (Some(Err(format!("{error:#}"))), None),
    }
}

/// Health is on the port after a plane's own.
fn beside(url: &str, path: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let port = url.port_or_known_default()?.checked_add(1)?;
    url.set_port(Some(port)).ok()?;
    url.set_path(path);
    Some(url.to_string())
}

async fn ask_nodes(facts: &mut Facts, client: &reqwest::Client) {
    let Some(Ok(database)) = &facts.database else {
        return;
    };
    let nodes = database.nodes.iter().flatten().filter(|n| n.connected);
    let asked = nodes.map(async |node| {
        let address = &node.s3_address;
        let plain = probes::clock(client, &format!("http://{address}/")).await;
        let ahead = match plain {
            Some(ahead) => Some(ahead),
            None => probes::clock(client, &format!("https://{address}/")).await,
        };
        Some((address.clone(), ahead?))
    });
    facts.node_clocks = join_all(asked).await.into_iter().flatten().collect();
}

async fn ask_engines(
    facts: &mut Facts,
    client: &reqwest::Client,
    key: Option<&MasterKey>,
    place: &Place,
    environment: &Environment,
) {
    let rows = match &facts.database {
        Some(Ok(database)) => database.engines.as_deref().unwrap_or_default(),
        _ => &[],
    };
    if let Some(key) = key {
        let looks = rows.iter().filter(|row| !row.disabled).map(async |row| {
            let look = diagnosis::look_at_row(row, key).await;
            look.map(|look| (row.id.clone(), look))
        });
        facts.engine_looks = join_all(looks).await.into_iter().flatten().collect();
    }
    // Before the first start, or without a database, there are the settings alone.
    if rows.is_empty()
        && place.data_dir.is_none()
        && let Ok(Some(engine)) = settings::engine(environment)
    {
        let look = diagnosis::look_at(&engine.config()).await;
        facts.engine_looks.push(("main".to_owned(), look));
    }
    let clocks = rows.iter().filter(|row| !row.disabled).map(async |row| {
        let ahead = probes::clock(client, &row.endpoint).await?;
        Some((row.id.clone(), ahead))
    });
    facts.engine_clocks = join_all(clocks).await.into_iter().flatten().collect();
}

async fn ask_world(facts: &mut Facts, client: &reqwest::Client, environment: &Environment) {
    let setting = |name| environment.get(name).map(str::to_owned);
    let plane = facts.plane.as_ref().and_then(|plane| plane.as_ref().ok());
    let (page, s3) = match plane {
        Some(plane) => (
            Some(plane.public_url.clone()),
            Some(plane.s3_endpoint.clone()),
        ),
        None => (
            setting("VAULTAIRE_PUBLIC_URL"),
            setting("VAULTAIRE_S3_ENDPOINT"),
        ),
    };
    let mut urls: Vec<String> = [page, s3].into_iter().flatten().collect();
    urls.dedup();
    for url in &urls {
        if url.starts_with("https://") {
            let until = probes::certificate(client, url).await;
            facts.certificates.push((url.clone(), until));
        }
        if probes::is_public(url) {
            let inside = [Some(format!("{url}/metrics")), beside(url, "metrics")];
            for url in inside.into_iter().flatten() {
                let answers = probes::shows_metrics(client, &url).await;
                facts.public.push((url, answers));
            }
        }
    }
    if let Some(file) = setting("VAULTAIRE_TLS_CERT_FILE") {
        let until = probes::certificate_in(Path::new(&file));
        let until = until.map_err(|error| format!("{error:#}"));
        facts.certificates.push((file, until));
    }
    if let Ok(Some(url)) = environment.secret("VAULTAIRE_SMTP_URL") {
        facts.mail_server = Some(probes::mail_server(&url).await);
    }
    if let Ok(Some(config)) = settings::stripe(environment) {
        let key = &config.secret_key;
        facts.stripe = Some(Stripe {
            live: key.starts_with("sk_live_") || key.starts_with("rk_live_"),
            reached: probes::stripe(client, &config.api_base, key).await,
        });
    }
}

fn disks(place: &Place) -> Vec<Disk> {
    let Some(dir) = &place.data_dir else {
        return Vec::new();
    };
    let folders = ["", "engine", "postgres", "nodes"].map(|name| dir.join(name));
    let mut seen = Vec::new();
    let mut disks = Vec::new();
    for path in folders {
        let Ok(device) = fs::metadata(&path).map(|found| found.dev()) else {
            continue;
        };
        if seen.contains(&device) {
            continue;
        }
        seen.push(device);
        if let Ok(found) = statvfs(&path) {
            let unit = found.fragment_size();
            disks.push(Disk {
                path,
                free: found.blocks_available() * unit,
                total: found.blocks() * unit,
            });
        }
    }
    disks
}

/// Of the running `vaultaire up`, whose planes inherit it, or of this shell, which may start one.
fn open_files(place: &Place) -> Option<(String, u64)> {
    let running = place.data_dir.as_ref().and_then(|dir| {
        let pid = fs::read_to_string(dir.join("lock")).ok()?;
        let limits = fs::read_to_string(format!("/proc/{}/limits", pid.trim())).ok()?;
        soft_limit(&limits)
    });
    if let Some(limit) = running {
        return Some(("the running `vaultaire up`".to_owned(), limit));
    }
    if place.data_dir.is_none() && place.database_url.is_none() {
        return None;
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    Some(("what this shell starts".to_owned(), soft))
}

/// <https://man7.org/linux/man-pages/man5/proc_pid_limits.5.html>
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_the_kernel_writes_it() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit(""), None);
    }

    #[test]
    fn health_is_looked_for_on_the_next_port() {
        let found = beside("https://s3.example", "metrics");
        assert_eq!(found.as_deref(), Some("https://s3.example:444/metrics"));
    }
}
