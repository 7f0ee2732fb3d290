//! The side-by-side benchmark: starts engines and proxies, loads each in turn, in short rounds, and writes the table and
//! the plot. It measures and reports; it knows nothing of how Vaultaire is made.

mod fleet;
mod load;
mod neighbours;
mod plot;
mod process;
mod report;
mod run;
mod stack;
mod synthetic;
mod target;
mod workload;

use std::path::PathBuf;

use anyhow::bail;

use stack::Programs;

const USAGE: &str = "usage: bench run VAULTAIRE NGINX RCLONE S3S-PROXY DOCS | bench fleet VAULTAIRE DOCS TENANTS… | bench profile VAULTAIRE SECONDS WORKLOAD | bench compare NGINX ROUNDS WORKLOAD VAULTAIRE… | bench neighbours VAULTAIRE DOCS | bench synthetic ADDRESS";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["synthetic", address] => synthetic::serve(address.parse()?).await,
        ["run", vaultaire, nginx, rclone, s3s_proxy, docs] => {
            let programs = Programs {
                vaultaire: vaultaire.into(),
                nginx: nginx.into(),
                rclone: rclone.into(),
                s3s_proxy: s3s_proxy.into(),
            };
            let docs = PathBuf::from(docs);
            let results = load::within(run::all(&programs)).await?;
            report::write(&docs, "bench", &report::section(&results))?;
            std::fs::create_dir_all(docs.join("images"))?;
            std::fs::write(docs.join("images/bench.svg"), plot::svg(&results))?;
            println!("bench: wrote images/bench.svg");
            Ok(())
        }
        ["flood", address, access_key_id] => neighbours::flood(address.parse()?, access_key_id),
        ["neighbours", vaultaire, docs] => {
            let programs = Programs {
                vaultaire: vaultaire.into(),
                nginx: PathBuf::new(),
                rclone: PathBuf::new(),
                s3s_proxy: PathBuf::new(),
            };
            let folder = run::scratch()?;
            let results = load::within(neighbours::run(&programs, folder.path())).await?;
            let section = report::neighbours(&results);
            report::write(&PathBuf::from(docs), "neighbours", &section)
        }
        ["fleet", vaultaire, docs, ref sizes @ ..] if !sizes.is_empty() => {
            let sizes: Vec<usize> = sizes.iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
            let figures = load::within(fleet::run(vaultaire.as_ref(), &sizes)).await?;
            report::write(&PathBuf::from(docs), "fleet", &fleet::section(&figures))
        }
        ["profile", vaultaire, seconds, workload] => {
            let programs = Programs {
                vaultaire: vaultaire.into(),
                nginx: PathBuf::new(),
                rclone: PathBuf::new(),
                s3s_proxy: PathBuf::new(),
            };
            load::within(run::profile(&programs, seconds.parse()?, workload)).await
        }
        ["compare", nginx, rounds, workload, ref vaultaires @ ..] if !vaultaires.is_empty() => {
            let builds: Vec<Programs> = vaultaires
                .iter()
                .map(|vaultaire| Programs {
                    vaultaire: vaultaire.into(),
                    nginx: nginx.into(),
                    rclone: PathBuf::new(),
                    s3s_proxy: PathBuf::new(),
                })
                .collect();
            load::within(run::compare(&builds, rounds.parse()?, workload)).await
        }
        _ => bail!(USAGE),
    }
}
