//! What a node tells a collector, read as the collector reads it: a real node between a fake control plane and a
//! recording engine, and OTLP over HTTP. A process has one way out for traces, so all of this is one test.

#[allow(dead_code, reason = "the gateway's tests use the rest")]
#[path = "../gateway/client.rs"]
mod client;
mod collector;
#[allow(dead_code, reason = "the gateway's tests use the rest")]
#[path = "../gateway/control.rs"]
mod control;
#[allow(dead_code, reason = "the gateway's tests use the rest")]
#[path = "../gateway/engine.rs"]
mod engine;
#[allow(dead_code, reason = "the gateway's tests use the rest")]
#[path = "../gateway/world.rs"]
mod world;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use wire::{ToNode, Traced};

use self::collector::{Collector, Told};
use self::world::{KEY_A, SECRET_A, World, tenant};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(trace: &str, flags: &str) -> String {
    format!("00-{trace}-{PARENT}-{flags}")
}

#[tokio::test]
async fn one_trace_goes_from_the_client_to_the_engine_and_tells_no_secret() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let collector = Collector::start().await;
    let get =
        |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then_some(collector.url.as_str());
    let settings = telemetry::Settings::read("dataplane", get)
        .unwrap()
        .unwrap();
    let (layer, _exporting) = telemetry::start(settings).unwrap();
    tracing_subscriber::registry().with(layer).init();
    let w = World::start().await;

    joins(&w, &collector).await;
    begins(&w, &collector).await;
    fails(&w, &collector).await;
    applies(&w, &collector).await;

    let told = collector.bytes();
    for secret in [
        "unspeakable",
        "verschwiegen",
        SECRET_A,
        KEY_A,
        "ENGINEKEY",
        "forged-state",
        "baggage-of-mine",
        "abkt",
    ] {
        assert!(!told.contains(secret), "{secret} was exported");
    }
    // What is looked for would be found.
    assert!(told.contains("PutObject") && told.contains(&"a".repeat(32)));
}

/// The client's flag says that it does not sample; we do as we were told by our own operator.
async fn joins(w: &World, collector: &Collector) {
    let put = w.a.call("PUT", "/abkt/unspeakable?x-id=verschwiegen");
    let put = put.header("traceparent", &traceparent(TRACE, "00"));
    let put = put.header("tracestate", "vendor=forged-state");
    let put = put.header("baggage", "user=baggage-of-mine");
    let answer = put.body(b"body").send().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let server = collector.span(|span| span.name == "PutObject").await;
    // What the write replaces was asked for before.
    let asked =
        |span: &Told| span.kind == "client" && span.attribute("http.request.method") == "PUT";
    let asked = collector.span(asked).await;
    assert_eq!(asked.trace, TRACE);
    assert_eq!(
        (server.trace.as_str(), server.parent.as_str()),
        (TRACE, PARENT)
    );
    assert_eq!(
        (server.kind, asked.parent.as_str()),
        ("server", server.id.as_str())
    );
    assert_eq!(server.attribute("http.request.method"), "PUT");
    assert_eq!(server.attribute("http.response.status_code"), "200");
    assert_eq!(server.attribute("http.request.body.size"), "4");
    assert_eq!(server.attribute("vaultaire.tenant_id"), "a".repeat(32));
    assert_eq!(
        server.attribute("vaultaire.request_id"),
        answer.headers["x-amz-request-id"]
    );
    assert_eq!(asked.attribute("vaultaire.engine"), "e1");
    assert_eq!(asked.attribute("http.response.status_code"), "200");
    let seen = w.engine.take_seen();
    let seen = seen.last().expect("the engine was asked");
    let heard = seen.headers["traceparent"].to_str().unwrap();
    assert_eq!(heard, format!("00-{TRACE}-{}-01", asked.id));
    for name in ["tracestate", "baggage"] {
        assert!(
            !seen.headers.contains_key(name),
            "{name} went to the engine"
        );
    }
    // It is not signed: what stands before the engine may change it.
    let signed = seen.headers["authorization"].to_str().unwrap();
    assert!(!signed.contains("traceparent"), "{signed}");
}

/// Who names no trace, or a forged one, gets one of its own.
async fn begins(w: &World, collector: &Collector) {
    for (method, given, name) in [
        ("GET", None, "GetObject"),
        ("HEAD", Some(traceparent(TRACE, "01") + "-x"), "HeadObject"),
    ] {
        let mut call = w.a.call(method, "/abkt/unspeakable");
        if let Some(given) = &given {
            call = call.header("traceparent", given);
        }
        assert_eq!(call.send().await.status, 200);
        let server = collector.span(|span| span.name == name).await;
        assert!(
            server.trace != TRACE && server.parent.is_empty(),
            "{server:?}"
        );
    }
}

async fn fails(w: &World, collector: &Collector) {
    let answer = w.a.get("/abkt/unspeakable-too").await;
    assert_eq!(answer.code(), "NoSuchKey");
    let told = |span: &Told| span.kind == "server" && span.attribute("error.type") == "NoSuchKey";
    let server = collector.span(told).await;
    assert!(!server.failed, "a client's error is none of ours");
    w.engine.answer_next(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        "<Error><Code>InternalError</Code></Error>",
    );
    let answer = w.a.get("/abkt/unspeakable").await;
    let status = answer.status.to_string();
    assert!(answer.status >= 500, "{}", answer.body);
    let told = |span: &Told| {
        span.kind == "server" && span.attribute("http.response.status_code") == status
    };
    assert!(collector.span(told).await.failed);
}

/// A push with a trace beside it, and one without, which is applied all the same.
async fn applies(w: &World, collector: &Collector) {
    let quiet = ToNode::Tenant(tenant('a', 11, false));
    w.control.push(&quiet);
    w.control.acked(11).await;
    let message = ToNode::Tenant(tenant('a', 12, false));
    let traced = Traced {
        message: &message,
        traceparent: Some(traceparent(TRACE, "01")),
    };
    w.control.push_text(serde_json::to_string(&traced).unwrap());
    w.control.acked(12).await;
    let unsampled = Traced {
        message: &ToNode::Tenant(tenant('a', 13, false)),
        traceparent: Some(traceparent(TRACE, "00")),
    };
    w.control
        .push_text(serde_json::to_string(&unsampled).unwrap());
    w.control.acked(13).await;
    let applied = collector.span(|span| span.name == "apply").await;
    assert_eq!(
        (applied.trace.as_str(), applied.parent.as_str()),
        (TRACE, PARENT)
    );
    assert_eq!(applied.attribute("vaultaire.revision"), "12");
    // What came before and after it would have been told by now.
    w.a.get("/").await;
    collector.span(|span| span.name == "ListBuckets").await;
    assert_eq!(collector.count(|span| span.name == "apply"), 1);
}
