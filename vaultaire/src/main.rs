//! The one binary: it reads settings and arguments, and wires the planes together.
//! It must hold no rule of the product: those live in the crates of the planes.

mod admin;
mod backup;
mod cli;
mod controlplane;
mod dataplane;
mod doctor;
mod logging;
mod private_file;
mod serve;
mod settings;
mod up;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use settings::Environment;

/// A small request makes some hundred allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vaultaire: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    install_tls();
    match command {
        Command::Up(arguments) => one_thread()?.block_on(up::run(&arguments, &environment)),
        Command::Controlplane(arguments) => {
            let settings = settings::controlplane(&arguments, &environment)?;
            let _flush = logging::start(&environment, "controlplane")?;
            many_threads()?.block_on(controlplane::run(settings))
        }
        Command::Dataplane(arguments) => {
            let settings = settings::dataplane(&arguments, &environment)?;
            let _flush = logging::start(&environment, "dataplane")?;
            many_threads()?.block_on(dataplane::run(settings))
        }
        Command::MakeTenants {
            tenants,
            keys,
            controlplane,
        } => {
            let settings = settings::controlplane(&controlplane, &environment)?;
            many_threads()?.block_on(controlplane::make_tenants(settings, tenants, keys))
        }
        Command::Backup(arguments) => {
            one_thread()?.block_on(backup::write(&arguments, &environment))
        }
        Command::Restore(arguments) => {
            one_thread()?.block_on(backup::restore(&arguments, &environment))
        }
        Command::Tenant(command) => {
            one_thread()?.block_on(admin::tenant::run(command, &environment))
        }
        Command::Key(command) => one_thread()?.block_on(admin::key::run(command, &environment)),
        Command::Bucket(command) => {
            one_thread()?.block_on(admin::lists::bucket(command, &environment))
        }
        Command::Plan(command) => one_thread()?.block_on(admin::plan::run(command, &environment)),
        Command::Billing(command) => {
            one_thread()?.block_on(admin::billing::run(command, &environment))
        }
        Command::Revenue(arguments) => {
            one_thread()?.block_on(admin::business::revenue(arguments, &environment))
        }
        Command::Job(command) => {
            one_thread()?.block_on(admin::business::job(command, &environment))
        }
        Command::Notice(command) => {
            one_thread()?.block_on(admin::business::notice(command, &environment))
        }
        Command::Refusal(command) => {
            one_thread()?.block_on(admin::lists::refusal(command, &environment))
        }
        Command::Usage(command) => one_thread()?.block_on(admin::usage::run(command, &environment)),
        Command::Inventory(command) => {
            one_thread()?.block_on(admin::usage::inventory(command, &environment))
        }
        Command::Engine(command) => {
            one_thread()?.block_on(admin::engine::run(command, &environment))
        }
        Command::Drift(arguments) => {
            one_thread()?.block_on(admin::engine::drift(arguments, &environment))
        }
        Command::Operator(command) => {
            one_thread()?.block_on(admin::operator::run(command, &environment))
        }
        Command::MasterKey(command) => {
            one_thread()?.block_on(admin::master_key::run(command, &environment))
        }
        Command::Doctor(target) => one_thread()?.block_on(doctor::run(&target, &environment)),
        Command::Completion { shell } => cli::print_completion(shell),
        Command::Audit(command) => one_thread()?.block_on(admin::audit::run(command, &environment)),
        Command::Node(command) => one_thread()?.block_on(admin::node::run(command, &environment)),
    }
}

/// One TLS library for all that speaks TLS here. It fails only if one was installed before.
fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// For `up` this is more than thrift: a child's parent-death signal is tied to the *thread* that started it
/// (<https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html>), so that thread must be the main one.
fn one_thread() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn many_threads() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}
