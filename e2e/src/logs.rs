//! What the planes wrote down: lines of JSON, in which a request can be found by its id, and no secret by anything.

use std::path::Path;

use serde_json::Value;

/// Every line of a log file, as JSON.
#[track_caller]
pub fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).expect("there is a log");
    assert!(!text.is_empty(), "{} is empty", log.display());
    let read = |line: &str| match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        _ => panic!("no JSON object in {}: {line}", log.display()),
    };
    text.lines().map(read).collect()
}

/// The first line that bears this request id, in itself or in its span.
pub fn of_request<'a>(lines: &'a [Value], id: &str) -> Option<&'a Value> {
    let bears = |line: &&Value| line["request_id"] == id || line["span"]["s3_request_id"] == id;
    lines.iter().find(bears)
}

/// Fails when one of these texts is in the log in any place, or in the form that a URL gives it.
#[track_caller]
pub fn holds_none_of(log: &Path, secrets: &[(&str, &str)]) {
    let text = std::fs::read_to_string(log).expect("there is a log");
    for (what, secret) in secrets {
        assert!(secret.len() >= 8, "{what} is too short to look for");
        let encoded = secret
            .replace('/', "%2F")
            .replace('+', "%2B")
            .replace(' ', "%20");
        let found = text
            .lines()
            .find(|line| line.contains(secret) || line.contains(&encoded));
        if let Some(line) = found {
            panic!("{what} is in {}: {line}", log.display());
        }
    }
}
