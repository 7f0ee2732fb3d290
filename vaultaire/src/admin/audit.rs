//! `vaultaire audit verify`.

use super::client::Client;
use super::{print, print_json, print_many};
use crate::cli::AuditCommand;
use crate::settings::Environment;

/// Fails where a chain is broken, so that a script notices.
pub async fn run(
    AuditCommand::Verify { target }: AuditCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    let answer = Client::new(&target, environment)?
        .get(&["audit", "verify"])
        .await?;
    let broken = answer["broken"].as_array().map_or(0, Vec::len);
    if target.json {
        print_json(&answer)?;
    } else if broken == 0 {
        print(&format!(
            "{} entries, every chain holds.\n",
            answer["entries"]
        ))?;
    } else {
        let columns = ["log", "tenant_id", "entry_id", "reason"];
        print_many(&answer, "broken", &columns, false)?;
    }
    anyhow::ensure!(broken == 0, "The audit log was tampered with.");
    Ok(())
}
