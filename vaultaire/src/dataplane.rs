//! One data plane as a process: settings in, and an end on SIGTERM.
//! Every rule is in the crate `dataplane`.

use std::path::Path;

use crate::serve::Ending;
use crate::settings::Dataplane;

pub async fn run(settings: Dataplane) -> anyhow::Result<()> {
    let mut ending = Ending::listen()?;
    let config = dataplane::Config {
        listen: settings.listen,
        health: settings.health,
        control_url: settings.control_url,
        join_token: settings.join_token,
        data_dir: settings.data_dir,
        s3_address: settings.s3_address,
        patience: dataplane::Patience::default(),
        domains: settings.domains,
        tls: settings.tls,
        drain_delay: settings.drain_delay,
        metrics_tenants: settings.metrics_tenants,
    };
    dataplane::run(config, async move { ending.asked().await }).await
}

/// Whether a node in this folder has joined before, so that it needs no join token. One too many would go unused.
pub fn has_identity(data_dir: &Path) -> bool {
    data_dir.join("node.json").exists()
}
