//! `vaultaire completion`: scripts by which shells complete commands and their options, made of what clap knows.
//! What is hidden from the help is not offered.

use std::io::Write;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;

pub fn print_completion(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut shown(Cli::command()), "vaultaire", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(())
}

/// clap_complete offers hidden commands too.
fn shown(command: Command) -> Command {
    let subcommands: Vec<Command> = command.get_subcommands().cloned().collect();
    let bare = Command::new("vaultaire").version(env!("CARGO_PKG_VERSION"));
    bare.subcommands(subcommands.into_iter().filter(|c| !c.is_hide_set()))
}
