//! The database and the master key of an installation, for commands that need no control plane: those of the environment, or
//! of a data directory, whose Postgres is started if it does not run.

use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::data_dir::{DataDir, MASTER_KEY};
use super::postgres;
use super::tools::Tools;
use super::tree::Tree;
use crate::private_file;
use crate::serve::Ending;
use crate::settings::Environment;

/// The text of the master key that a control plane here is given.
pub fn master_key(path: &Path, environment: &Environment) -> anyhow::Result<String> {
    let file = path.join(MASTER_KEY);
    let given = environment.secret("VAULTAIRE_MASTER_KEY")?;
    match (file.exists(), given) {
        (false, Some(given)) => Ok(given),
        (true, Some(given)) if environment.get("DATABASE_URL").is_some() => Ok(given),
        (true, Some(given)) => {
            let kept = private_file::read(&file)?;
            ensure!(
                kept == given.trim(),
                "VAULTAIRE_MASTER_KEY and {} are different keys: unset the one, or choose another data directory.",
                file.display()
            );
            Ok(kept)
        }
        (true, None) => private_file::read(&file),
        (false, None) => bail!(
            "There is no master key: neither VAULTAIRE_MASTER_KEY nor VAULTAIRE_MASTER_KEY_FILE is set, and {} does not exist.",
            file.display()
        ),
    }
}

/// Does the work with the URL of a database that is there already.
pub async fn with_existing<T>(
    path: &Path,
    environment: &Environment,
    work: impl AsyncFnOnce(&str) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if let Some(url) = environment.get("DATABASE_URL") {
        return work(url).await;
    }
    if let Some(url) = running(path)? {
        return work(&url).await;
    }
    let dir = DataDir::open_existing(path)?.with_context(|| {
        format!(
            "There is no database: DATABASE_URL is not set, and {} is no data directory.",
            path.display()
        )
    })?;
    ensure!(
        dir.join("postgres").exists(),
        "The data directory {} has no database of its own: set DATABASE_URL.",
        path.display()
    );
    started(&dir, environment, work).await
}

/// Does the work with the URL of a database that may be made for it, in a data directory that may be made for it. The
/// master key is kept there.
pub async fn with_new<T>(
    path: &Path,
    master_key: &str,
    environment: &Environment,
    work: impl AsyncFnOnce(&str) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if let Some(url) = environment.get("DATABASE_URL") {
        return work(url).await;
    }
    let dir = match DataDir::open_existing(path)? {
        Some(dir) => dir,
        None => DataDir::create(path)?,
    };
    dir.lay_out()?;
    private_file::read_or_make(&dir.join(MASTER_KEY), || Ok(master_key.trim().to_owned()))?;
    started(&dir, environment, work).await
}

async fn started<T>(
    dir: &DataDir,
    environment: &Environment,
    work: impl AsyncFnOnce(&str) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut ending = Ending::listen()?;
    let tools = Tools::new(environment, dir.path());
    tools.require_setpriv()?;
    let found = tools.postgres(postgres::major_of(dir)?)?;
    dir.write_owner()?;
    let mut tree = Tree::default();
    let done = tokio::select! {
        done = async {
            let url = postgres::start(&mut tree, dir, &found).await?;
            work(&url).await
        } => done,
        () = ending.asked() => Err(anyhow::anyhow!("Interrupted.")),
    };
    tree.stop(&mut ending).await;
    postgres::remove_half_made(dir);
    done
}

/// The database of an `up` that runs on this data directory.
fn running(path: &Path) -> anyhow::Result<Option<String>> {
    let Ok(path) = path.canonicalize() else {
        return Ok(None);
    };
    let Some(port) = postgres::running_on(&path.join("postgres")) else {
        return Ok(None);
    };
    let password = private_file::read(&path.join("controlplane/database.password"))?;
    Ok(Some(postgres::url(&password, port)))
}
