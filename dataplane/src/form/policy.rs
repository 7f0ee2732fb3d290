//! The policy of a form: what its owner signed that others may upload. Pure: it looks at the policy, the fields, the
//! file's length and the time.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{Field, Fields};
use crate::error::{Code, S3Error};

/// "ISO8601 GMT": with an offset, or a blank for the T, S3 refuses it.
const EXPIRATION: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

/// Fields that need no condition.
const UNCONDITIONAL: &[&str] = &["file", "policy", "x-amz-signature"];

#[derive(Debug, PartialEq)]
pub struct Policy {
    expiration: DateTime<Utc>,
    conditions: Vec<Condition>,
}

#[derive(Debug, PartialEq)]
enum Condition {
    /// The operator, the field as the policy spells it (with its `$`), and the value.
    Equal(String, String),
    StartsWith(String, String),
    Length(Bound, Bound),
}

/// A bound on the file's length, in bytes. One that is text and no number is met by nothing.
#[derive(Debug, PartialEq)]
struct Bound {
    spelt: Value,
    bytes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    expiration: String,
    conditions: Vec<Value>,
}

impl Policy {
    /// Reads the field `policy`. Whatever cannot be read is `InvalidPolicyDocument`.
    pub fn parse(encoded: &str) -> Result<Policy, S3Error> {
        let bare: Vec<u8> = encoded
            .bytes()
            .filter(|b| !b.is_ascii_whitespace())
            .collect();
        let bytes = STANDARD
            .decode(bare)
            .map_err(|_| invalid("invalid Base64 encoding."))?;
        let text = String::from_utf8(bytes).map_err(|_| invalid("Invalid JSON."))?;
        let document: Document =
            serde_json::from_str(&as_json(&text)).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => invalid(&format!("{error}.")),
                _ => invalid("Invalid JSON."),
            })?;
        let expiration = NaiveDateTime::parse_from_str(&document.expiration, EXPIRATION)
            .map_err(|_| {
                invalid(&format!(
                    "Invalid 'expiration' value: '{}'",
                    document.expiration
                ))
            })?
            .and_utc();
        let conditions = document
            .conditions
            .iter()
            .map(condition)
            .collect::<Result<_, S3Error>>()?;
        Ok(Policy {
            expiration,
            conditions,
        })
    }

    /// Whether this form may be uploaded to this bucket. `length`: of the file, in bytes.
    pub fn check(
        &self,
        fields: &Fields,
        bucket: &str,
        length: u64,
        now: DateTime<Utc>,
    ) -> Result<(), S3Error> {
        if self.expiration <= now {
            return Err(against("Policy expired."));
        }
        for condition in &self.conditions {
            condition.check(fields, bucket, length)?;
        }
        // The bucket is in the path, and wants a condition all the same.
        let bucket = Field {
            name: "bucket".into(),
            value: String::new(),
        };
        match fields
            .0
            .iter()
            .chain([&bucket])
            .find(|field| !self.covers(field))
        {
            Some(extra) => Err(against(&format!("Extra input fields: {}", extra.name))),
            None => Ok(()),
        }
    }

    fn covers(&self, field: &Field) -> bool {
        UNCONDITIONAL.iter().any(|name| field.is(name))
            || field.name.to_ascii_lowercase().starts_with("x-ignore-")
            || self
                .conditions
                .iter()
                .filter_map(Condition::field)
                .any(|name| field.is(name))
    }
}

impl Condition {
    /// The field that it is about. Without a `$` before its name it is about none.
    fn field(&self) -> Option<&str> {
        match self {
            Condition::Equal(name, _) | Condition::StartsWith(name, _) => name.strip_prefix('$'),
            Condition::Length(..) => None,
        }
    }

