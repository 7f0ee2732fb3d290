//! The book's list of commands, made of what clap knows of them; the page that is committed must be the one that is made.
//! Hidden commands are left out.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");

const HEAD: &str = "\
# Command reference

Made of the program's own help by `UPDATE_DOCS=1 cargo test -p vaultaire --bin vaultaire reference`; a test holds the two together.

Operator's commands talk to the `vaultaire up` whose data directory `--data-dir` names, or else to the control plane at `VAULTAIRE_URL` with the
token in `VAULTAIRE_ADMIN_TOKEN` (or `VAULTAIRE_ADMIN_TOKEN_FILE`), or else to the one of `./vaultaire-data`. With `--json` they print JSON for scripts;
without it, text for people, which may change. A command that fails says why on standard error and ends with another status than 0.
";

fn page() -> String {
    let mut out = HEAD.to_owned();
    let mut root = Cli::command();
    root.build();
    for command in shown(&root) {
        let _ = write!(out, "\n## vaultaire {}\n", command.get_name());
        describe(&mut out, command);
        for inner in shown(command) {
            nested(
                &mut out,
                &format!("vaultaire {}", command.get_name()),
                inner,
            );
        }
    }
    out
}

/// Commands below the second level are told like those on it.
fn nested(out: &mut String, above: &str, command: &Command) {
    let name = format!("{above} {}", command.get_name());
    let _ = write!(out, "\n### {name}\n");
    describe(out, command);
    for inner in shown(command) {
        nested(out, &name, inner);
    }
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    let commands = command.get_subcommands();
    commands.filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
}

fn describe(out: &mut String, command: &Command) {
    let about = command.get_about().map(ToString::to_string);
    let _ = write!(out, "\n{}.\n", escaped(&about.unwrap_or_default()));
    if command.get_subcommands().next().is_some() {
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let _ = write!(out, "\n```text\n{usage}\n```\n");
    // What every operator's command takes is told once, above.
    let told = ["help", "version", "json", "data_dir"];
    let is_operators = command.get_arguments().any(|arg| arg.get_id() == "json");
    let arguments = command.get_arguments();
    let arguments = arguments.filter(|arg| {
        !arg.is_hide_set()
            && !(told.contains(&arg.get_id().as_str())
                && (is_operators || arg.get_id() != "data_dir"))
    });
    // What must be there stands in the usage; where there is no more to say of it, its name says it.
    let arguments = arguments.map(|arg| (name(arg), meaning(arg), arg.is_required_set()));
    let arguments: Vec<(String, String, bool)> = arguments
        .filter(|(_, meaning, required)| !(meaning.is_empty() && *required))
        .collect();
    if arguments.is_empty() {
        return;
    }
    out.push_str("\n| | |\n| --- | --- |\n");
    for (name, meaning, _) in arguments {
        let _ = writeln!(out, "| {name} | {meaning} |");
    }
}

fn name(argument: &Arg) -> String {
    let values: Vec<String> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    let values = values.join(" ");
    match argument.get_long() {
        Some(long) if argument.get_action().takes_values() => format!("`--{long} {values}`"),
        Some(long) => format!("`--{long}`"),
        None => format!("`{values}`"),
    }
}

fn meaning(argument: &Arg) -> String {
    let mut parts = Vec::new();
    if let Some(help) = argument.get_help() {
        parts.push(escaped(&help.to_string()));
    }
    let possible: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !possible.is_empty() {
        parts.push(format!("one of {}", possible.join(", ")));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        parts.push(format!("without it {}", defaults.join(", ")));
    }
    parts.join("; ")
}

/// What would end a cell of a table, or be taken for a tag.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[test]
fn the_page_is_the_one_that_the_program_makes() {
    let made = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &made).unwrap();
    }
    let committed = std::fs::read_to_string(PAGE).unwrap();
    assert!(
        made == committed,
        "docs/commands.md is not what the program makes: UPDATE_DOCS=1 cargo test -p vaultaire --bin vaultaire reference"
    );
}

/// The page says of each command what it does.
#[test]
fn every_command_says_what_it_does() {
    fn walk(command: &Command, missing: &mut Vec<String>) {
        for inner in shown(command) {
            if inner.get_about().is_none() {
                missing.push(inner.get_name().to_owned());
            }
            walk(inner, missing);
        }
    }
    let mut missing = Vec::new();
    walk(&Cli::command(), &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

/// What the head of the page says of them all.
#[test]
fn every_operators_command_takes_json_and_a_data_directory() {
    fn walk(command: &Command, path: &str, wrong: &mut Vec<String>) {
        for inner in shown(command) {
            let path = format!("{path} {}", inner.get_name());
            let takes = |name: &str| inner.get_arguments().any(|arg| arg.get_id() == name);
            let is_leaf = inner.get_subcommands().next().is_none();
            if is_leaf && !(takes("json") && takes("data_dir")) {
                wrong.push(path.trim().to_owned());
            }
            walk(inner, &path, wrong);
        }
    }
    let mut wrong = Vec::new();
    walk(&Cli::command(), "", &mut wrong);
    // They start what the others talk to, and one talks to nobody.
    assert_eq!(wrong, ["up", "controlplane", "dataplane", "completion"]);
}
