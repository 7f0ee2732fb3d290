//! CORS: which web pages' scripts may use a bucket. Browsers ask first, without a signature, so that a preflight names a
//! bucket and no tenant: it is answered by the rules of whichever bucket of that name has any. A bucket without rules
//! answers as one that does not exist. The dashboard's own origin, and no other, may use every bucket: what its scripts
//! send is signed, and answered alike whether or not there is such a bucket.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use sigv4::Credential;
use wire::{Bucket, BucketStatus, CorsRule};

use crate::body::Content;
use crate::error::{Code, S3Error};
use crate::request::S3Request;
use crate::tenants::{Lookup, Tenant, Tenants};

const DASHBOARD_METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];
const DASHBOARD_HEADERS: [&str; 2] = ["content-type", "range"];

/// The answer to `OPTIONS`.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTOPTIONSobject.html>
pub fn preflight(tenants: &Tenants, request: &S3Request) -> Result<Response<Content>, S3Error> {
    let insufficient = |message| S3Error::with(Code::BadRequest, message);
    let origin = request
        .header("origin")?
        .ok_or_else(|| insufficient("Insufficient information. Origin request header needed."))?;
    let method = request
        .header("access-control-request-method")?
        .ok_or_else(|| insufficient("Invalid Access-Control-Request-Method: null"))?;
    let asked: Vec<String> = request
        .header("access-control-request-headers")?
        .unwrap_or("")
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let fits = |rule: &CorsRule| {
        allows(rule, origin, method)
            && asked.iter().all(|name| {
                rule.allowed_headers
                    .iter()
                    .any(|pattern| is_like(pattern, name, true))
            })
    };
    let mut headers = with_rule(tenants, request, None, fits, |rule| {
        answer(rule, origin, &asked)
    })
    .or_else(|| of_dashboard(tenants, request, origin, method, &asked))
    .ok_or_else(|| {
        S3Error::new(Code::AccessForbidden)
            .detail("Method", method)
            .detail(
                "ResourceType",
                if request.key.is_some() {
                    "OBJECT"
                } else {
                    "BUCKET"
                },
            )
    })?;
    headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    let mut response = Response::new(Content::Empty);
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers;
    Ok(response)
}

/// What is added to every other answer to a script, refusals included. `tenant`: whose request it is, once that is known.
pub fn headers(tenants: &Tenants, request: &S3Request, tenant: Option<&Tenant>) -> HeaderMap {
    let Ok(Some(origin)) = request.header("origin") else {
        return HeaderMap::new();
    };
    let fits = |rule: &CorsRule| allows(rule, origin, request.method.as_str());
    with_rule(tenants, request, tenant, fits, |rule| {
        answer(rule, origin, &[])
    })
    .or_else(|| of_dashboard(tenants, request, origin, request.method.as_str(), &[]))
    .unwrap_or_default()
}

/// The dashboard uploads and downloads with presigned requests: no cookie and no further header is needed for these.
fn of_dashboard(
    tenants: &Tenants,
    request: &S3Request,
    origin: &str,
    method: &str,
    asked: &[String],
) -> Option<HeaderMap> {
    request.bucket.as_ref()?;
    let shared = tenants.shared()?;
    let all = shared.settings.dashboard_origin.as_deref();
    let ours = all.is_some_and(|all| all.split(' ').any(|one| one == origin));
    let known = asked
        .iter()
        .all(|name| DASHBOARD_HEADERS.contains(&name.as_str()));
    if !ours || !known || !DASHBOARD_METHODS.contains(&method) {
        return None;
    }
    let rule = CorsRule {
        allowed_origins: vec![origin.to_owned()],
        allowed_methods: DASHBOARD_METHODS.map(str::to_owned).to_vec(),
        expose_headers: vec!["ETag".to_owned(), "x-amz-request-id".to_owned()],
        max_age_seconds: Some(600),
        ..CorsRule::default()
    };
    let mut headers = answer(&rule, origin, asked);
    headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    Some(headers)
}

