//! Signatures that are forged, borrowed, too old, or of another kind.

use chrono::TimeDelta;
use sigv4::CanonicalRequest;
use wire::AccessKeyStatus;

use super::presigned::{Presigned, unsigned};
use super::{assert_refused, with_secret, worlds};
use crate::client::{Client, parse};
use crate::world::{World, now};

/// A signed head, with one thing in it put in another's place.
async fn changed(client: &Client, from: &str, to: &str) -> crate::client::Answer {
    let (_, head) = client.call("GET", "/abkt/k").head();
    assert!(head.contains(from), "{from} in {head}");
    parse(&client.raw(head.replace(from, to).as_bytes()).await)
}

#[tokio::test]
async fn row_16_host_and_every_amz_header_must_be_signed() {
    let world = World::start().await;
    let client = &world.a;
    let signed = |names: &[&str], extra: &str| {
        let host = client.address.to_string();
        let timestamp = client.timestamp();
        let headers: [(&str, &[u8]); 3] = [
            ("host", host.as_bytes()),
            ("x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
            ("x-amz-date", timestamp.as_bytes()),
        ];
        let canonical = CanonicalRequest {
            method: "GET",
            path: "/",
            query: &[],
            headers: &headers,
            signed_headers: names,
            payload_hash: "UNSIGNED-PAYLOAD",
        };
        let text = sigv4::string_to_sign(&timestamp, &client.scope(), &canonical.hash());
        let signature = sigv4::signature(&client.signing_key(), &text);
        format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: {timestamp}\r\n{extra}authorization: AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}\r\nconnection: close\r\n\r\n",
            client.access_key_id,
            client.scope(),
            names.join(";"),
        )
    };
    let all = ["host", "x-amz-content-sha256", "x-amz-date"];
    for (names, extra) in [
        (&all[1..], ""),
        (&all[..2], ""),
        (&["host", "x-amz-date"][..], ""),
        (&all, "x-amz-meta-a: b\r\n"),
        (&all, "x-amz-copy-source: /bvic/secret\r\n"),
    ] {
        let answer = parse(&client.raw(signed(names, extra).as_bytes()).await);
        assert_refused(&world, &answer, (403, "AccessDenied"), &names.join(";"));
    }
    for extra in ["", "range: bytes=0-1\r\n"] {
        let answer = parse(&client.raw(signed(&all, extra).as_bytes()).await);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn row_19_clocks_may_be_fifteen_minutes_off() {
    let world = World::start().await;
    for minutes in [-16, 16] {
        let client = Client {
            now: now() + TimeDelta::minutes(minutes),
            ..world.a.clone()
        };
        let answer = client.get("/").await;
        assert_refused(&world, &answer, (403, "RequestTimeTooSkewed"), "skewed");
    }
    for minutes in [-14, 14] {
        let client = Client {
            now: now() + TimeDelta::minutes(minutes),
            ..world.a.clone()
        };
        assert_eq!(client.get("/").await.status, 200, "{minutes}");
    }
}

#[tokio::test]
async fn row_20_a_scope_is_for_this_region_service_and_terminator() {
    let world = World::start().await;
    for (from, to) in [
        ("/us-east-1/s3/", "/eu-west-1/s3/"),
        ("/us-east-1/s3/", "/us-east-1/iam/"),
        ("/aws4_request", "/aws5_request"),
        ("/20260304/", "/20260303/"),
        ("/20260304/", "/2026-03-04/"),
        ("/s3/aws4_request", "/s3/x/aws4_request"),
        ("SignedHeaders=", "SignedHeaders=,SignedHeaders="),
        (", Signature=", ", Signature=X"),
    ] {
        let answer = changed(&world.a, from, to).await;
        assert_refused(&world, &answer, (400, "AuthorizationHeaderMalformed"), to);
    }
    assert_eq!(
        changed(&world.a, ", Signature", ",Signature").await.status,
        404
    );
}

#[tokio::test]
async fn row_21_keys_that_are_unknown_revoked_or_expired() {
    const REVOKED: &str = "VLTREVOKED0000000000";
    const EXPIRED: &str = "VLTEXPIRED0000000000";
    const LATER: &str = "VLTLATER000000000000";
    let world = World::with(|snapshot| {
        let keys = &mut snapshot.tenants[0].access_keys;
        for id in [REVOKED, EXPIRED, LATER] {
            let mut key = keys[0].clone();
            key.access_key_id = id.into();
            match id {
                REVOKED => key.status = AccessKeyStatus::Revoked,
                EXPIRED => key.expires_at = Some(now()),
                _ => key.expires_at = Some(now() + TimeDelta::seconds(1)),
            }
            keys.push(key);
        }
    })
    .await;
    let with = |access_key_id| Client {
        access_key_id,
        ..world.a.clone()
    };
    for id in ["VLTNOBODY00000000000", REVOKED, EXPIRED] {
        let client = with(id);
        let answer = client.get("/").await;
        assert_refused(&world, &answer, (403, "InvalidAccessKeyId"), id);
        let answer = Presigned::new(&client, "/abkt/k").send().await;
        assert_refused(&world, &answer, (403, "InvalidAccessKeyId"), id);
    }
    let forger = Client {
        secret: "guessed",
        ..world.a.clone()
    };
    let answer = forger.get("/abkt/k").await;
    assert_refused(&world, &answer, (403, "SignatureDoesNotMatch"), "a forger");
    assert_eq!(with(LATER).get("/").await.status, 200);
}

#[tokio::test]
async fn row_22_no_other_way_of_signing() {
    let world = World::start().await;
    let (_, head) = world.a.call("GET", "/abkt/k").head();
    let (before, rest) = head.split_once("authorization: ").unwrap();
    let (_, after) = rest.split_once("\r\n").unwrap();
    for value in [
        "AWS k:s",
        "Basic azpz",
        "Bearer x",
        "AWS4-ECDSA-P256-SHA256 x",
        "",
    ] {
        let head = format!("{before}authorization: {value}\r\n{after}");
        let answer = parse(&world.a.raw(head.as_bytes()).await);
        assert_refused(&world, &answer, (400, "InvalidRequest"), value);
    }
    let target = "/abkt/k?AWSAccessKeyId=VLTAAAAAAAAAAAAAAAAA&Expires=1&Signature=s";
    let answer = unsigned(&world.a, "GET", target, "x").await;
    assert_refused(&world, &answer, (400, "InvalidRequest"), target);
    // Two ways at once.
    let presigned = Presigned::new(&world.a, "/abkt/k").target();
    let both = head.replace("/abkt/k", &presigned);
    let answer = parse(&world.a.raw(both.as_bytes()).await);
    assert_refused(&world, &answer, (400, "InvalidArgument"), "both");
    assert_eq!(parse(&world.a.raw(head.as_bytes()).await).status, 404);
}

#[tokio::test]
async fn row_23_without_credentials_nothing_is_told() {
    for world in worlds().await {
        with_secret(&world).await;
        for target in [
            "/",
            "/bvic",
            "/bvic/secret",
            "/abkt/k",
            "/none/k",
            "/bvic?acl",
            "/bvic/secret?versionId=null",
        ] {
            let answer = unsigned(&world.a, "GET", target, "x").await;
            assert_refused(&world, &answer, (403, "AccessDenied"), target);
        }
        assert_eq!(world.b.get("/bvic/secret").await.body, "s");
    }
}
