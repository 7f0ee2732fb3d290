//! `vaultaire up`: everything on one machine, as one tree of processes that starts and stops in order.
//! Before anything is started or written it checks what can be checked; what fails later leaves nothing running.

mod child;
mod data_dir;
pub mod database;
mod engine;
mod planes;
mod ports;
mod postgres;
pub mod progress;
mod quickstart;
mod run_as;
mod surplus;
mod tools;
mod tree;

use std::path::Path;

use anyhow::Context;

use crate::cli::UpArguments;
use crate::serve::Ending;
use crate::settings::{self, Environment};
use data_dir::DataDir;
pub use data_dir::MASTER_KEY;
use planes::Addresses;
pub use planes::Control;
use progress::say;
use tools::Tools;
use tree::Tree;

pub async fn run(arguments: &UpArguments, environment: &Environment) -> anyhow::Result<()> {
    let mut ending = Ending::listen()?;
    let addresses = Addresses::of(arguments)?;
    let existing = DataDir::open_existing(&arguments.data_dir)?;
    let plan = Plan::check(
        existing.as_ref(),
        &arguments.data_dir,
        &addresses,
        environment,
    )
    .await?;
    let dir = match existing {
        Some(dir) => dir,
        None => DataDir::create(&arguments.data_dir)?,
    };
    dir.write_owner()?;

    let mut tree = Tree::default();
    let started = tokio::select! {
        started = start(&mut tree, &dir, &addresses, &plan, environment) => started.map(|()| true),
        () = ending.asked() => Ok(false),
    };
    if let Ok(true) = started {
        quickstart::print(&dir, &addresses, environment);
        say("vaultaire: ready");
        ending.asked().await;
    }
    if started.is_ok() {
        say("Stopping.");
    }
    tree.stop(&mut ending).await;
    postgres::remove_half_made(&dir);
    started.map(|_| ())
}

/// What was found out before anything is written or started.
struct Plan {
    /// `None`: there is a `DATABASE_URL`.
    postgres: Option<tools::Postgres>,
    /// `None`: there is a `VAULTAIRE_ENGINE_ENDPOINT`.
    weed: Option<std::path::PathBuf>,
}

impl Plan {
    async fn check(
        existing: Option<&DataDir>,
        path: &Path,
        addresses: &Addresses,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let tools = Tools::new(environment, path);
        tools.require_setpriv()?;
        let postgres = match environment.secret("DATABASE_URL")? {
            Some(_) => None,
            None => {
                let major = existing.map(postgres::major_of).transpose()?.flatten();
                Some(tools.postgres(major)?)
            }
        };
        let weed = match settings::engine(environment)? {
            Some(_) => None,
            None => Some(tools.weed()?),
        };
        ports::check(&addresses.all()).await?;
        Ok(Self { postgres, weed })
    }
}

async fn start(
    tree: &mut Tree,
    dir: &DataDir,
    addresses: &Addresses,
    plan: &Plan,
    environment: &Environment,
) -> anyhow::Result<()> {
    dir.lay_out()?;
    let secrets = planes::Secrets::ensure(dir)?;
    let database_url = match &plan.postgres {
        Some(postgres) => postgres::start(tree, dir, postgres).await?,
        None => environment.require_secret("DATABASE_URL")?,
    };
    let engine = match &plan.weed {
        Some(weed) => engine::start(tree, dir, weed).await?,
        None => settings::engine(environment)?.context("VAULTAIRE_ENGINE_ENDPOINT is not set.")?,
    };
    let planes = planes::Planes {
        dir,
        addresses,
        environment,
        secrets: &secrets,
    };
    planes
        .start_controlplane(tree, &database_url, &engine)
        .await?;
    for number in 1..=addresses.s3.len() {
        planes.start_dataplane(tree, number).await?;
    }
    planes.remove_surplus().await?;
    planes.await_probe().await
}
