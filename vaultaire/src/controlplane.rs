//! One control plane as a process: settings in, listeners out.
//! Every rule is in the crates `controlplane` and `web`.

use std::net::SocketAddr;

use anyhow::Context;
use controlplane::{Clock, Config, ControlPlane, MasterKey};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::serve::Ending;
use crate::settings::Controlplane;

pub async fn run(settings: Controlplane) -> anyhow::Result<()> {
    let mut ending = Ending::listen()?;
    let (http, health) = (listen(settings.http).await?, listen(settings.health).await?);
    let started = tokio::select! {
        started = ControlPlane::start(config(settings)?, Clock::system()) => started,
        () = ending.asked() => return Ok(()),
    };
    let plane = started.context("The control plane cannot start")?;

    let stop = CancellationToken::new();
    let pages = plane.observed(plane.api().merge(web::routes(plane.clone())));
    // Who it is that knocks too often, and from where something was changed.
    let pages = pages.into_make_service_with_connect_info::<SocketAddr>();
    let public = axum::serve(http, pages).with_graceful_shutdown(stop.clone().cancelled_owned());
    let private =
        axum::serve(health, plane.health()).with_graceful_shutdown(stop.clone().cancelled_owned());
    let ended = async {
        ending.asked().await;
        stop.cancel();
        // Ends the nodes' streams, which would keep the listeners open.
        plane.shut_down().await;
    };
    let (public, private, ()) = tokio::join!(public.into_future(), private.into_future(), ended);
    public
        .and(private)
        .context("The control plane's listener failed")
}

/// Prints, for each tenant made, its id, an access key id and its secret.
pub async fn make_tenants(
    settings: Controlplane,
    tenants: usize,
    keys: usize,
) -> anyhow::Result<()> {
    use std::io::Write;
    let plane = ControlPlane::start(config(settings)?, Clock::system()).await?;
    let made = controlplane::bulk::make_tenants(&plane, tenants, keys).await?;
    let mut out = std::io::stdout().lock();
    for tenant in made {
        let (id, secret) = (tenant.tenant_id, tenant.secret_access_key.as_str());
        writeln!(out, "{id} {} {secret}", tenant.access_key_id)?;
    }
    drop(out);
    plane.shut_down().await;
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("Nothing can listen at {address}"))
}

fn config(settings: Controlplane) -> anyhow::Result<Config> {
    Ok(Config {
        database_url: settings.database_url,
        public_url: settings.public_url,
        s3_endpoint: settings.s3_endpoint,
        region: settings.region,
        master_key: MasterKey::parse(&settings.master_key)
            .context("The master key cannot be read")?,
        master_key_file: settings.master_key_file,
        admin_token: settings.admin_token,
        engine: settings.engine.config(),
        share_hold_seconds: settings.share_hold_seconds,
        mail: settings.mail,
        trusted_proxies: settings.trusted_proxies,
        stripe: settings.stripe,
        webhooks_to_private: settings.webhooks_to_private,
    })
}