    fn check(&self, fields: &Fields, bucket: &str, length: u64) -> Result<(), S3Error> {
        // A field that is not there is empty.
        let value = self.field().map(|name| {
            let of_form = || fields.get(name).unwrap_or_default();
            if name.eq_ignore_ascii_case("bucket") {
                bucket
            } else {
                of_form()
            }
        });
        let met = match self {
            Condition::Equal(_, wanted) => value == Some(wanted),
            Condition::StartsWith(name, prefix) => value.is_some_and(|value| {
                if name.eq_ignore_ascii_case("$content-type") {
                    value
                        .split(',')
                        .all(|kind| kind.trim_start().starts_with(prefix))
                } else {
                    value.starts_with(prefix)
                }
            }),
            Condition::Length(least, most) => match (least.bytes, most.bytes) {
                (Some(least), Some(_)) if length < least => {
                    return Err(S3Error::new(Code::EntityTooSmall)
                        .detail("ProposedSize", length.to_string())
                        .detail("MinSizeAllowed", least.to_string()));
                }
                (Some(_), Some(most)) if length > most => {
                    return Err(S3Error::new(Code::EntityTooLarge)
                        .detail("ProposedSize", length.to_string())
                        .detail("MaxSizeAllowed", most.to_string()));
                }
                (least, most) => least.is_some() && most.is_some(),
            },
        };
        if met {
            return Ok(());
        }
        Err(against(&format!("Policy Condition failed: {self}")))
    }
}

/// As S3 writes it, whichever way the policy had it: `["eq", "$acl", "private"]`.
impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |text: &str| Value::from(text);
        match self {
            Condition::Equal(name, value) => {
                write!(f, "[\"eq\", {}, {}]", text(name), text(value))
            }
            Condition::StartsWith(name, prefix) => {
                write!(f, "[\"starts-with\", {}, {}]", text(name), text(prefix))
            }
            Condition::Length(least, most) => {
                write!(
                    f,
                    "[\"content-length-range\", {}, {}]",
                    least.spelt, most.spelt
                )
            }
        }
    }
}

fn condition(value: &Value) -> Result<Condition, S3Error> {
    match value {
        Value::Object(object) => {
            let mut members = object.iter();
            let (Some((name, value)), None) = (members.next(), members.next()) else {
                return Err(invalid(
                    "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                ));
            };
            let value = value
                .as_str()
                .ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?;
            Ok(Condition::Equal(format!("${name}"), value.to_owned()))
        }
        Value::Array(list) => {
            let Some(operator) = list.first() else {
                return Err(invalid("Invalid Condition: missing operation identifier."));
            };
            let operator = operator
                .as_str()
                .ok_or_else(|| invalid("Invalid JSON."))?
                .to_ascii_lowercase();
            operation(&operator, list.get(1..).unwrap_or_default())
        }
        _ => Err(invalid("Invalid condition test: must be a List or Object.")),
    }
}

fn operation(operator: &str, operands: &[Value]) -> Result<Condition, S3Error> {
    if !["eq", "starts-with", "content-length-range"].contains(&operator) {
        return Err(invalid(&format!(
            "Invalid Condition: unknown operation '{operator}'."
        )));
    }
    let [first, second] = operands else {
        return Err(invalid(&format!(
            "Invalid {operator}: wrong number of arguments."
        )));
    };
    if operator == "content-length-range" {
        return Ok(Condition::Length(bound(first)?, bound(second)?));
    }
    let text = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| invalid("Invalid JSON."))
    };
    let (name, value) = (text(first)?, text(second)?);
    Ok(match operator {
        "eq" => Condition::Equal(name, value),
        _ => Condition::StartsWith(name, value),
    })
}

/// S3 takes a number in quotes for the number.
fn bound(value: &Value) -> Result<Bound, S3Error> {
    let bytes = match value {
        Value::Number(number) => Some(number.as_u64().ok_or_else(|| invalid("Invalid JSON."))?),
        Value::String(text) => text.parse().ok(),
        _ => return Err(invalid("Invalid JSON.")),
    };
    Ok(Bound {
        spelt: value.clone(),
        bytes,
    })
}

/// S3's policies know two escapes that JSON does not: `\$` and `\v`.
fn as_json(policy: &str) -> String {
    let mut out = String::with_capacity(policy.len());
    let mut chars = policy.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            _ => match chars.next() {
                Some('$') => out.push('$'),
                Some('v') => out.push_str("\\u000b"),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
        }
    }
    out
}

fn invalid(reason: &str) -> S3Error {
    S3Error::with(
        Code::InvalidPolicyDocument,
        format!("Invalid Policy: {reason}"),
    )
}

fn against(reason: &str) -> S3Error {
    S3Error::with(
        Code::AccessDenied,
        format!("Invalid according to Policy: {reason}"),
    )
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
