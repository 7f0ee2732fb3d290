//! A collector of traces, as an operator has one: it takes OTLP over HTTP and keeps what comes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

/// It ends with the test's process.
pub struct Collector {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    bytes: Vec<u8>,
    /// The heads of the requests.
    heads: String,
}

#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty where it has none.
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let collector = Self {
            endpoint: format!("http://{address}"),
            kept: kept.clone(),
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let kept = kept.clone();
                thread::spawn(move || serve(client, &kept));
            }
        });
        collector
    }

    pub fn spans(&self) -> Vec<Span> {
        self.kept().spans.clone()
    }

    /// All that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.kept().bytes.clone()
    }

    pub fn heads(&self) -> String {
        self.kept().heads.clone()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests of one connection, until one cannot be read.
fn serve(client: TcpStream, kept: &Mutex<Kept>) {
    let Ok(mut answers) = client.try_clone() else {
        return;
    };
    let mut requests = BufReader::new(client);
    while let Some((head, body)) = request(&mut requests) {
        let status = match ExportTraceServiceRequest::decode(body.as_slice()) {
            Ok(told) if head.starts_with("POST /v1/traces ") => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.spans.extend(spans(told));
                kept.bytes.extend(body);
                kept.heads.push_str(&head);
                "200 OK"
            }
            _ => "400 Bad Request",
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(from: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let begin = head.len();
        from.read_line(&mut head).ok().filter(|read| *read > 0)?;
        let line = head[begin..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn spans(told: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_process in told.resource_spans {
        let resource = of_process.resource.unwrap_or_default();
        let service = text(resource.attributes).remove("service.name");
        let of_process = of_process.scope_spans.into_iter().flat_map(|of| of.spans);
        spans.extend(of_process.map(|span| Span {
            service: service.clone().unwrap_or_default(),
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            attributes: text(span.attributes),
        }));
    }
    spans
}

fn text(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = attributes.into_iter().map(|pair| {
        let value = match pair.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (pair.key, value)
    });
    pairs.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
