//! What OpenTelemetry's standard variables say
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>). Reads no environment itself.

use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

/// Where traces go, and which.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The URL that spans are posted to.
    pub(crate) endpoint: String,
    pub(crate) chance: Chance,
    service: String,
    /// `controlplane` or `dataplane`.
    plane: &'static str,
    attributes: Vec<(String, String)>,
}

/// A variable that cannot be used, in one sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// How many of 2^64 requests are sampled; 2^64 itself is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chance(Option<u64>);

impl Chance {
    fn of(ratio: f64) -> Self {
        if ratio >= 1.0 {
            return Chance(None);
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a ratio below 1 of 2^64 is a u64"
        )]
        Chance(Some((ratio * u64::MAX as f64) as u64))
    }

    /// `draw` is even in all of its range.
    pub(crate) fn takes(self, draw: u64) -> bool {
        self.0.is_none_or(|below| draw < below)
    }
}

impl Settings {
    /// `None`: nothing is to be traced. `get` says what a variable is set to.
    pub fn read<'a>(
        plane: &'static str,
        get: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<Settings>, Wrong> {
        if get("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let own = get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(str::to_owned);
        let common = get("OTEL_EXPORTER_OTLP_ENDPOINT")
            .map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
        let Some(endpoint) = own.or(common) else {
            return Ok(None);
        };
        if !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
            || endpoint.parse::<http::Uri>().is_err()
        {
            return Err(Wrong(format!(
                "OTEL_EXPORTER_OTLP_ENDPOINT or _TRACES_ENDPOINT leads to {endpoint:?}, which is no http:// or https:// URL."
            )));
        }
        let Some(chance) = chance(get("OTEL_TRACES_SAMPLER"), get("OTEL_TRACES_SAMPLER_ARG"))?
        else {
            return Ok(None);
        };
        let service =
            get("OTEL_SERVICE_NAME").map_or_else(|| format!("vaultaire-{plane}"), str::to_owned);
        Ok(Some(Settings {
            endpoint,
            chance,
            service,
            plane,
            attributes: attributes(get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or(""))?,
        }))
    }

    pub(crate) fn resource(&self) -> Resource {
        let told = self.attributes.iter().cloned();
        let told = told.map(|(name, value)| KeyValue::new(name, value));
        let own = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("vaultaire.plane", self.plane),
        ];
        Resource::builder_empty()
            .with_attributes(own.into_iter().chain(told))
            .with_service_name(self.service.clone())
            .build()
    }
}

/// `None`: nothing is sampled. What a caller says of itself counts with no sampler, so that `parentbased_` changes nothing.
fn chance(sampler: Option<&str>, argument: Option<&str>) -> Result<Option<Chance>, Wrong> {
    let sampler = sampler.unwrap_or("parentbased_always_on");
    let ratio = match sampler.strip_prefix("parentbased_").unwrap_or(sampler) {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => argument
            .map_or(Ok(1.0), str::parse)
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .ok_or_else(|| {
                let argument = argument.unwrap_or("");
                Wrong(format!(
                    "OTEL_TRACES_SAMPLER_ARG is {argument:?}; it is a number from 0 to 1."
                ))
            })?,
        _ => {
            return Err(Wrong(format!(
                "OTEL_TRACES_SAMPLER is {sampler:?}; it can be always_on, always_off or traceidratio, each also with parentbased_ before it."
            )));
        }
    };
    Ok((ratio > 0.0).then(|| Chance::of(ratio)))
}

/// `name=value`, separated by commas, values percent-encoded where they have to be.
fn attributes(text: &str) -> Result<Vec<(String, String)>, Wrong> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Wrong(format!(
                    "OTEL_RESOURCE_ATTRIBUTES has {pair:?}, which is no name=value."
                ))
            })?;
            let value = percent_encoding::percent_decode_str(value.trim());
            Ok((
                name.trim().to_owned(),
                value.decode_utf8_lossy().into_owned(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &'static str)]) -> Result<Option<Settings>, Wrong> {
        Settings::read("dataplane", |name| {
            pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
        })
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/");

    #[test]
    fn nothing_is_traced_unless_a_collector_is_named() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OTEL_SERVICE_NAME", "s3")]).unwrap().is_none());
        assert!(
            read(&[BASE, ("OTEL_SDK_DISABLED", "true")])
                .unwrap()
                .is_none()
        );
        assert!(
            read(&[BASE, ("OTEL_TRACES_SAMPLER", "always_off")])
                .unwrap()
                .is_none()
        );
        let named = read(&[BASE]).unwrap().unwrap();
        assert_eq!(named.endpoint, "http://127.0.0.1:4318/v1/traces");
        let own = (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://traces.example/in",
        );
        assert_eq!(read(&[BASE, own]).unwrap().unwrap().endpoint, own.1);
    }

    #[test]
    fn what_cannot_be_used_is_said_at_the_start() {
        for wrong in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment"),
        ] {
            let said = read(&[wrong, BASE]).unwrap_err().to_string();
            assert!(said.contains(wrong.0), "{said}");
        }
        let ratio = ("OTEL_TRACES_SAMPLER", "traceidratio");
        assert!(read(&[BASE, ratio, ("OTEL_TRACES_SAMPLER_ARG", "1.5")]).is_err());
        assert!(read(&[BASE, ratio, ("OTEL_TRACES_SAMPLER_ARG", "0.5")]).is_ok());
    }

    #[test]
    fn a_ratio_is_the_part_that_is_taken() {
        assert!(Chance::of(1.0).takes(u64::MAX));
        let tenth = Chance::of(0.1);
        assert!(tenth.takes(u64::MAX / 11) && !tenth.takes(u64::MAX / 9));
        assert!(!Chance::of(0.0).takes(0));
    }

    #[test]
    fn a_resource_says_who_it_is() {
        let told = (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment=a%2Cb, region = eu ",
        );
        let resource = read(&[BASE, told]).unwrap().unwrap().resource();
        let value = |name: &'static str| resource.get(&name.into()).map(|v| v.to_string());
        assert_eq!(
            value("service.name").as_deref(),
            Some("vaultaire-dataplane")
        );
        assert_eq!(value("deployment.environment").as_deref(), Some("a,b"));
        assert_eq!(value("region").as_deref(), Some("eu"));
        let named = read(&[BASE, ("OTEL_SERVICE_NAME", "s3")]).unwrap().unwrap();
        let name = named.resource().get(&"service.name".into());
        assert_eq!(name.map(|v| v.to_string()).as_deref(), Some("s3"));
    }
}
