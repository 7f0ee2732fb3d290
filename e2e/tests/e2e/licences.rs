//! Whether each crate that is built may be given on under the project's licence, by the lists of deny.toml; and what the
//! project says of its own licence. No network: the crates are here, since this test was built.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::process::succeed;
use e2e::tools;

struct Lists {
    allowed: BTreeSet<String>,
    /// A crate, and the licence that it alone may have.
    exceptions: BTreeSet<(String, String)>,
}

impl Lists {
    /// Of deny.toml: its two lists, each entry on a line of its own.
    fn read(text: &str) -> Self {
        let between = |begin: &str| {
            let (_, rest) = text
                .split_once(begin)
                .unwrap_or_else(|| panic!("no {begin}"));
            rest.split("\n]").next().unwrap_or_default().to_owned()
        };
        let quoted = |line: &str| -> Vec<String> {
            line.split('"')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        let exceptions = between("\nexceptions = [");
        let exceptions = exceptions
            .lines()
            .map(quoted)
            .filter(|words| words.len() == 2);
        Self {
            allowed: quoted(&between("\nallow = [")).into_iter().collect(),
            exceptions: exceptions
                .map(|words| (words[0].clone(), words[1].clone()))
                .collect(),
        }
    }

    fn let_pass(&self, name: &str, licence: &str) -> bool {
        permits(licence, &|one| {
            self.allowed.contains(one)
                || self.exceptions.contains(&(name.to_owned(), one.to_owned()))
        })
    }
}

/// Whether an expression of SPDX can be met with licences of which `good` is true. `/` is an old way of writing OR, and an
/// exception (WITH) only permits more.
fn permits(expression: &str, good: &impl Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, good);
    met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, good: &impl Fn(&str) -> bool) -> bool {
    let mut met = all(words, good);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, good);
    }
    met
}

fn all(words: &mut Words<'_>, good: &impl Fn(&str) -> bool) -> bool {
    let mut met = one(words, good);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, good);
    }
    met
}

fn one(words: &mut Words<'_>, good: &impl Fn(&str) -> bool) -> bool {
    match words.next() {
        Some("(") => {
            let met = any(words, good);
            met & words.next_if_eq(&")").is_some()
        }
        Some(name) => {
            if words.next_if_eq(&"WITH").is_some() {
                words.next();
            }
            good(name)
        }
        None => false,
    }
}

/// Name and licence of each crate that is built for this machine.
fn crates() -> Vec<(String, String)> {
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.current_dir(tools::of_the_project(""));
    tree.args(["tree", "--locked", "--offline", "--workspace"]);
    tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"]);
    let said = succeed(&mut tree, Duration::from_secs(60));
    let crates: BTreeSet<(String, String)> = said
        .lines()
        .filter_map(|line| {
            let (crate_, licence) = line.split_once('|')?;
            Some((crate_.split(' ').next()?.to_owned(), licence.to_owned()))
        })
        .collect();
    crates.into_iter().collect()
}

fn project(path: &str) -> String {
    fs::read_to_string(tools::of_the_project(path)).unwrap()
}

#[test]
fn every_crate_may_be_given_on() {
    let lists = Lists::read(&project("deny.toml"));
    let crates = crates();
    assert!(crates.len() > 200, "{}", crates.len());
    let wrong: Vec<&(String, String)> = crates
        .iter()
        .filter(|(name, licence)| !lists.let_pass(name, licence))
        .collect();
    assert!(wrong.is_empty(), "not in deny.toml: {wrong:?}");
    for (name, licence) in &lists.exceptions {
        assert!(
            crates
                .iter()
                .any(|found| found == &(name.clone(), licence.clone())),
            "the exception for {name} is not needed"
        );
    }
}

#[test]
fn an_expression_is_met_by_what_is_allowed() {
    let good = |name: &str| matches!(name, "MIT" | "ISC");
    for met in [
        "MIT",
        "MIT/X",
        "X OR MIT",
        "(X OR MIT) AND ISC",
        "MIT WITH y",
        "X AND X OR MIT",
    ] {
        assert!(permits(met, &good), "{met}");
    }
    for unmet in ["", "X", "MIT AND X", "(MIT OR X) AND X", "MIT ISC", "(MIT"] {
        assert!(!permits(unmet, &good), "{unmet}");
    }
}

/// The text, the manifests and README.md name one licence.
#[test]
fn the_project_has_one_licence() {
    assert!(project("LICENSE").contains("Apache License\n                           Version 2.0"));
    assert!(project("Cargo.toml").contains("\nlicense = \"Apache-2.0\"\n"));
    assert!(project("README.md").contains("[Apache-2.0](LICENSE)"));
    let manifest = project("Cargo.toml");
    let (_, members) = manifest.split_once("members = [").unwrap();
    let members = members.split(']').next().unwrap_or_default();
    for member in members.split('"').skip(1).step_by(2) {
        assert!(
            project(&format!("{member}/Cargo.toml")).contains("\nlicense.workspace = true\n"),
            "{member}"
        );
    }
}
