//! What the planes tell: log lines, JSON on standard error, filtered by `VAULTAIRE_LOG`; and traces, where a collector is
//! named. It says nothing of its own; what is in a line is the planes' affair.

mod json;
mod lines;

use anyhow::anyhow;
use telemetry::Exporting;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use self::json::Plain;
use self::lines::{Flush, Lines};

use crate::settings::Environment;

const DEFAULT: &str = "info,hyper=warn,hyper_util=warn,sqlx=warn,h2=warn,rustls=warn,aws_config=warn,\
                       aws_smithy_runtime=warn,aws_smithy_runtime_api=warn,aws_sdk_s3=warn,reqwest=warn,tungstenite=warn";

/// What is told last comes out when this is dropped: first the spans, then the lines.
pub struct Told {
    _traces: Option<Exporting>,
    _lines: Flush,
}

/// Lines and spans may come out a moment later, and those of the last moment when the answer is dropped: keep it until
/// the end.
pub fn start(environment: &Environment, plane: &'static str) -> anyhow::Result<Told> {
    let traces = telemetry::Settings::read(plane, |name| environment.get(name))?;
    let filter = filter(environment)?;
    let (lines, flush) = Lines::start(std::io::stderr())?;
    let (started, exporting) = match traces {
        None => {
            let logs = tracing_subscriber::fmt()
                .fmt_fields(JsonFields::new())
                .with_ansi(false)
                .event_format(Plain::new())
                .with_env_filter(filter)
                .with_writer(lines);
            (logs.try_init().map_err(|error| anyhow!(error)), None)
        }
        Some(traces) => {
            let (spans, exporting) = telemetry::start(traces)?;
            let logs = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .with_writer(lines)
                .with_filter(filter);
            let both = tracing_subscriber::registry().with(logs).with(spans);
            (both.try_init().map_err(Into::into), Some(exporting))
        }
    };
    started.map_err(|error| anyhow!("Logging cannot start: {error}"))?;
    Ok(Told {
        _traces: exporting,
        _lines: flush,
    })
}

fn filter(environment: &Environment) -> anyhow::Result<EnvFilter> {
    let asked = environment.get("VAULTAIRE_LOG").unwrap_or("");
    // A later directive for the same target wins, so that a bare `debug` still leaves the noisy crates quiet.
    // What is traced is no log line, whatever is asked for.
    let asked_for = asked.trim_end_matches(',');
    let directives = format!("{DEFAULT},{asked_for},{}=off", telemetry::TARGET);
    EnvFilter::try_new(directives.replace(",,", ","))
        .map_err(|error| anyhow!("VAULTAIRE_LOG is {asked:?}, which is no log filter: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::test_environment;

    #[test]
    fn a_filter_is_taken_or_refused_in_one_sentence() {
        for good in ["", "debug", "info,dataplane=debug"] {
            assert!(
                filter(&test_environment(&[("VAULTAIRE_LOG", good)])).is_ok(),
                "{good}"
            );
        }
        let refused = filter(&test_environment(&[(
            "VAULTAIRE_LOG",
            "info,dataplane=loud",
        )]))
        .unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("VAULTAIRE_LOG is \"info,dataplane=loud\""),
            "{refused}"
        );
    }
}
