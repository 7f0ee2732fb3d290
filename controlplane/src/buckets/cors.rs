//! What S3 takes as a CORS configuration. Nodes check it first; here it is checked because everybody's nodes get it.

use http::{HeaderName, StatusCode};
use wire::CorsRule;

use crate::Error;

const MAX_RULES: usize = 100;
/// Of all texts together, as of S3's whole document.
const MAX_BYTES: usize = 64 * 1024;
/// Characters.
const MAX_ID: usize = 255;
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

/// `MalformedXML` where the document has not the form that S3's schema asks for, `InvalidRequest` for a value that S3
/// does not take: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSRule.html>
pub(super) fn check(rules: &[CorsRule]) -> Result<(), Error> {
    if rules.len() > MAX_RULES {
        return Err(malformed(format!(
            "A CORS configuration has at most {MAX_RULES} rules."
        )));
    }
    if rules.iter().map(size).sum::<usize>() > MAX_BYTES {
        return Err(malformed(format!(
            "A CORS configuration has at most {MAX_BYTES} bytes."
        )));
    }
    rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &CorsRule) -> Result<(), Error> {
    if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
        let message = "Each CORS rule names at least one AllowedOrigin and one AllowedMethod.";
        return Err(malformed(message.to_owned()));
    }
    let long = |id: &String| id.chars().count() > MAX_ID || id.chars().any(char::is_control);
    if rule.id.as_ref().is_some_and(long) {
        return Err(malformed(format!(
            "The ID of a CORS rule has at most {MAX_ID} characters, none of them a control character."
        )));
    }
    for method in &rule.allowed_methods {
        if !METHODS.contains(&method.as_str()) {
            return Err(invalid(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {}",
                shown(method)
            )));
        }
    }
    for origin in &rule.allowed_origins {
        one_wildcard("AllowedOrigin", origin)?;
        if origin.is_empty() || !origin.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(unusable("AllowedOrigin", origin));
        }
    }
    for header in &rule.allowed_headers {
        one_wildcard("AllowedHeader", header)?;
        if header != "*" && !is_header(&header.replace('*', "")) {
            return Err(unusable("AllowedHeader", header));
        }
    }
    for header in &rule.expose_headers {
        // `*` may stand in a header's name, says HTTP; S3 says not here.
        if header.contains('*') {
            return Err(invalid(format!(
                "ExposeHeader \"{}\" contains wildcard. We currently do not support wildcard for ExposeHeader.",
                shown(header)
            )));
        }
        if !is_header(header) {
            return Err(unusable("ExposeHeader", header));
        }
    }
    Ok(())
}

fn size(rule: &CorsRule) -> usize {
    let lists = [
        &rule.allowed_origins,
        &rule.allowed_methods,
        &rule.allowed_headers,
        &rule.expose_headers,
    ];
    let texts = lists.into_iter().flatten().chain(&rule.id);
    texts.map(String::len).sum()
}

/// It ends up in an answer's header, so that nothing else may be in it.
fn is_header(name: &str) -> bool {
    HeaderName::try_from(name).is_ok()
}

fn one_wildcard(element: &str, value: &str) -> Result<(), Error> {
    if value.matches('*').count() > 1 {
        return Err(invalid(format!(
            "{element} \"{}\" can not have more than one wildcard.",
            shown(value)
        )));
    }
    Ok(())
}

fn unusable(element: &str, value: &str) -> Error {
    invalid(format!(
        "{element} \"{}\" has characters that it cannot have, or none.",
        shown(value)
    ))
}

/// A value as a message may bear it.
fn shown(value: &str) -> String {
    let plain = value.chars().filter(|c| !c.is_control());
    plain.take(100).collect()
}

fn malformed(message: String) -> Error {
    Error::s3(StatusCode::BAD_REQUEST, "MalformedXML", message)
}

fn invalid(message: String) -> Error {
    Error::s3(StatusCode::BAD_REQUEST, "InvalidRequest", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn rule() -> CorsRule {
        CorsRule {
            allowed_origins: texts(&["https://example.com"]),
            allowed_methods: texts(&["GET"]),
            ..CorsRule::default()
        }
    }

    fn code(rule: CorsRule) -> Option<&'static str> {
        check(&[rule]).err().map(|error| error.code())
    }

    #[test]
    fn what_s3_takes_is_taken() {
        let full = CorsRule {
            id: Some("ü".repeat(255)),
            allowed_origins: texts(&[
                "*",
                "https://*.example.com",
                "http://localhost:3000",
                "null",
            ]),
            allowed_methods: texts(&["GET", "PUT", "HEAD", "POST", "DELETE"]),
            allowed_headers: texts(&["*", "x-amz-*", "Content-Type"]),
            expose_headers: texts(&["ETag", "x-amz-version-id"]),
            max_age_seconds: Some(3000),
        };
        assert_eq!(code(full), None);
        assert!(check(&vec![rule(); 100]).is_ok());
        assert!(check(&[]).is_ok());
    }

    #[test]
    fn what_s3_does_not_take_is_refused_with_its_code() {
        let with = |change: fn(&mut CorsRule)| {
            let mut rule = rule();
            change(&mut rule);
            code(rule)
        };
        let (malformed, invalid) = (Some("MalformedXML"), Some("InvalidRequest"));
        assert_eq!(check(&vec![rule(); 101]).err().map(|e| e.code()), malformed);
        assert_eq!(with(|r| r.allowed_origins.clear()), malformed);
        assert_eq!(with(|r| r.allowed_methods.clear()), malformed);
        assert_eq!(with(|r| r.id = Some("x".repeat(256))), malformed);
        assert_eq!(with(|r| r.id = Some("a\nb".to_owned())), malformed);
        for method in ["OPTIONS", "get", "*", ""] {
            let rule = CorsRule {
                allowed_methods: texts(&["GET", method]),
                ..rule()
            };
            assert_eq!(code(rule), invalid, "{method}");
        }
        for origin in ["http://*.*", "", "a b", "http://a\r\nx: y", "http://ü"] {
            let rule = CorsRule {
                allowed_origins: texts(&["*", origin]),
                ..rule()
            };
            assert_eq!(code(rule), invalid, "{origin}");
        }
        for header in ["*-*", "", "a b", "a\r\nb", "a:"] {
            let rule = CorsRule {
                allowed_headers: texts(&["*", header]),
                ..rule()
            };
            assert_eq!(code(rule), invalid, "{header}");
        }
        for header in ["*", "x-*", "", "a b", "a\r\nb", "a,b"] {
            let rule = CorsRule {
                expose_headers: texts(&["ETag", header]),
                ..rule()
            };
            assert_eq!(code(rule), invalid, "{header}");
        }
    }

    #[test]
    fn a_configuration_is_as_large_as_s3s_document_may_be() {
        let long = |bytes: usize| CorsRule {
            allowed_origins: vec!["x".repeat(bytes - "GET".len())],
            ..rule()
        };
        assert_eq!(code(long(MAX_BYTES)), None);
        assert_eq!(code(long(MAX_BYTES + 1)), Some("MalformedXML"));
    }
}
