//! Spans that have ended, on their way to the collector: a bounded queue and a thread of its own. Whoever ends a span
//! never waits; what finds no room, or no collector that takes it, is counted and gone.

use std::fmt::Write as _;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};

use crate::Settings;

/// Spans that may wait.
const ROOM: usize = 4096;
/// Spans that are sent at once.
const BATCH: usize = 512;
/// How long a span may wait for others.
const GATHER: Duration = Duration::from_secs(1);
/// A collector that takes longer does not get the batch.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long the end of the process waits for what is left.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

static EXPORTED: AtomicU64 = AtomicU64::new(0);
/// Found no room.
static OVERFLOWED: AtomicU64 = AtomicU64::new(0);
/// Were not taken by the collector.
static FAILED: AtomicU64 = AtomicU64::new(0);

enum Item {
    Span(Box<SpanData>),
    /// The end of the process: send what there is.
    End(SyncSender<()>),
}

#[derive(Debug)]
pub(crate) struct Queue(SyncSender<Item>);

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Item")
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.0.try_send(Item::Span(Box::new(span)))
        {
            OVERFLOWED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Keeps the export going. Dropping it sends what is still waiting, within two seconds.
pub struct Exporting(SyncSender<Item>);

impl Drop for Exporting {
    fn drop(&mut self) {
        let until = Instant::now() + FLUSH_WITHIN;
        let (done, ended) = sync_channel(1);
        let mut end = Item::End(done);
        // The queue may be full, and its reader waiting for the collector.
        while let Err(TrySendError::Full(back)) = self.0.try_send(end) {
            if Instant::now() >= until {
                return;
            }
            end = back;
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = ended.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

pub(crate) fn start(settings: &Settings) -> io::Result<(Queue, Exporting)> {
    let client = reqwest::Client::builder()
        .timeout(ANSWER_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(io::Error::other)?;
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&settings.endpoint)
        .with_timeout(ANSWER_WITHIN)
        .build()
        .map_err(io::Error::other)?;
    exporter.set_resource(&settings.resource());
    let (sender, spans) = sync_channel(ROOM);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("traces".to_owned())
        .spawn(move || run(&spans, &exporter, &runtime))?;
    Ok((Queue(sender.clone()), Exporting(sender)))
}

fn run(
    spans: &Receiver<Item>,
    exporter: &opentelemetry_otlp::SpanExporter,
    runtime: &tokio::runtime::Runtime,
) {
    let mut reachable = true;
    loop {
        let (batch, end) = gather(spans);
        if !batch.is_empty() {
            let count = batch.len() as u64;
            match runtime.block_on(exporter.export(batch)) {
                Ok(()) => {
                    EXPORTED.fetch_add(count, Ordering::Relaxed);
                    reachable = true;
                }
                Err(error) => {
                    FAILED.fetch_add(count, Ordering::Relaxed);
                    // Once, and again when it has been well in between.
                    if std::mem::take(&mut reachable) {
                        tracing::warn!(%error, "the collector takes no traces; spans are dropped");
                    }
                }
            }
        }
        if let Some(done) = end {
            let _ = done.send(());
            return;
        }
    }
}

/// The first span, and those that come soon after it.
fn gather(spans: &Receiver<Item>) -> (Vec<SpanData>, Option<SyncSender<()>>) {
    let mut batch = Vec::new();
    let mut until = None;
    while batch.len() < BATCH {
        let next = match until {
            None => spans.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => {
                spans.recv_timeout(Instant::saturating_duration_since(&until, Instant::now()))
            }
        };
        match next {
            Ok(Item::Span(span)) => {
                until.get_or_insert_with(|| Instant::now() + GATHER);
                batch.push(*span);
            }
            Ok(Item::End(done)) => return (batch, Some(done)),
            Err(_) => break,
        }
    }
    (batch, None)
}

/// Adds the exporter's own figures in Prometheus's text format; all 0 where nothing is traced.
pub fn render(out: &mut String) {
    let name = "vaultaire_trace_spans_exported_total";
    let exported = EXPORTED.load(Ordering::Relaxed);
    let _ = writeln!(
        out,
        "# HELP {name} Spans that the collector took.\n# TYPE {name} counter\n{name} {exported}"
    );
    let name = "vaultaire_trace_spans_dropped_total";
    let _ = writeln!(
        out,
        "# HELP {name} Spans that are lost: the queue was full, or the collector did not take them.\n# TYPE {name} counter"
    );
    for (reason, count) in [("queue", &OVERFLOWED), ("collector", &FAILED)] {
        let count = count.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}{{reason=\"{reason}\"}} {count}");
    }
}
