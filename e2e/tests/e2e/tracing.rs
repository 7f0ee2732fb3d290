//! Traces as an operator gets them: both planes of one installation and a collector of the test's own.

use std::time::{Duration, Instant};

use e2e::collector::{Collector, Span};
use e2e::http;
use e2e::{Stack, until};

const WITHIN: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn find(collector: &Collector, what: &str, which: impl Fn(&Span) -> bool) -> Span {
    until(what, WITHIN, || collector.spans().into_iter().find(&which))
}

#[test]
fn one_trace_goes_through_both_planes_to_every_node() {
    let collector = Collector::start();
    let stack = Stack::builder()
        .dataplanes(2)
        .environment(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "x-collector-token=for-it-alone",
            ),
        ])
        .start();
    let tenant = stack.tenant("traced");
    tenant.aws(&["s3", "mb", "s3://bucket"]);
    tenant.aws(&[
        "s3api",
        "put-object",
        "--bucket",
        "bucket",
        "--key",
        "unspeakable",
    ]);

    // Making a bucket goes from a node to the control plane, and from there to every node.
    let made = find(&collector, "CreateBucket", |span| {
        span.name == "CreateBucket"
    });
    assert_eq!(made.service, "vaultaire-dataplane");
    let booked = find(&collector, "the control plane's part", |span| {
        span.trace == made.trace && span.service == "vaultaire-controlplane"
    });
    assert!(booked.name.starts_with("POST /node/v1/"), "{booked:?}");
    // A change that another one overtakes reaches nodes with the other one's trace; this one is made when all is quiet.
    let (id, mut rate) = (tenant.tenant_id.as_str(), 5000);
    let changed = until(
        "a change is applied on both nodes, in its trace",
        WITHIN,
        || {
            rate += 1;
            stack.ask(&["tenant", "set", id, "--rate", &rate.to_string()]);
            let spans = collector.spans();
            let mut changes = spans
                .iter()
                .filter(|span| span.name.starts_with("PATCH /api/v1/admin/"));
            let applied = |trace: &str| {
                let applies = spans.iter().filter(|span| span.name == "apply");
                applies.filter(|span| span.trace == trace).count()
            };
            changes.find(|change| applied(&change.trace) == 2).cloned()
        },
    );
    assert_eq!(
        changed.attributes["http.route"],
        changed.name["PATCH ".len()..]
    );

    let put = find(&collector, "PutObject", |span| span.name == "PutObject");
    let asked = find(&collector, "the engine's part", |span| {
        span.parent == put.id
    });
    assert_eq!((asked.name.as_str(), &asked.trace), ("engine", &put.trace));
    let told = String::from_utf8_lossy(&collector.bytes()).into_owned();
    for secret in [
        "unspeakable",
        &tenant.access_key_id,
        &tenant.secret_access_key,
        "for-it-alone",
        "traced@example.com",
    ] {
        assert!(!told.contains(secret), "{secret} was exported");
    }
    assert!(
        collector
            .heads()
            .contains("x-collector-token: for-it-alone")
    );
    ends_in_time(stack, &collector);
}

/// What is told last is told before the end, and that is soon.
fn ends_in_time(mut stack: Stack, collector: &Collector) {
    let answer = http::get(&format!("{}/last-of-all", stack.endpoint(1)));
    let answer = answer.expect("it answers");
    assert!(answer.status >= 400);
    let (ok, said) = stack.stop();
    assert!(ok, "{said}");
    let refused = collector.spans().into_iter().rev().find(|span| {
        span.service == "vaultaire-dataplane"
            && span.attributes.get("http.response.status_code") == Some(&answer.status.to_string())
    });
    assert!(refused.is_some(), "{:#?}", collector.spans().last());
}

#[test]
fn a_collector_that_is_gone_and_a_sampler_that_is_off_change_nothing_for_clients() {
    // Nobody listens there any more.
    let gone = format!("http://127.0.0.1:{}", e2e::ports::free(&[0]));
    let stack = Stack::builder()
        .environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &gone)])
        .start();
    let tenant = stack.tenant("untold");
    tenant.aws(&["s3", "mb", "s3://bucket"]);
    tenant.aws(&["s3api", "put-object", "--bucket", "bucket", "--key", "k"]);
    let url = tenant.presign("s3://bucket/k");
    let begun = Instant::now();
    for _ in 0..50 {
        let answer = http::get(&url).expect("it answers");
        assert_eq!(answer.status, 200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let health = format!("http://127.0.0.1:{}/metrics", stack.addresses.s3 + 1);
    until("lost spans are counted", WITHIN, || {
        let text = http::get(&health)?.body;
        let name = "vaultaire_trace_spans_dropped_total{reason=\"collector\"} ";
        let count = text.lines().find_map(|line| line.strip_prefix(name))?;
        (count != "0").then_some(())
    });
    drop(stack);

    let collector = Collector::start();
    let stack = Stack::builder()
        .environment(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
            ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
        ])
        .start();
    let tenant = stack.tenant("unsampled");
    tenant.aws(&["s3", "mb", "s3://bucket"]);
    let asks = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n");
    let answer = http::ask("GET", &stack.endpoint(1), &asks).expect("it answers");
    assert!(answer.status >= 400);
    drop(stack);
    assert!(collector.spans().is_empty());
}
