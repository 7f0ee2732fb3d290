//! Signatures, scopes and clocks: each refusal beside the request that passes.

mod client;
mod independent;

use chrono::{DateTime, TimeDelta, Utc};
use wire::Snapshot;

use self::client::Client;
use super::*;
use crate::tenants::tests::{document, key, settings};

const KEY: &str = "VLTTESTKEY0000000001";
const HASH: &str = sigv4::EMPTY_SHA256;

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-04T05:06:07Z")
        .unwrap()
        .to_utc()
}

fn tenants(change: impl FnOnce(&mut wire::AccessKey)) -> Tenants {
    let days: Vec<_> = (-8..=8)
        .map(|n| now().date_naive() + TimeDelta::days(n))
        .collect();
    let mut access_key = key(KEY, &days);
    change(&mut access_key);
    let tenants = Tenants::default();
    let snapshot = Snapshot {
        revision: 1,
        settings: settings(1),
        tenants: vec![document(1, 1, vec![access_key])],
    };
    tenants.apply_snapshot(snapshot).unwrap();
    tenants
}

fn check(request: &S3Request) -> Result<Identity, Code> {
    check_with(request, &tenants(|_| ()))
}

fn check_with(request: &S3Request, tenants: &Tenants) -> Result<Identity, Code> {
    authenticate(request, tenants, &tenants.shared().unwrap(), now()).map_err(|error| error.code)
}

#[test]
fn a_good_signature_tells_who_it_is() {
    let identity = check(&Client::default().sign("GET", "/b/a%20b?x=1&list-type=2")).unwrap();
    assert_eq!(&*identity.access_key_id, KEY);
    assert_eq!(identity.tenant.id(), crate::tenants::tests::id(1));
    assert!(check(&Client::default().presign("GET", "/b/k", "60")).is_ok());
}

#[test]
fn a_path_may_be_signed_as_it_is_sent() {
    // `(` needs no encoding on the wire; some clients leave it, and sign what they send.
    let mut client = Client::default().header("x-amz-date", &timestamp::write(now()));
    let headers: Vec<(&str, &[u8])> = client
        .headers
        .iter()
        .map(|(n, v)| (*n, v.as_bytes()))
        .collect();
    let signed_headers = client.signed_names();
    let canonical = CanonicalRequest {
        method: "GET",
        path: "/b/a(1)",
        query: &[],
        headers: &headers,
        signed_headers: &signed_headers,
        payload_hash: HASH,
    };
    let text = sigv4::string_to_sign(&client.timestamp(), &client.scope(), &canonical.hash());
    let signature = sigv4::signature(&client.signing_key(), &text);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/{}, SignedHeaders={}, Signature={signature}",
        client.scope(),
        signed_headers.join(";")
    );
    client.headers.push(("authorization", authorization));
    assert!(check(&client.request("GET", "/b/a(1)")).is_ok());
    assert_eq!(
        check(&client.request("GET", "/b/a(2)")).err(),
        Some(Code::SignatureDoesNotMatch)
    );
}

#[test]
fn what_was_signed_is_what_counts() {
    let signed = Client::default()
        .header("x-amz-meta-a", "1")
        .sign("PUT", "/b/k?a=1");
    assert!(check(&signed).is_ok());
    let again = |method: &str, uri: &str, change: &dyn Fn(&mut http::HeaderMap)| {
        let mut request = Client::default().request(method, uri);
        request.headers = signed.headers.clone();
        change(&mut request.headers);
        check(&request).err()
    };
    let mismatch = Some(Code::SignatureDoesNotMatch);
    assert_eq!(again("GET", "/b/k?a=1", &|_| ()), mismatch);
    assert_eq!(again("PUT", "/b/l?a=1", &|_| ()), mismatch);
    assert_eq!(again("PUT", "/c/k?a=1", &|_| ()), mismatch);
    assert_eq!(again("PUT", "/b/k?a=2", &|_| ()), mismatch);
    assert_eq!(
        again("PUT", "/b/k?a=1", &|h| {
            h.insert("x-amz-meta-a", "2".parse().unwrap());
        }),
        mismatch
    );
    assert_eq!(
        again("PUT", "/b/k?a=1", &|h| {
            h.append("x-amz-meta-a", "1".parse().unwrap());
        }),
        mismatch
    );
    assert_eq!(
        again("PUT", "/b/k?a=1", &|h| {
            h.insert("host", "other".parse().unwrap());
        }),
        mismatch
    );
    assert_eq!(again("PUT", "/b/k?a=1", &|_| ()), None);
    assert_eq!(
        check(
            &Client {
                secret: "wrong",
                ..Client::default()
            }
            .sign("GET", "/b")
        )
        .err(),
        mismatch
    );
}

