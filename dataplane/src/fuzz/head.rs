//! Heads of requests: targets, signatures, headers, copy sources.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use sigv4::{ALGORITHM, Authorization, CanonicalRequest, Credential, CredentialScope};
use wire::{CorsRule, EngineCapabilities};

use super::{
    ACCESS_KEY_ID, DOMAIN, PREFIXES, REGION, bucket, header_lines, known, now, request, settings,
    signing_key, tenant,
};
use crate::authenticate::authenticate;
use crate::headers::{EngineHeaders, answer_about_object};
use crate::integrity::{Algorithm, Checks, announced};
use crate::operation::{Effect, Operation, classify};
use crate::place::Place;
use crate::request::{Query, S3Request, decode};
use crate::upstream::sign::sign;
use crate::upstream::{EngineBody, EngineRequest};
use crate::{copy_source, cors, headers};

const METHODS: [&str; 8] = [
    "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE",
];

/// The first byte: method and host; the rest: the target. What was parsed is what is authorised and what is sent on,
/// byte for byte.
pub fn uri(input: &[u8]) {
    let [choice, target @ ..] = input else {
        return;
    };
    let method = METHODS[usize::from(choice & 7)];
    let host = match choice >> 3 & 3 {
        0 => "127.0.0.1:9000".to_owned(),
        1 => DOMAIN.to_owned(),
        2 => format!("photos.{DOMAIN}"),
        _ => format!("a.b.{DOMAIN}:9000"),
    };
    let host_header = [(&b"host"[..], host.as_bytes())];
    let Some(Ok(parsed)) = request(method, target, &host_header) else {
        return;
    };
    let (bucket, key) = (parsed.bucket.as_deref(), parsed.key.as_deref());
    let put_together = match (bucket, key) {
        (Some(bucket), key) if choice >> 3 & 3 < 2 => {
            format!("/{bucket}/{}", key.unwrap_or(""))
        }
        (_, key) => format!("/{}", key.unwrap_or("")),
    };
    let whole = |path: &str| path.trim_end_matches('/').to_owned();
    assert_eq!(whole(&put_together), whole(&parsed.path));
    let key_text = key.unwrap_or("");
    assert!(key_text.len() <= 1024 && !key_text.contains('\0'));
    assert!(!key_text.split('/').any(|s| s == "." || s == ".."));

    let mut encoded = sigv4::uri_encode(parsed.path.as_bytes(), false).into_owned();
    encoded.push('?');
    encoded.push_str(&query_text(&parsed.query));
    if encoded.len() < 8192 {
        let again = request(method, encoded.as_bytes(), &host_header);
        let Some(Ok(again)) = again else {
            panic!("what was parsed does not parse: {encoded}");
        };
        assert_eq!(
            (again.bucket.as_deref(), again.key.as_deref()),
            (bucket, key)
        );
        assert_eq!(again.query.pairs(), parsed.query.pairs());
        let name = |r| classify(r).map_err(|error| error.code);
        assert_eq!(name(&again), name(&parsed));
    }
    if let Ok(operation) = classify(&parsed) {
        let (effect, method) = (operation.effect(), &parsed.method);
        let reads = matches!(effect, Effect::List | Effect::Read);
        let looks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        assert_eq!(reads, looks, "{method} is {operation:?}");
    }
    if let Some(key) = key {
        for prefix in PREFIXES {
            sent(key, prefix, &parsed.query);
        }
    }
}

