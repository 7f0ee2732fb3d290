//! The terms of a plan as a form: which figures there are, how each is typed, and what was typed as a change of the plan.

use controlplane::Error;
use controlplane::plans::{Plan, PlanChange};

use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::fields::Pairs;
use crate::figures::{amount, bytes, cents, exact, micros};

/// A figure of a plan's terms: its field, its words, and how it is typed.
pub struct Figure {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub required: bool,
}

const fn needed(name: &'static str, label: &'static str, hint: &'static str) -> Figure {
    Figure {
        name,
        label,
        hint,
        required: true,
    }
}

const fn maybe(name: &'static str, label: &'static str, hint: &'static str) -> Figure {
    Figure {
        name,
        label,
        hint,
        required: false,
    }
}

const NO_LIMIT: &str = "Empty: no limit.";

static FIGURES: [Figure; 17] = [
    needed("name", "Name", "As customers read it."),
    needed("price", "Price a month", "Such as 1499 or 14.99."),
    needed("currency", "Currency", "Three letters, such as usd."),
    maybe("trial_days", "Days of trial", "Empty: it is no trial."),
    needed(
        "storage_bytes",
        "Storage that the price includes",
        "Such as 40 TB; 1 TB is 1,000 GB.",
    ),
    maybe(
        "storage_price_micros",
        "Price of a GB-month beyond",
        "Such as 0.04. Empty: not charged.",
    ),
    maybe(
        "egress_bytes",
        "Data out that the price includes",
        "In a billing period. Empty: not charged.",
    ),
    maybe(
        "egress_price_micros",
        "Price of a GB out beyond",
        "Such as 0.01. Empty: not charged.",
    ),
    maybe("quota_bytes", "Stored at most", NO_LIMIT),
    maybe("quota_objects", "Objects at most", NO_LIMIT),
    maybe(
        "quota_egress_bytes",
        "Data out in a month at most",
        NO_LIMIT,
    ),
    maybe(
        "bytes_per_second",
        "Bandwidth, in bytes a second",
        "Such as 100 MB. Empty: no limit.",
    ),
    needed("requests_per_second", "Requests a second", ""),
    needed(
        "burst",
        "Burst",
        "Requests that may come at once after a quiet while.",
    ),
    maybe("concurrent_requests", "Requests at once", NO_LIMIT),
    needed("bucket_limit", "Buckets at most", ""),
    needed("access_key_limit", "Access keys at most", ""),
];

/// A figure with what stands in its field.
pub struct Input {
    pub figure: &'static Figure,
    pub value: String,
}

/// The form's fields, each with a value by its name.
pub fn inputs(value: impl Fn(&str) -> String) -> Vec<Input> {
    let input = |figure: &'static Figure| Input {
        value: value(figure.name),
        figure,
    };
    FIGURES.iter().map(input).collect()
}

/// What a new plan begins with.
pub fn usual(name: &str) -> String {
    let usual = match name {
        "currency" => "usd",
        "requests_per_second" => "100",
        "burst" => "200",
        "bucket_limit" => "100",
        "access_key_limit" => "500",
        _ => "",
    };
    usual.to_owned()
}

/// As the plan has it, in the words in which it is typed.
pub fn of_plan(plan: &Plan, name: &str) -> String {
    fn text<T: ToString>(figure: Option<T>) -> String {
        figure.map(|figure| figure.to_string()).unwrap_or_default()
    }
    let size = |figure: Option<i64>| figure.map(exact).unwrap_or_default();
    let price = |figure: Option<i64>| figure.map(amount).unwrap_or_default();
    match name {
        "name" => plan.name.clone(),
        "price" => format!("{}.{:02}", plan.price_cents / 100, plan.price_cents % 100),
        "currency" => plan.currency.clone(),
        "trial_days" => text(plan.trial_days),
        "storage_bytes" => exact(plan.storage_bytes),
        "egress_bytes" => size(plan.egress_bytes),
        "storage_price_micros" => price(plan.storage_price_micros),
        "egress_price_micros" => price(plan.egress_price_micros),
        "quota_bytes" => size(plan.quota_bytes),
        "quota_objects" => text(plan.quota_objects),
        "quota_egress_bytes" => size(plan.quota_egress_bytes),
        "requests_per_second" => plan.requests_per_second.to_string(),
        "burst" => plan.burst.to_string(),
        "concurrent_requests" => text(plan.concurrent_requests),
        "bytes_per_second" => size(plan.bytes_per_second),
        "bucket_limit" => plan.bucket_limit.to_string(),
        "access_key_limit" => plan.access_key_limit.to_string(),
        _ => String::new(),
    }
}

/// The form as it was sent.
struct Typed<'a>(&'a Pairs);

impl Typed<'_> {
    /// What is empty is none.
    fn read<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        how: &str,
    ) -> Result<Option<T>, Error> {
        match self.0.get(name).trim() {
            "" => Ok(None),
            text => match read(text) {
                Some(figure) => Ok(Some(figure)),
                None => Err(Error::validation(name, how)),
            },
        }
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let read = |text: &str| text.replace([',', '_'], "").parse().ok();
        self.read(name, read, "Give a whole number.")
    }

    fn size(&self, name: &str) -> Result<Option<i64>, Error> {
        self.read(
            name,
            bytes,
            "Give a size such as 40 TB, or a number of bytes.",
        )
    }

    fn price(&self, name: &str) -> Result<Option<i64>, Error> {
        self.read(name, micros, "Give an amount such as 0.04.")
    }
}

fn there<T>(name: &str, figure: Option<T>) -> Result<Option<T>, Error> {
    match figure {
        None => Err(Error::validation(name, "It is needed.")),
        some => Ok(some),
    }
}

/// The whole form: what is empty is taken away.
pub fn change(fields: &Pairs) -> Result<PlanChange, Error> {
    let typed = Typed(fields);
    let needed = |name: &str| there(name, typed.number(name)?);
    let price = typed.read("price", cents, "Give an amount such as 1499 or 14.99.")?;
    Ok(PlanChange {
        name: Some(fields.get("name").to_owned()),
        price_cents: there("price", price)?,
        currency: Some(fields.get("currency").trim().to_lowercase()),
        storage_bytes: there("storage_bytes", typed.size("storage_bytes")?)?,
        egress_bytes: Some(typed.size("egress_bytes")?),
        storage_price_micros: Some(typed.price("storage_price_micros")?),
        egress_price_micros: Some(typed.price("egress_price_micros")?),
        quota_bytes: Some(typed.size("quota_bytes")?),
        quota_objects: Some(typed.number("quota_objects")?),
        quota_egress_bytes: Some(typed.size("quota_egress_bytes")?),
        requests_per_second: needed("requests_per_second")?,
        burst: needed("burst")?,
        concurrent_requests: Some(typed.number("concurrent_requests")?),
        bytes_per_second: Some(typed.size("bytes_per_second")?),
        trial_days: Some(typed.number("trial_days")?),
        bucket_limit: needed("bucket_limit")?,
        access_key_limit: needed("access_key_limit")?,
        for_sale: Some(fields.is_set("for_sale")),
    })
}

/// A refusal beside the field that it concerns, which may bear another name than the plan's.
pub fn explain(error: Error) -> Result<FormErrors, Failure> {
    let error = match error {
        Error::Validation { field, message } if field == "price_cents" => {
            Error::validation("price", message)
        }
        error => error,
    };
    let mut fields: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
    fields.push("id");
    FormErrors::explain(error, &fields)
}