#[test]
fn every_amz_header_and_host_must_be_signed() {
    let unsigned = Client {
        unsigned: vec!["x-amz-meta-a"],
        ..Client::default()
    }
    .header("x-amz-meta-a", "1");
    assert_eq!(
        check(&unsigned.sign("PUT", "/b/k")).err(),
        Some(Code::AccessDenied)
    );
    let host = Client {
        unsigned: vec!["host"],
        ..Client::default()
    };
    assert_eq!(
        check(&host.sign("GET", "/b/k")).err(),
        Some(Code::AccessDenied)
    );
    let presigned = Client {
        unsigned: vec!["x-amz-acl"],
        ..Client::default()
    }
    .header("x-amz-acl", "public-read");
    assert_eq!(
        check(&presigned.presign("PUT", "/b/k", "60")).err(),
        Some(Code::AccessDenied)
    );
    let other = Client {
        unsigned: vec!["content-type"],
        ..Client::default()
    }
    .header("content-type", "text/plain");
    assert!(check(&other.sign("PUT", "/b/k")).is_ok());
}

#[test]
fn one_way_of_authenticating_is_enough() {
    let none = Client::default().request("GET", "/b/k");
    assert_eq!(check(&none).err(), Some(Code::AccessDenied));
    let mut both = Client::default().presign("GET", "/b/k", "60");
    let header = Client::default().sign("GET", "/b/k").headers["authorization"].clone();
    both.headers.insert("authorization", header);
    assert_eq!(check(&both).err(), Some(Code::InvalidArgument));
    for (uri, authorization) in [
        ("/b/k", Some("AWS k:s")),
        ("/b/k?AWSAccessKeyId=a&Signature=b&Expires=1", None),
    ] {
        let mut v2 = Client::default().request("GET", uri);
        if let Some(value) = authorization {
            v2.headers.insert("authorization", value.parse().unwrap());
        }
        assert_eq!(check(&v2).err(), Some(Code::InvalidRequest), "{uri}");
    }
}

#[test]
fn clocks_may_be_off_by_fifteen_minutes() {
    for (minutes, expected) in [
        (0, None),
        (14, None),
        (-14, None),
        (16, Some(Code::RequestTimeTooSkewed)),
        (-16, Some(Code::RequestTimeTooSkewed)),
    ] {
        let client = Client {
            at: now() + TimeDelta::minutes(minutes),
            ..Client::default()
        };
        assert_eq!(
            check(&client.sign("GET", "/b/k")).err(),
            expected,
            "{minutes} minutes"
        );
    }
}

#[test]
fn the_scope_must_be_this_service() {
    let malformed = Some(Code::AuthorizationHeaderMalformed);
    assert_eq!(
        check(
            &Client {
                region: "eu-west-1",
                ..Client::default()
            }
            .sign("GET", "/b")
        )
        .err(),
        malformed
    );
    assert_eq!(
        check(
            &Client {
                service: "iam",
                ..Client::default()
            }
            .sign("GET", "/b")
        )
        .err(),
        malformed
    );
    let presigned = Client {
        region: "eu-west-1",
        ..Client::default()
    }
    .presign("GET", "/b/k", "60");
    assert_eq!(
        check(&presigned).err(),
        Some(Code::AuthorizationQueryParametersError)
    );
    let mut terminator = Client::default().sign("GET", "/b");
    let value = terminator.headers["authorization"]
        .to_str()
        .unwrap()
        .replace("aws4_request", "aws5_request");
    terminator
        .headers
        .insert("authorization", value.parse().unwrap());
    assert_eq!(check(&terminator).err(), malformed);
    let mut other_day = Client::default().sign("GET", "/b");
    let value = other_day.headers["authorization"]
        .to_str()
        .unwrap()
        .replace("20260304", "20260303");
    other_day
        .headers
        .insert("authorization", value.parse().unwrap());
    assert_eq!(check(&other_day).err(), malformed);
}

