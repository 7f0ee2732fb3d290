//! Figures of the busiest tenants, and of all others together: so many series, however many tenants there are, and memory
//! to match. Counting one of the busiest takes no lock.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use http::StatusCode;

const CLASSES: usize = 5;
/// A tenant stays for so long before another may take its place.
const STAYS: Duration = Duration::from_secs(60);
/// Candidates that are watched for each place.
const CANDIDATES: usize = 4;

#[derive(Default)]
struct Figures {
    /// By status class (1xx … 5xx).
    requests: [AtomicU64; CLASSES],
    received: AtomicU64,
    sent: AtomicU64,
    /// Requests when places were last given out.
    before: AtomicU64,
}

impl Figures {
    fn count(&self, status: StatusCode, received: u64, sent: u64) {
        let class = (usize::from(status.as_u16()) / 100).clamp(1, CLASSES) - 1;
        if let Some(requests) = self.requests.get(class) {
            requests.fetch_add(1, Ordering::Relaxed);
        }
        self.received.fetch_add(received, Ordering::Relaxed);
        self.sent.fetch_add(sent, Ordering::Relaxed);
    }

    fn all(&self) -> u64 {
        let requests = self.requests.iter();
        requests.map(|n| n.load(Ordering::Relaxed)).sum()
    }
}

type Places = HashMap<String, Arc<Figures>, RandomState>;

/// See the module.
pub struct Busiest {
    places: usize,
    named: ArcSwap<Places>,
    others: Figures,
    watched: Mutex<Watched>,
}

/// Who may come to have a place.
struct Watched {
    /// Requests since places were last given out. The least of them makes room for a newcomer, who inherits its count:
    /// whoever has more than its share of requests is among them
    /// (Metwally et al., <https://www.cs.ucsb.edu/sites/default/files/documents/2005-23.pdf>).
    candidates: Vec<(String, u64)>,
    since: Instant,
}

impl Busiest {
    /// With so many tenants by name.
    pub fn new(places: usize) -> Self {
        Busiest {
            places,
            named: ArcSwap::default(),
            others: Figures::default(),
            watched: Mutex::new(Watched {
                candidates: Vec::new(),
                since: Instant::now(),
            }),
        }
    }

    pub fn count(&self, tenant: &str, status: StatusCode, received: u64, sent: u64) {
        if let Some(figures) = self.named.load().get(tenant) {
            return figures.count(status, received, sent);
        }
        if self.places == 0 {
            return self.others.count(status, received, sent);
        }
        // Whoever finds it taken is watched next time.
        let mut watched = match self.watched.try_lock() {
            Ok(watched) => watched,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return self.others.count(status, received, sent),
        };
        let named = self.named.load_full();
        if named.len() < self.places {
            let mut more = Places::clone(&named);
            let figures = more.entry(tenant.to_owned()).or_default();
            figures.count(status, received, sent);
            self.named.store(Arc::new(more));
            return;
        }
        watched.see(tenant, self.places * CANDIDATES);
        self.others.count(status, received, sent);
    }

    /// Gives places to candidates that had more than twice the requests of who has them, since that was last done.
    fn give_out(&self, now: Instant) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(watched.since) < STAYS {
            return;
        }
        watched.since = now;
        let named = self.named.load_full();
        let mut lately: Vec<(&String, u64)> = named
            .iter()
            .map(|(tenant, figures)| {
                let all = figures.all();
                (
                    tenant,
                    all - figures.before.swap(all, Ordering::Relaxed).min(all),
                )
            })
            .collect();
        lately.sort_unstable_by_key(|(_, requests)| *requests);
        let mut candidates = std::mem::take(&mut watched.candidates);
        candidates.sort_unstable_by_key(|(_, requests)| std::cmp::Reverse(*requests));
        let mut next = Places::clone(&named);
        for ((tenant, requests), (newcomer, asked)) in lately.into_iter().zip(candidates) {
            if asked <= requests.saturating_mul(2) {
                break;
            }
            next.remove(tenant);
            next.insert(newcomer, Arc::default());
        }
        self.named.store(Arc::new(next));
    }

    /// In Prometheus's text format.
    pub fn render(&self, out: &mut String, now: Instant) {
        self.give_out(now);
        let named = self.named.load_full();
        let mut all: Vec<(&str, &Figures)> = named
            .iter()
            .map(|(tenant, figures)| (tenant.as_str(), &**figures))
            .chain([("other", &self.others)])
            .collect();
        all.sort_unstable_by_key(|(tenant, _)| *tenant);
        let name = "vaultaire_tenant_requests_total";
        let _ = writeln!(
            out,
            "# HELP {name} Requests answered, of the busiest tenants and of all others.\n# TYPE {name} counter"
        );
        for (tenant, figures) in &all {
            for (class, requests) in (1..).zip(&figures.requests) {
                let requests = requests.load(Ordering::Relaxed);
                if requests > 0 {
                    let _ = writeln!(
                        out,
                        "{name}{{tenant=\"{tenant}\",status=\"{class}xx\"}} {requests}"
                    );
                }
            }
        }
        let mut bytes = |name: &str, help: &str, figure: fn(&Figures) -> &AtomicU64| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
            for (tenant, figures) in &all {
                let bytes = figure(figures).load(Ordering::Relaxed);
                let _ = writeln!(out, "{name}{{tenant=\"{tenant}\"}} {bytes}");
            }
        };
        bytes(
            "vaultaire_tenant_received_bytes_total",
            "Bytes of object data received, of the busiest tenants and of all others.",
            |figures| &figures.received,
        );
        bytes(
            "vaultaire_tenant_sent_bytes_total",
            "Bytes of bodies sent, of the busiest tenants and of all others.",
            |figures| &figures.sent,
        );
    }
}