/// The first rule that fits, of the buckets that the request may mean.
fn with_rule<T>(
    tenants: &Tenants,
    request: &S3Request,
    tenant: Option<&Tenant>,
    fits: impl Fn(&CorsRule) -> bool,
    then: impl Fn(&CorsRule) -> T,
) -> Option<T> {
    let name = request.bucket.as_deref()?;
    let of = |tenant: &Tenant| -> Option<T> {
        let bucket: &Bucket = tenant.bucket(name)?;
        let active = bucket.status == BucketStatus::Active;
        let rule = bucket.cors.iter().find(|rule| active && fits(rule))?;
        Some(then(rule))
    };
    if let Some(tenant) = tenant {
        return of(tenant);
    }
    // A presigned URL says whose it is.
    let credential = request.query.single("X-Amz-Credential").ok().flatten();
    if let Some(credential) = credential.and_then(|text| Credential::parse(text).ok()) {
        return match tenants.lookup(credential.access_key_id) {
            Lookup::Found(tenant) => of(&tenant),
            Lookup::Pending | Lookup::Unknown => None,
        };
    }
    tenants
        .open_to_strangers(name)
        .iter()
        .find_map(|tenant| of(tenant))
}

fn allows(rule: &CorsRule, origin: &str, method: &str) -> bool {
    rule.allowed_origins
        .iter()
        .any(|pattern| is_like(pattern, origin, false))
        && rule.allowed_methods.iter().any(|allowed| allowed == method)
}

/// With at most one `*`.
fn is_like(pattern: &str, text: &str, ignore_case: bool) -> bool {
    let lower;
    let pattern = if ignore_case {
        lower = pattern.to_ascii_lowercase();
        lower.as_str()
    } else {
        pattern
    };
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail)
        }
    }
}