fn query_text(query: &Query) -> String {
    let encode = |text: &str| sigv4::uri_encode(text.as_bytes(), true).into_owned();
    let pairs = query.pairs().iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// The engine is asked for exactly this key, below the prefix, and for these parameters.
fn sent(key: &str, prefix: &str, query: &Query) {
    let (settings, bucket) = (settings(), bucket("photos", prefix));
    let place = Place {
        bucket: &bucket,
        engine: &settings.engines[0],
    };
    let Ok(engine_key) = place.key(key) else {
        return;
    };
    assert_eq!(engine_key, [prefix, key].concat());
    assert_eq!(place.strip(&engine_key), Some(key));
    let mut to_engine =
        EngineRequest::new(place.engine, Method::GET, place.engine_bucket()).key(engine_key);
    to_engine.query = query.pairs().to_vec();
    let host = HeaderValue::from_static("127.0.0.1:1");
    let Ok(signed) = sign(&to_engine, &host, EngineBody::Empty, now()) else {
        panic!("a request that was admitted cannot be sent");
    };
    let uri = signed.uri();
    assert_eq!(
        uri.authority(),
        None,
        "where it goes is not the client's to say"
    );
    assert_eq!(signed.headers().get("host"), Some(&host));
    let path = decode(uri.path()).map_err(|error| error.code);
    assert_eq!(path, Ok(format!("/vt-0/{prefix}{key}")));
    let asked = Query::parse(uri.query().unwrap_or("")).map_err(|error| error.code);
    let asked = asked.map(|asked| asked.pairs().to_vec());
    assert_eq!(asked, Ok(query.pairs().to_vec()));
}

/// Lines: the `Authorization` header, `x-amz-date`, `x-amz-content-sha256`, the target; then further headers. Nothing that
/// comes so is believed, and the same request signed by the rules is.
pub fn authorization(input: &[u8]) {
    let mut lines = input.splitn(5, |b| *b == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (value, date, hash, target, rest) = (line(), line(), line(), line(), line());
    if let Ok(text) = std::str::from_utf8(value) {
        reads_back(text);
    }
    let tenants = known(vec![tenant("a", &[ACCESS_KEY_ID], vec![])]);
    let Some(shared) = tenants.shared() else {
        panic!("there are settings");
    };
    let mut fields: Vec<(&[u8], &[u8])> = header_lines(rest);
    fields.retain(|(name, _)| !name.eq_ignore_ascii_case(b"host"));
    fields.push((b"host", b"127.0.0.1:9000"));
    let own: [(&[u8], &[u8]); 3] = [
        (b"authorization", value),
        (b"x-amz-date", date),
        (b"x-amz-content-sha256", hash),
    ];
    let as_sent: Vec<_> = own.into_iter().chain(fields.iter().copied()).collect();
    if let Some(Ok(parsed)) = request("GET", target, &as_sent) {
        let believed = authenticate(&parsed, &tenants, &shared, now()).is_ok();
        assert!(!believed, "a signature was guessed");
    }

    fields.retain(|(name, _)| !own.iter().any(|(own, _)| name.eq_ignore_ascii_case(own)));
    fields.push((b"x-amz-date", b"20260304T050607Z"));
    fields.push((b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"));
    let Some(Ok(mut parsed)) = request("GET", target, &fields) else {
        return;
    };
    let signature_parts = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"];
    let sigv2 = ["AWSAccessKeyId", "Signature"];
    if signature_parts
        .iter()
        .chain(&sigv2)
        .any(|name| parsed.query.has(name))
    {
        return;
    }
    let Ok(value) = HeaderValue::from_str(&sign_by_the_rules(&parsed)) else {
        panic!("a signature is plain text");
    };
    parsed.headers.insert(header::AUTHORIZATION, value);
    let code = |request: &S3Request| {
        authenticate(request, &tenants, &shared, now())
            .err()
            .map(|error| error.code)
    };
    assert_eq!(code(&parsed), None, "a good signature is refused");
    parsed.method = Method::DELETE;
    assert!(code(&parsed).is_some(), "the method is not signed");
}

fn sign_by_the_rules(request: &S3Request) -> String {
    let headers: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let scope = CredentialScope {
        date: "20260304".into(),
        region: REGION.into(),
        service: "s3".into(),
    };
    let canonical = CanonicalRequest {
        method: request.method.as_str(),
        path: &sigv4::uri_encode(request.path.as_bytes(), false),
        query: request.query.pairs(),
        headers: &headers,
        signed_headers: &[],
        payload_hash: "UNSIGNED-PAYLOAD",
    };
    let key = signing_key();
    sigv4::authorization_header(ACCESS_KEY_ID, &key, "20260304T050607Z", &scope, &canonical)
}

fn reads_back(text: &str) {
    if let Ok(read) = Authorization::parse(text) {
        let Authorization {
            credential:
                Credential {
                    access_key_id,
                    scope,
                },
            signed_headers,
            signature,
        } = &read;
        let names = signed_headers.join(";");
        let written = format!(
            "{ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        assert_eq!(Authorization::parse(&written).as_ref(), Ok(&read));
    }
    let _ = sigv4::parse_signed_headers(text);
    let _ = sigv4::parse_signature(text);
    if let Ok(read) = Credential::parse(text) {
        assert_eq!(format!("{}/{}", read.access_key_id, read.scope), text);
    }
}

/// The first byte: the operation; the first line: the query; then headers. Only what is on the lists passes, either way.
pub fn headers(input: &[u8]) {
    let [choice, rest @ ..] = input else {
        return;
    };
    let operation = Operation::ALL[usize::from(*choice) % Operation::ALL.len()];
    let mut lines = rest.splitn(2, |b| *b == b'\n');
    let target = [b"/photos/k?", lines.next().unwrap_or_default()].concat();
    let mut fields = header_lines(lines.next().unwrap_or_default());
    fields.push((b"host", DOMAIN.as_bytes()));
    let Some(Ok(mut parsed)) = request("PUT", &target, &fields) else {
        return;
    };
    preflight(&parsed);
    let _ = announced(&parsed.headers);
    if let Ok(mut checks) = Checks::new(&parsed.headers, None) {
        checks.update(rest);
    }
    let mut out = HeaderMap::new();
    answer_about_object(&parsed.headers, &mut out);
    for name in out.keys() {
        let hidden = [
            "server",
            "x-amz-request-id",
            "x-amz-id-2",
            "set-cookie",
            "location",
            "x-amz-version-id",
            "connection",
            "transfer-encoding",
        ];
        assert!(!hidden.contains(&name.as_str()), "{name} leaves");
    }
    let taken = headers::take_from_query(&mut parsed);
    if taken.is_err() || headers::check(&parsed, operation).is_err() {
        return;
    }
    let metadata = |(name, value): (&HeaderName, &HeaderValue)| {
        let key = name.as_str().strip_prefix("x-amz-meta-")?;
        Some(key.len() + value.len())
    };
    let metadata: usize = parsed.headers.iter().filter_map(metadata).sum();
    assert!(metadata <= 2048);
    let mut to_engine = EngineHeaders::default();
    if to_engine.pass_object(&parsed).is_ok() {
        to_engine.pass_checksums(&parsed, EngineCapabilities::default());
    }
    for (name, _) in &to_engine.0 {
        const DESCRIBING: [&str; 6] = [
            "cache-control",
            "content-disposition",
            "content-encoding",
            "content-language",
            "content-type",
            "expires",
        ];
        let name = name.as_str();
        let passes = DESCRIBING.contains(&name)
            || name.starts_with("x-amz-meta-")
            || Algorithm::from_header(name).is_some();
        assert!(passes, "{name} reaches the engine");
    }
}

fn preflight(request: &S3Request) {
    let mut bucket = bucket("photos", "");
    bucket.cors = vec![CorsRule {
        allowed_origins: vec!["https://*.example".into()],
        allowed_methods: vec!["PUT".into()],
        allowed_headers: vec!["x-amz-*".into()],
        ..CorsRule::default()
    }];
    let tenants = known(vec![tenant("a", &[ACCESS_KEY_ID], vec![bucket])]);
    if let Ok(answer) = cors::preflight(&tenants, request) {
        let origin = request.headers.get(header::ORIGIN);
        let allowed = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        let same = |v: &HeaderValue| v.as_bytes().trim_ascii().to_vec();
        assert_eq!(origin.map(same), allowed.map(same));
        let like = |v: &HeaderValue| {
            v.as_bytes().starts_with(b"https://") && v.as_bytes().ends_with(b".example")
        };
        assert!(allowed.is_some_and(like));
    }
    cors::headers(&tenants, request, None);
}

/// The header's value. What is read is what the engine will read.
pub fn copy_source(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(source) = copy_source::parse(text) else {
        return;
    };
    let encode = |text: &str, slashes| sigv4::uri_encode(text.as_bytes(), slashes).into_owned();
    let version = |id: &String| format!("?versionId={}", encode(id, true));
    let version = source.version_id.as_ref().map(version).unwrap_or_default();
    let written = format!(
        "/{}/{}{version}",
        encode(&source.bucket, true),
        encode(&source.key, false)
    );
    let again = copy_source::parse(&written).map_err(|error| error.code);
    assert_eq!(again.as_ref(), Ok(&source));
    assert!(!source.bucket.contains('/') && !source.key.is_empty());
    assert!(source.key.len() <= 1024 && !source.key.contains('\0'));
    for prefix in PREFIXES {
        let (settings, bucket) = (settings(), bucket("photos", prefix));
        let place = Place {
            bucket: &bucket,
            engine: &settings.engines[0],
        };
        if let Ok(key) = place.key(&source.key) {
            let path = format!("/vt-0/{}", encode(&key, false));
            let read = copy_source::parse(&path).map_err(|error| error.code);
            let read = read.map(|read| (read.bucket, read.key, read.version_id));
            assert_eq!(read, Ok(("vt-0".to_owned(), key, None)));
        }
    }
}
