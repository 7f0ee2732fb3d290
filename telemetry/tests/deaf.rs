//! A collector that takes connections and never answers: whoever ends spans does not notice, and the end of the process
//! is not held up.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const SPANS: u64 = 20_000;

fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.expect(name).trim().parse().expect(name)
}

#[test]
fn a_deaf_collector_costs_spans_and_no_time() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let get = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then_some(url.as_str());
    let settings = telemetry::Settings::read("dataplane", get)
        .unwrap()
        .unwrap();
    let (layer, exporting) = telemetry::start(settings).unwrap();
    tracing_subscriber::registry().with(layer).init();
    let begun = Instant::now();
    for _ in 0..SPANS {
        let span = telemetry::request(&HeaderMap::new(), &Method::GET);
        assert!(!span.is_disabled());
    }
    // Had one of them waited for the collector, it would have been for five seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let mut text = String::new();
    telemetry::render(&mut text);
    let lost = figure(
        &text,
        "vaultaire_trace_spans_dropped_total{reason=\"queue\"}",
    );
    assert!((1..SPANS).contains(&lost), "{text}");
    assert_eq!(figure(&text, "vaultaire_trace_spans_exported_total "), 0);
    let ending = Instant::now();
    drop(exporting);
    assert!(
        ending.elapsed() < Duration::from_secs(3),
        "{:?}",
        ending.elapsed()
    );
    drop(listener);
}