#[test]
fn keys_that_are_not_good_are_not_known() {
    let unknown = Some(Code::InvalidAccessKeyId);
    let request = Client::default().sign("GET", "/b/k");
    assert_eq!(
        check(
            &Client {
                access_key_id: "VLTNOBODY00000000000",
                ..Client::default()
            }
            .sign("GET", "/b")
        )
        .err(),
        unknown
    );
    assert_eq!(
        check_with(
            &request,
            &tenants(|key| key.status = AccessKeyStatus::Revoked)
        )
        .err(),
        unknown
    );
    assert_eq!(
        check_with(
            &request,
            &tenants(|key| key.status = AccessKeyStatus::Unknown)
        )
        .err(),
        unknown
    );
    assert_eq!(
        check_with(&request, &tenants(|key| key.expires_at = Some(now()))).err(),
        unknown
    );
    let later = |key: &mut wire::AccessKey| key.expires_at = Some(now() + TimeDelta::seconds(1));
    assert!(check_with(&request, &tenants(later)).is_ok());
}

#[test]
fn presigned_requests_live_as_long_as_they_say() {
    let at = |ago: i64| Client {
        at: now() - TimeDelta::seconds(ago),
        ..Client::default()
    };
    assert!(check(&at(60).presign("GET", "/b/k", "60")).is_ok());
    assert_eq!(
        check(&at(61).presign("GET", "/b/k", "60")).err(),
        Some(Code::AccessDenied)
    );
    assert!(check(&at(604_000).presign("GET", "/b/k", "604800")).is_ok());
    assert_eq!(
        check(&at(-3600).presign("GET", "/b/k", "60")).err(),
        Some(Code::AccessDenied)
    );
    for expires in ["604801", "0", "-1", "abc", ""] {
        let refused = check(&at(0).presign("GET", "/b/k", expires)).err();
        assert_eq!(
            refused,
            Some(Code::AuthorizationQueryParametersError),
            "{expires}"
        );
    }
    let on_another = at(0).presign("GET", "/b/k", "60");
    let mut moved = Client::default().request("GET", "/c/k");
    moved.query = on_another.query.clone();
    assert_eq!(check(&moved).err(), Some(Code::SignatureDoesNotMatch));
}

#[test]
fn the_payload_hash_is_one_of_the_five_forms() {
    for (text, expected) in [
        (HASH, Ok(PayloadHash::Sha256(HASH.into()))),
        ("UNSIGNED-PAYLOAD", Ok(PayloadHash::Unsigned)),
        (
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            Ok(PayloadHash::Chunked {
                signed: false,
                trailer: true,
            }),
        ),
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Ok(PayloadHash::Chunked {
                signed: true,
                trailer: false,
            }),
        ),
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Ok(PayloadHash::Chunked {
                signed: true,
                trailer: true,
            }),
        ),
        (
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            Err(Code::InvalidArgument),
        ),
        ("abc", Err(Code::InvalidArgument)),
    ] {
        let request = Client::default()
            .header("x-amz-content-sha256", text)
            .sign("PUT", "/b/k");
        let checked = check(&request);
        assert_eq!(
            checked
                .as_ref()
                .map(|i| i.chunks.is_some())
                .unwrap_or(false),
            text.starts_with("STREAMING-AWS4-HMAC")
        );
        assert_eq!(checked.map(|identity| identity.payload), expected, "{text}");
    }
    let mut without = Client::default();
    without
        .headers
        .retain(|(n, _)| *n != "x-amz-content-sha256");
    assert_eq!(
        check(&without.sign("PUT", "/b/k")).err(),
        Some(Code::InvalidRequest)
    );
}

#[test]
fn before_the_first_push_nobody_is_a_stranger() {
    let empty = Tenants::default();
    let shared = tenants(|_| ()).shared().unwrap();
    let refused = authenticate(&Client::default().sign("GET", "/b"), &empty, &shared, now());
    assert_eq!(
        refused.err().map(|error| error.code),
        Some(Code::ServiceUnavailable)
    );
}
