//! What the planes say under `/metrics`, what `docs/METRICS.md` says of it, and what `deploy/` looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use e2e::{Client, Stack, http, until};

const WITHIN: Duration = Duration::from_secs(30);

/// By plane and name: type, and names of labels.
type Metrics = BTreeMap<(String, String), (String, BTreeSet<String>)>;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).expect(path)
}

fn documented() -> Metrics {
    let text = read("docs/METRICS.md");
    let mut metrics = Metrics::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("| `vaultaire_"))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, plane, kind, unit, labels, meaning, _] = cells[..] else {
            panic!("{line}");
        };
        assert!(!unit.is_empty() && !meaning.is_empty(), "{line}");
        let labels = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`'));
        let labels: BTreeSet<String> = labels
            .filter(|l| !l.is_empty())
            .map(str::to_owned)
            .collect();
        let planes = match plane {
            "both" => &["data", "control"][..],
            other => &[other],
        };
        for plane in planes {
            let key = (plane.to_string(), name.trim_matches('`').to_owned());
            let before = metrics.insert(key, (kind.to_owned(), labels.clone()));
            assert!(before.is_none(), "{name} is there twice");
        }
    }
    metrics
}

/// Also that the text is what Prometheus reads: a type before its samples, and no other sample.
fn scraped(plane: &str, text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').expect(line);
            let key = (plane.to_owned(), name.to_owned());
            let before = metrics.insert(key, (kind.to_owned(), BTreeSet::new()));
            assert!(before.is_none(), "{name} has two types");
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (sample, labels) = series.split_once('{').unwrap_or((series, ""));
        let of = |name: &str| metrics.contains_key(&(plane.to_owned(), name.to_owned()));
        let suffixes = ["_bucket", "_sum", "_count"];
        let base = suffixes
            .iter()
            .find_map(|suffix| sample.strip_suffix(suffix));
        let name = base.filter(|base| of(base)).unwrap_or(sample);
        let metric = metrics.get_mut(&(plane.to_owned(), name.to_owned()));
        let (_, names) = metric.unwrap_or_else(|| panic!("{line} has no type"));
        for label in labels
            .trim_end_matches('}')
            .split("\",")
            .filter(|l| !l.is_empty())
        {
            let (label, _) = label.split_once('=').expect(line);
            names.extend((label != "le").then(|| label.to_owned()));
        }
    }
    metrics
}

fn sum(text: &str, begin: &str) -> f64 {
    let series = text.lines().filter(|line| line.starts_with(begin));
    series
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn every_metric_is_documented_bounded_and_looked_at() {
    let stack = Stack::builder()
        .environment(&[("VAULTAIRE_METRICS_TENANTS", "2")])
        .start();
    let health =
        |port: u16| move || Some(http::get(&format!("http://127.0.0.1:{port}/metrics"))?.body);
    let (data, control) = (
        health(stack.addresses.s3 + 1),
        health(stack.addresses.http + 1),
    );
    let tenant = stack.busy_tenant("first");
    tenant.aws(&["s3", "mb", "s3://bucket"]);
    tenant.aws(&["s3api", "put-object", "--bucket", "bucket", "--key", "k"]);
    let counted = until("requests are counted", WITHIN, || {
        data().filter(|text| sum(text, "vaultaire_tenant_requests_total{tenant=\"") > 1.0)
    });
    let put = "vaultaire_request_duration_seconds_count{operation=\"PutObject\"}";
    assert_eq!(sum(&counted, put), 1.0);
    let own = format!(
        "vaultaire_tenant_requests_total{{tenant=\"{}\"",
        tenant.tenant_id
    );
    assert!(sum(&counted, &own) >= 2.0);

    let mut is = scraped("data", &data().expect("it answers"));
    is.extend(scraped("control", &control().expect("it answers")));
    assert_eq!(
        is,
        documented(),
        "docs/METRICS.md (right) and /metrics (left)"
    );
    bounded(&stack, &tenant, &data, &control);

    let named = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words
            .filter(|word| word.starts_with("vaultaire_"))
            .map(str::to_owned)
            .collect()
    };
    let charts =
        named(&(read("deploy/prometheus/rules.yml") + &read("deploy/grafana/vaultaire.json")));
    let known: BTreeSet<String> = documented().into_keys().map(|(_, name)| name).collect();
    let bare = |name: &String| {
        let suffixes = ["_bucket", "_count"];
        let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
        let base = base.filter(|base| known.contains(*base));
        base.unwrap_or(name).to_owned()
    };
    let looked_at: BTreeSet<String> = charts.iter().map(bare).collect();
    assert_eq!(
        looked_at.difference(&known).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    let unseen: Vec<&String> = known.difference(&looked_at).collect();
    assert_eq!(
        unseen,
        ["vaultaire_node_revision"],
        "on no panel and in no alert"
    );
}

/// Made-up paths, methods and operations, and more tenants than have places, add no series of their own.
fn bounded(
    stack: &Stack,
    tenant: &Client,
    data: &impl Fn() -> Option<String>,
    control: &impl Fn() -> Option<String>,
) {
    for name in ["second", "third", "fourth"] {
        stack.tenant(name).aws_fails(&["s3", "ls", "s3://none"]);
    }
    let made_up = |n: usize| {
        for (base, method) in [
            (stack.endpoint(1), "GET"),
            (stack.endpoint(1), "BREW"),
            (stack.web(), "GET"),
            (stack.web(), "BREW"),
        ] {
            let url = format!("{base}/made-up-{n}?made-up-{n}");
            assert!(http::ask(method, &url, "").expect("it answers").status >= 400);
        }
        let below = format!("{}/api/v1/admin/tenants/made-up-{n}", stack.web());
        assert!(http::get(&below).expect("it answers").status >= 400);
    };
    made_up(0);
    let text = until("the others are counted", WITHIN, || {
        data().filter(|text| sum(text, "vaultaire_tenant_requests_total{tenant=\"other\"") > 0.0)
    });
    assert!(text.contains(&tenant.tenant_id));
    let tenants = text
        .lines()
        .filter(|line| line.starts_with("vaultaire_tenant_sent_bytes_total{"));
    assert_eq!(tenants.count(), 3, "{text}");
    let count = || series(&data().unwrap_or_default()) + series(&control().unwrap_or_default());
    let before = count();
    for n in 1..500 {
        made_up(n);
    }
    let after = control().expect("it answers");
    assert!(!after.contains("made-up") && !after.contains("BREW"));
    // They were seen: under one name for all.
    assert!(
        sum(&after, "vaultaire_http_requests_total{method=\"_OTHER\"") >= 500.0,
        "{after}"
    );
    assert!(
        sum(
            &after,
            "vaultaire_http_requests_total{method=\"GET\",route=\"/api/v1/admin/tenants/{id}\""
        ) >= 500.0
    );
    assert!(count() <= before, "{} and then {}", before, count());
}
