//! A collector in memory, which takes OTLP over HTTP as others do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::sync::watch;

/// Spans, and all bytes that came.
type Heard = (Vec<Told>, Vec<u8>);

pub struct Collector {
    pub url: String,
    told: watch::Receiver<Heard>,
}

/// A span, as text.
#[derive(Debug, Clone)]
pub struct Told {
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub kind: &'static str,
    pub failed: bool,
    attributes: BTreeMap<String, String>,
}

impl Told {
    /// Empty where it is not there.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    pub async fn start() -> Collector {
        let (tell, told) = watch::channel((Vec::new(), Vec::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::new(tell));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Collector { url, told }
    }

    /// Waits for one such span.
    pub async fn span(&self, which: impl Fn(&Told) -> bool) -> Told {
        let mut told = self.told.clone();
        let waiting = told.wait_for(|(spans, _)| spans.iter().any(&which));
        let found = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        let Ok(found) = found else {
            panic!("no such span among {:#?}", self.told.borrow().0);
        };
        let found = found.unwrap();
        found.0.iter().find(|span| which(span)).unwrap().clone()
    }

    pub fn count(&self, which: impl Fn(&Told) -> bool) -> usize {
        self.told
            .borrow()
            .0
            .iter()
            .filter(|span| which(span))
            .count()
    }

    /// All that ever came.
    pub fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.told.borrow().1).into_owned()
    }
}

async fn take(State(tell): State<Arc<watch::Sender<Heard>>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|of| of.scope_spans);
    let spans: Vec<Told> = scopes.flat_map(|of| of.spans).map(read).collect();
    tell.send_modify(|(told, bytes)| {
        told.extend(spans);
        bytes.extend_from_slice(&body);
    });
}

fn read(span: Span) -> Told {
    let attributes = span.attributes.into_iter().map(|pair| {
        let value = match pair.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (pair.key, value)
    });
    Told {
        name: span.name,
        trace: hex::encode(span.trace_id),
        id: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        kind: match span.kind {
            2 => "server",
            3 => "client",
            5 => "consumer",
            _ => "internal",
        },
        failed: span.status.is_some_and(|status| status.code == 2),
        attributes: attributes.collect(),
    }
}
