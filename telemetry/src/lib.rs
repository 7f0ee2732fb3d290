//! What both planes measure with, and traces on their way to a collector: which requests are sampled, what spans are made of, and OTLP over HTTP. It must
//! never slow or fail what it tells of, and costs nothing where no collector is named.
//!
//! Spans are `tracing` spans of the target [`TARGET`] and of nothing else: no log line and no other crate's span
//! leaves, so that what leaves can be read in `spans.rs`.

// Every request passes through here: see the data plane.
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod export;
mod histogram;
mod settings;
mod spans;

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

pub use export::{Exporting, render};
pub use histogram::Histogram;
pub use settings::{Settings, Wrong};
pub use spans::{
    TRACEPARENT, Traceparent, apply, cause, failed, is_on, job, method, name, outbound, request,
    status, tell,
};

/// Of every span that is exported; whoever writes logs leaves it out.
pub const TARGET: &str = "vaultaire::span";

static CHANCE: OnceLock<settings::Chance> = OnceLock::new();

/// Begins to export, once in a process. Spans go to the layer; dropping the other sends what is still waiting, for two
/// seconds at most.
pub fn start<S>(settings: Settings) -> std::io::Result<(impl Layer<S> + Send + Sync, Exporting)>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let (queue, exporting) = export::start(&settings)?;
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue)
        // What is not sampled was never made a span of (`spans.rs`).
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(settings.resource())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("vaultaire"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO));
    let _ = CHANCE.set(settings.chance);
    Ok((layer, exporting))
}