impl Watched {
    fn see(&mut self, tenant: &str, most: usize) {
        let candidates = &mut self.candidates;
        if let Some(known) = candidates.iter_mut().find(|known| known.0 == tenant) {
            known.1 += 1;
            return;
        }
        if candidates.len() < most {
            candidates.push((tenant.to_owned(), 1));
        } else if let Some(least) = candidates.iter_mut().min_by_key(|(_, requests)| *requests) {
            least.0.clear();
            least.0.push_str(tenant);
            least.1 += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: StatusCode = StatusCode::OK;

    fn series(busiest: &Busiest, now: Instant) -> Vec<String> {
        let mut text = String::new();
        busiest.render(&mut text, now);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_hundred_thousand_tenants_are_so_many_series_and_every_request_is_in_one() {
        let busiest = Busiest::new(20);
        for round in 0..2 {
            for n in 0..50_000 {
                busiest.count(&format!("{round}-{n:030}"), OK, 1, 2);
            }
        }
        let series = series(&busiest, Instant::now());
        assert_eq!(series.len(), 3 * 21);
        let sum = |name: &str| -> u64 {
            let of_it = series.iter().filter(|line| line.starts_with(name));
            of_it
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum()
        };
        assert_eq!(sum("vaultaire_tenant_requests_total"), 100_000);
        assert_eq!(sum("vaultaire_tenant_received_bytes_total"), 100_000);
        assert_eq!(sum("vaultaire_tenant_sent_bytes_total"), 200_000);
        assert_eq!(busiest.watched.lock().unwrap().candidates.len(), 80);
    }

    #[test]
    fn who_is_busy_gets_a_place_among_many_and_who_is_not_loses_it() {
        let begun = Instant::now();
        let busiest = Busiest::new(2);
        busiest.count("early", OK, 0, 0);
        for _ in 0..1000 {
            busiest.count("steady", OK, 0, 0);
        }
        for n in 0..1000 {
            busiest.count("busy", OK, 0, 0);
            busiest.count(&format!("one-of-many-{n}"), OK, 0, 0);
        }
        let named = |line: &str| series(&busiest, begun).iter().any(|one| one.contains(line));
        assert!(
            named("tenant=\"early\"") && !named("tenant=\"busy\""),
            "too early"
        );
        series(&busiest, begun + STAYS * 2);
        assert!(named("tenant=\"steady\"") && !named("tenant=\"early\""));
        assert!(named("tenant=\"busy\""));
    }

    #[test]
    fn with_no_places_all_are_others() {
        let busiest = Busiest::new(0);
        busiest.count("a", StatusCode::NOT_FOUND, 3, 4);
        let series = series(&busiest, Instant::now());
        assert_eq!(
            series,
            [
                "vaultaire_tenant_requests_total{tenant=\"other\",status=\"4xx\"} 1",
                "vaultaire_tenant_received_bytes_total{tenant=\"other\"} 3",
                "vaultaire_tenant_sent_bytes_total{tenant=\"other\"} 4",
            ]
        );
    }
}
