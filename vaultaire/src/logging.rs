//! Structured log lines of the planes: JSON on standard error, filtered by `VAULTAIRE_LOG`.
//! It says nothing of its own; what is in a line is the planes' affair.

mod json;
mod lines;

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

use self::json::Plain;
use self::lines::{Flush, Lines};

use crate::settings::Environment;

const DEFAULT: &str = "info,hyper=warn,hyper_util=warn,sqlx=warn,h2=warn,rustls=warn,aws_config=warn,\
                       aws_smithy_runtime=warn,aws_smithy_runtime_api=warn,aws_sdk_s3=warn,reqwest=warn,tungstenite=warn";

/// Lines may come out a moment later, and those of the last moment when the answer is dropped: keep it until the end.
pub fn start(environment: &Environment) -> anyhow::Result<Flush> {
    let (lines, flush) = Lines::start(std::io::stderr())?;
    tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .with_ansi(false)
        .event_format(Plain::new())
        .with_env_filter(filter(environment)?)
        .with_writer(lines)
        .try_init()
        .map_err(|error| anyhow!("Logging cannot start: {error}"))?;
    Ok(flush)
}

fn filter(environment: &Environment) -> anyhow::Result<EnvFilter> {
    let asked = environment.get("VAULTAIRE_LOG").unwrap_or("");
    // A later directive for the same target wins, so that a bare `debug` still leaves the noisy crates quiet.
    let directives = format!("{DEFAULT},{asked}");
    EnvFilter::try_new(directives.trim_end_matches(','))
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