fn answer(rule: &CorsRule, origin: &str, asked: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if rule.allowed_origins.iter().any(|pattern| pattern == "*") {
        set(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        set(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    set(
        ACCESS_CONTROL_ALLOW_METHODS,
        &rule.allowed_methods.join(", "),
    );
    if !asked.is_empty() {
        set(ACCESS_CONTROL_ALLOW_HEADERS, &asked.join(", "));
    }
    if !rule.expose_headers.is_empty() {
        set(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            &rule.expose_headers.join(", "),
        );
    }
    if let Some(seconds) = rule.max_age_seconds {
        set(ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
    set(
        VARY,
        "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    );
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;
    use crate::tenants::tests::{document, key, settings};

    fn tenants(rules: Vec<CorsRule>) -> Tenants {
        let tenants = Tenants::default();
        let mut document = document(1, 1, vec![key("K", &[])]);
        document.buckets[0].cors = rules;
        tenants
            .apply_snapshot(wire::Snapshot {
                revision: 1,
                settings: settings(1),
                tenants: vec![document],
            })
            .unwrap();
        tenants
    }

    fn rule(origin: &str, methods: &[&str], headers: &[&str]) -> CorsRule {
        CorsRule {
            allowed_origins: vec![origin.into()],
            allowed_methods: methods.iter().map(|m| m.to_string()).collect(),
            allowed_headers: headers.iter().map(|m| m.to_string()).collect(),
            max_age_seconds: Some(60),
            ..CorsRule::default()
        }
    }

    fn ask(tenants: &Tenants, uri: &str, headers: &[(&str, &str)]) -> Result<HeaderMap, Code> {
        preflight(tenants, &request("OPTIONS", uri, headers).unwrap())
            .map(|response| response.headers().clone())
            .map_err(|error| error.code)
    }

    const ORIGIN: (&str, &str) = ("origin", "https://app.example");
    const PUT: (&str, &str) = ("access-control-request-method", "PUT");

    #[test]
    fn a_preflight_is_answered_by_the_rule_that_fits() {
        let tenants = tenants(vec![
            rule("https://*.other", &["GET"], &[]),
            rule(
                "https://app.example",
                &["PUT", "GET"],
                &["X-Amz-*", "content-type"],
            ),
        ]);
        let asked = ("access-control-request-headers", "X-Amz-Date, Content-Type");
        let headers = ask(&tenants, "/photos/k", &[ORIGIN, PUT, asked]).unwrap();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "PUT, GET");
        assert_eq!(
            headers[ACCESS_CONTROL_ALLOW_HEADERS],
            "x-amz-date, content-type"
        );
        assert_eq!(headers[ACCESS_CONTROL_MAX_AGE], "60");

        let refused = Err(Code::AccessForbidden);
        let other = ("access-control-request-headers", "authorization");
        let delete = ("access-control-request-method", "DELETE");
        let evil = ("origin", "https://app.example.evil");
        assert_eq!(ask(&tenants, "/photos/k", &[ORIGIN, PUT, other]), refused);
        assert_eq!(ask(&tenants, "/photos/k", &[ORIGIN, delete]), refused);
        assert_eq!(ask(&tenants, "/photos/k", &[evil, PUT]), refused);
        assert_eq!(ask(&tenants, "/elsewhere/k", &[ORIGIN, PUT]), refused);
        assert_eq!(ask(&tenants, "/photos/k", &[PUT]), Err(Code::BadRequest));
        assert_eq!(ask(&tenants, "/photos/k", &[ORIGIN]), Err(Code::BadRequest));
    }

    #[test]
    fn a_bucket_without_rules_answers_as_none() {
        let refused = Err(Code::AccessForbidden);
        assert_eq!(ask(&tenants(vec![]), "/photos/k", &[ORIGIN, PUT]), refused);
    }

    #[test]
    fn a_presigned_url_says_whose_bucket_is_meant() {
        let tenants = tenants(vec![rule("*", &["PUT"], &["*"])]);
        let with = |id: &str| {
            let uri = format!(
                "/photos/k?X-Amz-Credential={id}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
            );
            ask(&tenants, &uri, &[ORIGIN, PUT])
        };
        assert_eq!(with("K").unwrap()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(with("L"), Err(Code::AccessForbidden));
    }

    #[test]
    fn the_dashboard_may_use_every_bucket_and_nobody_else_may() {
        let tenants = tenants(vec![]);
        let mut settings = settings(2);
        let origins = "http://127.0.0.1:8080 https://app.example";
        settings.dashboard_origin = Some(origins.to_owned());
        tenants.apply(wire::ToNode::Settings(settings)).unwrap();
        let headers = ask(&tenants, "/photos/k", &[ORIGIN, PUT]).unwrap();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(
            headers[ACCESS_CONTROL_EXPOSE_HEADERS],
            "ETag, x-amz-request-id"
        );
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        let same = ask(&tenants, "/elsewhere/k", &[ORIGIN, PUT]).unwrap();
        assert_eq!(headers, same, "it does not tell which buckets there are");

        let refused = Err(Code::AccessForbidden);
        for origin in [
            "https://app.example.evil",
            "http://app.example",
            "null",
            origins,
        ] {
            assert_eq!(
                ask(&tenants, "/photos/k", &[("origin", origin), PUT]),
                refused
            );
        }
        let authorization = ("access-control-request-headers", "authorization");
        let asked = [ORIGIN, PUT, authorization];
        assert_eq!(ask(&tenants, "/photos/k", &asked), refused);
        let patch = ("access-control-request-method", "PATCH");
        assert_eq!(ask(&tenants, "/photos/k", &[ORIGIN, patch]), refused);

        let answered = |origin| {
            let request = request("GET", "/photos/k", &[("origin", origin)]).unwrap();
            super::headers(&tenants, &request, None)
        };
        assert!(answered("https://app.example").contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        assert!(answered("https://evil.example").is_empty());
    }

    #[test]
    fn one_asterisk_stands_for_anything() {
        for (pattern, text, fitting) in [
            ("*", "https://x", true),
            ("https://*.x", "https://a.x", true),
            ("https://*.x", "https://x", false),
            ("a*a", "a", false),
            ("a*", "ab", true),
            ("A", "a", false),
        ] {
            assert_eq!(is_like(pattern, text, false), fitting, "{pattern} {text}");
        }
        assert!(is_like("X-Amz-*", "x-amz-date", true));
    }
}
