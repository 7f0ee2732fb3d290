//! What this node did: figures for Prometheus, and one log line for each answer. Bounded: by operation and status
//! class, by tenant for the busiest alone, never by bucket or key.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use tracing::Span;

use telemetry::Histogram;

use crate::busiest::Busiest;
use crate::journal::Unwritable;
use crate::limits::UnderWay;
use crate::operation::Operation;
use crate::patience::Active;
use crate::payload::Outcome;
use crate::tenants::Tenant;
use crate::usage::Meter;

const CLASSES: usize = 5;

/// Counters since the start of the process.
pub struct Metrics {
    /// By operation (the last row: requests that were given no name) and status class (1xx … 5xx).
    requests: Vec<[AtomicU64; CLASSES]>,
    /// By operation, as `requests`.
    durations: Vec<Histogram>,
    busiest: Busiest,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Metrics {
    /// With so many tenants by name.
    pub fn new(tenants: usize) -> Self {
        let rows = 0..=Operation::ALL.len();
        Metrics {
            requests: rows.clone().map(|_| Default::default()).collect(),
            durations: rows.map(|_| Histogram::default()).collect(),
            busiest: Busiest::new(tenants),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    fn count(&self, account: &Account, bytes_in: u64, took: Duration) {
        let (status, bytes_out) = (account.status, account.sent);
        let operation = account.operation;
        let row = operation.map_or(Operation::ALL.len(), |operation| operation as usize);
        let class = (usize::from(status.as_u16()) / 100).clamp(1, CLASSES) - 1;
        if let Some(durations) = self.durations.get(row) {
            durations.count(took);
        }
        if let Some(tenant) = &account.tenant {
            self.busiest.count(tenant.id(), status, bytes_in, bytes_out);
        }
        if let Some(counter) = self
            .requests
            .get(row)
            .and_then(|classes| classes.get(class))
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
    }

    /// The text format of Prometheus.
    pub fn render(&self) -> String {
        let mut out = String::from(
            "# HELP vaultaire_requests_total Requests answered.\n# TYPE vaultaire_requests_total counter\n",
        );
        for (name, classes) in names().zip(&self.requests) {
            for (class, counter) in classes.iter().enumerate() {
                let value = counter.load(Ordering::Relaxed);
                if value > 0 {
                    let _ = writeln!(
                        out,
                        "vaultaire_requests_total{{operation=\"{name}\",status=\"{}xx\"}} {value}",
                        class + 1
                    );
                }
            }
        }
        for (name, help, value) in [
            (
                "vaultaire_received_bytes_total",
                "Bytes of object data received from clients.",
                &self.bytes_in,
            ),
            (
                "vaultaire_sent_bytes_total",
                "Bytes of bodies sent to clients.",
                &self.bytes_out,
            ),
        ] {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(
                out,
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"
            );
        }
        let name = "vaultaire_request_duration_seconds";
        let _ = writeln!(
            out,
            "# HELP {name} From the head of a request to the last byte of its answer.\n# TYPE {name} histogram"
        );
        for (operation, durations) in names().zip(&self.durations) {
            durations.render(&mut out, name, &format!("operation=\"{operation}\""));
        }
        self.busiest.render(&mut out, Instant::now());
        out
    }
}

/// Of the rows.
fn names() -> impl Iterator<Item = &'static str> {
    let operations = Operation::ALL.iter().map(|operation| operation.name());
    operations.chain(["none"])
}

/// What one request came to. Written down once, when its answer has ended, however it ended.
pub struct Account {
    metrics: Arc<Metrics>,
    started: Instant,
    pub request_id: String,
    pub method: http::Method,
    pub operation: Option<Operation>,
    pub tenant: Option<Arc<Tenant>>,
    pub status: StatusCode,
    /// The error's code, for refusals.
    pub code: Option<&'static str>,
    pub received: Option<Arc<Outcome>>,
    pub under_way: Option<UnderWay>,
    pub active: Option<Active>,
    /// Of an admitted request that is not in the journal yet.
    pub meter: Option<Meter>,
    /// Disabled where the request is not traced.
    pub span: Span,
    sent: u64,
    broken: bool,
}

impl Account {
    pub fn open(
        metrics: Arc<Metrics>,
        request_id: String,
        method: http::Method,
        started: Instant,
    ) -> Self {
        Account {
            metrics,
            started,
            request_id,
            method,
            operation: None,
            tenant: None,
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: None,
            received: None,
            under_way: None,
            active: None,
            meter: None,
            span: Span::none(),
            sent: 0,
            broken: false,
        }
    }

    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Whether the next piece of the answer is the client's to take.
    pub fn sends(&mut self, sending: bool) {
        if let Some(active) = &mut self.active {
            active.sends(sending);
        }
    }

    /// Writes the request down as answered with `further` bytes more than were sent, unless that was done before.
    pub fn book(&mut self, further: u64) -> Result<(), Unwritable> {
        let Some(mut meter) = self.meter.take() else {
            return Ok(());
        };
        let booking = AssertUnwindSafe(|| meter.book(self.sent + further));
        catch_unwind(booking).unwrap_or_else(|_| {
            self.panicked();
            // It is no answer that counts. What it changed is booked when the account is closed.
            meter.counts = false;
            self.meter = Some(meter);
            Err(Unwritable)
        })
    }

    pub fn panicked(&self) {
        tracing::error!(request_id = self.request_id, "a request panicked");
    }

    pub fn broke(&mut self) {
        self.broken = true;
    }

    /// What the trace says of the request.
    fn trace(&self, received: u64) {
        let span = &self.span;
        if span.is_disabled() {
            return;
        }
        telemetry::name(span, self.operation.map_or("none", Operation::name));
        span.record("vaultaire.request_id", self.request_id.as_str());
        if let Some(tenant) = &self.tenant {
            span.record("vaultaire.tenant_id", tenant.id());
        }
        span.record("http.request.body.size", received);
        span.record("http.response.body.size", self.sent);
        telemetry::status(span, self.status);
        match (self.code, self.broken) {
            (_, true) => telemetry::failed(span, "broken"),
            (Some(code), false) => {
                span.record("error.type", code);
            }
            (None, false) => {}
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // An answer that broke off, or that nobody waited for.
        let _ = self.book(0);
        let received = self
            .received
            .as_ref()
            .map_or(0, |outcome| outcome.received());
        let took = self.started.elapsed();
        self.metrics.count(self, received, took);
        self.trace(received);
        tracing::info!(
            request_id = self.request_id,
            tenant = self.tenant.as_ref().map_or("-", |tenant| tenant.id()),
            method = self.method.as_str(),
            operation = self.operation.map_or("-", Operation::name),
            status = self.status.as_u16(),
            code = self.code.unwrap_or("-"),
            bytes_in = received,
            bytes_out = self.sent,
            broken = self.broken,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::tests::{document, id};

    #[test]
    fn an_account_is_counted_once() {
        let metrics = Arc::new(Metrics::new(1));
        let mut account = Account::open(
            metrics.clone(),
            "ID".into(),
            http::Method::GET,
            Instant::now(),
        );
        account.operation = Some(Operation::GetObject);
        account.tenant = Some(Arc::new(Tenant {
            document: document(1, 1, Vec::new()),
        }));
        account.status = StatusCode::OK;
        account.sent(5);
        drop(account);
        let text = metrics.render();
        assert!(
            text.contains("vaultaire_requests_total{operation=\"GetObject\",status=\"2xx\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("vaultaire_sent_bytes_total 5\n"), "{text}");
        for line in [
            "vaultaire_request_duration_seconds_count{operation=\"GetObject\"} 1\n",
            "vaultaire_tenant_requests_total{tenant=\"T\",status=\"2xx\"} 1\n",
            "vaultaire_tenant_sent_bytes_total{tenant=\"T\"} 5\n",
        ] {
            let line = line.replace("\"T\"", &format!("\"{}\"", id(1)));
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(!text.contains("HeadObject"), "{text}");
    }
}
