//! Where the programs are: the binary under test, beside the test's own executable; those of others in `.tools`.
//! It looks only where `make test` puts them.

use std::path::{Path, PathBuf};

/// `target/<profile>/vaultaire`, made by the same cargo as this test (`target/<profile>/deps/e2e-…`), or as this program
/// beside it.
pub fn vaultaire() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its own file");
    let place = own.parent().expect("a file is in a folder");
    let profile = match place.ends_with("deps") {
        true => place.parent().expect("deps is in a folder"),
        false => place,
    };
    let binary = profile.join("vaultaire");
    assert!(
        binary.exists(),
        "{} is missing: run `make test`, or build it with `cargo build -p vaultaire`",
        binary.display()
    );
    binary
}

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("this crate is a member").to_owned()
}

/// Folder of what `scripts/install-tools test` installed.
pub fn folder() -> PathBuf {
    match std::env::var_os("VAULTAIRE_TOOLS") {
        Some(folder) => folder.into(),
        None => workspace().join(".tools"),
    }
}

fn installed(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `make test`, or `scripts/install-tools test`",
        path.display()
    );
    path
}

/// A program of the Python environment: `python`, `aws`, `rclone`, `s3cmd`.
pub fn python_tool(name: &str) -> PathBuf {
    installed(folder().join("venv/bin").join(name))
}

pub fn schemathesis() -> PathBuf {
    installed(folder().join("api/bin/schemathesis"))
}

/// The Python of the environment that has Stripe's package.
pub fn stripe_python() -> PathBuf {
    installed(folder().join("stripe/bin/python"))
}

/// Folder of Stripe's npm package, where there is a Node.js that runs it.
pub fn stripe_npm() -> Option<PathBuf> {
    let place = folder().join("stripe-npm");
    place.join("node_modules").exists().then_some(place)
}

/// Folder of the further clients that the book shows.
pub fn book_tools() -> PathBuf {
    installed(folder().join("book/bin"))
}

/// Folder of their Python packages.
pub fn book_packages() -> PathBuf {
    let lib = installed(folder().join("book/lib"));
    let versions = std::fs::read_dir(lib).into_iter().flatten().flatten();
    let mut found = versions.map(|version| version.path().join("site-packages"));
    let found = found.find(|packages| packages.exists());
    found.expect("an environment of Python has packages")
}

/// Folder of the npm packages that the book shows, where there is a Node.js that runs them.
pub fn book_npm() -> Option<PathBuf> {
    let place = folder().join("book-npm/node_modules");
    place.exists().then_some(place)
}

/// A script in `e2e/stripe`.
pub fn stripe_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("stripe")
        .join(name)
}

/// The text of axe-core.
pub fn axe() -> PathBuf {
    installed(folder().join("axe.min.js"))
}

/// The script that drives Lighthouse, beside what it needs.
pub fn lighthouse() -> PathBuf {
    let script = folder().join("lighthouse/run.mjs");
    assert!(
        script.exists(),
        "{} is missing: run `make lighthouse`",
        script.display()
    );
    script
}

/// Where reports are written.
pub fn docs() -> PathBuf {
    workspace().join("docs")
}

pub fn weed() -> PathBuf {
    installed(folder().join("weed"))
}

/// The list of the dashboard's routes.
pub fn routes() -> PathBuf {
    workspace().join("web/routes.md")
}

/// A file of the project's, by its path from the top.
pub fn of_the_project(path: &str) -> PathBuf {
    workspace().join(path)
}

/// A script in `e2e/clients`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(name)
}

/// Folder of `initdb` and `postgres`: `scripts/with-postgres` names it, or else the newest that is installed.
pub fn postgres_bin() -> PathBuf {
    if let Some(bin) = std::env::var_os("TEST_DATABASE_BIN") {
        return bin.into();
    }
    let majors = std::fs::read_dir("/usr/lib/postgresql");
    let mut found: Vec<(u32, PathBuf)> = majors
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, bin)| bin);
    newest.unwrap_or_else(|| installed(folder().join("postgres/bin")))
}
