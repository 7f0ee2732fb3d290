//! With a sampler that takes next to nothing, a client cannot make itself be sampled: not by its flag, and not by a trace id
//! that a sampler by trace id would take.

use http::{HeaderMap, HeaderValue, Method};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[test]
fn a_client_has_no_say_in_what_is_sampled() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let get = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://127.0.0.1:9"),
        "OTEL_TRACES_SAMPLER" => Some("parentbased_traceidratio"),
        "OTEL_TRACES_SAMPLER_ARG" => Some("0.000000000001"),
        _ => None,
    };
    let settings = telemetry::Settings::read("dataplane", get)
        .unwrap()
        .unwrap();
    let (layer, _exporting) = telemetry::start(settings).unwrap();
    tracing_subscriber::registry().with(layer).init();
    for n in 1..=1000u128 {
        let header = format!("00-{n:032x}-00f067aa0ba902b7-01");
        let mut headers = HeaderMap::new();
        headers.insert(
            telemetry::TRACEPARENT,
            HeaderValue::try_from(&header).unwrap(),
        );
        let span = telemetry::request(&headers, &Method::GET);
        assert!(span.is_disabled(), "{header} was sampled");
        assert!(telemetry::job("mail.send").is_disabled());
    }
    // A control plane is no client: what it has sampled is gone on with.
    let pushed = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert!(!telemetry::apply(pushed.parse().unwrap(), 1).is_disabled());
}
