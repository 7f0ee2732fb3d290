//! `chaos [--seed N] [--minutes M | --rounds R] [--faults LIST]`: one run, as long as is asked for. `make chaos` builds
//! what it needs.

use std::process::ExitCode;
use std::time::Duration;

use chaos::plan::kinds;
use chaos::run::{Lasts, Wishes, run};

const USAGE: &str = "chaos [--seed N] [--minutes M | --rounds R] [--faults KIND,KIND,…]";

fn main() -> ExitCode {
    let wishes = match read(std::env::args().skip(1)) {
        Ok(wishes) => wishes,
        Err(wrong) => {
            eprintln!("chaos: {wrong}\n{USAGE}\nkinds: {}", kinds().join(", "));
            return ExitCode::from(2);
        }
    };
    match run(&wishes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(breaches) => {
            eprintln!("chaos: {breaches}");
            ExitCode::FAILURE
        }
    }
}

/// What is empty was not said: `make` hands it on so.
fn read(mut words: impl Iterator<Item = String>) -> Result<Wishes, String> {
    let mut wishes = Wishes {
        seed: u64::from(std::process::id()),
        faults: Vec::new(),
        lasts: Lasts::Time(Duration::from_secs(600)),
    };
    while let Some(name) = words.next() {
        let value = words.next().ok_or(format!("{name} wants a value"))?;
        if value.is_empty() {
            continue;
        }
        let number = || {
            let number = value.parse::<u32>();
            number.map_err(|_| format!("{name} wants a number, not {value}"))
        };
        match name.as_str() {
            "--seed" => {
                wishes.seed = value.parse().map_err(|_| format!("no seed: {value}"))?;
            }
            "--minutes" => {
                wishes.lasts = Lasts::Time(Duration::from_secs(u64::from(number()?) * 60));
            }
            "--rounds" => {
                let rounds = usize::try_from(number()?).map_err(|error| error.to_string())?;
                wishes.lasts = Lasts::Rounds(rounds);
            }
            "--faults" => wishes.faults = value.split(',').map(str::to_owned).collect(),
            _ => return Err(format!("{name} is not known")),
        }
    }
    Ok(wishes)
}
