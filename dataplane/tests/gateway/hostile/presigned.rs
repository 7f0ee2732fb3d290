//! Presigned URLs, borrowed, stretched and added to.

use chrono::{DateTime, TimeDelta, Utc};
use sigv4::{CanonicalRequest, CredentialScope};

use super::{assert_refused, with_secret, worlds};
use crate::client::{Answer, Client, parse};
use crate::world::{World, now};

/// A presigned request, to be changed before it is sent.
pub struct Presigned<'a> {
    client: &'a Client,
    method: &'a str,
    path: &'a str,
    host: String,
    expires: &'a str,
    at: DateTime<Utc>,
    /// Signed parameters beside those of the signature.
    query: Vec<(&'a str, &'a str)>,
}

impl<'a> Presigned<'a> {
    pub fn new(client: &'a Client, path: &'a str) -> Self {
        Presigned {
            client,
            method: "GET",
            path,
            host: client.address.to_string(),
            expires: "900",
            at: client.now,
            query: Vec::new(),
        }
    }

    pub fn target(&self) -> String {
        let timestamp = self.at.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = CredentialScope {
            date: self.at.format("%Y%m%d").to_string().into(),
            ..self.client.scope()
        };
        let credential = format!("{}/{scope}", self.client.access_key_id);
        let mut query: Vec<(String, String)> = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &timestamp),
            ("X-Amz-Expires", self.expires),
            ("X-Amz-SignedHeaders", "host"),
        ]
        .into_iter()
        .chain(self.query.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        let canonical = CanonicalRequest {
            method: self.method,
            path: self.path,
            query: &query,
            headers: &[("host", self.host.as_bytes())],
            signed_headers: &["host"],
            payload_hash: "UNSIGNED-PAYLOAD",
        };
        let text = sigv4::string_to_sign(&timestamp, &scope, &canonical.hash());
        let key = sigv4::derive_signing_key(self.client.secret, &scope.date, "us-east-1", "s3");
        query.push(("X-Amz-Signature".into(), sigv4::signature(&key, &text)));
        let encode = |text: &str| sigv4::uri_encode(text.as_bytes(), true).into_owned();
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        format!("{}?{}", self.path, pairs.join("&"))
    }

    pub async fn send(&self) -> Answer {
        unsigned(self.client, self.method, &self.target(), &self.host).await
    }
}

pub async fn unsigned(client: &Client, method: &str, target: &str, host: &str) -> Answer {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    parse(&client.raw(head.as_bytes()).await)
}

#[tokio::test]
async fn row_15_a_presigned_url_is_for_one_host_and_one_bucket() {
    for world in worlds().await {
        with_secret(&world).await;
        world.a.put("/abkt/secret", "of a").await;
        world.engine.take_seen();
        let here = world.b.address.to_string();
        let theirs = Presigned::new(&world.b, "/bvic/secret").target();
        let elsewhere = theirs.replace("/bvic/", "/abkt/");
        let answer = unsigned(&world.b, "GET", &elsewhere, &here).await;
        assert_refused(
            &world,
            &answer,
            (403, "SignatureDoesNotMatch"),
            "A's bucket",
        );
        let answer = unsigned(&world.b, "PUT", &theirs, &here).await;
        assert_refused(
            &world,
            &answer,
            (403, "SignatureDoesNotMatch"),
            "another method",
        );

        let mut in_host = Presigned::new(&world.b, "/secret");
        in_host.host = "bvic.s3.test".into();
        let answer = unsigned(&world.b, "GET", &in_host.target(), "abkt.s3.test").await;
        assert_refused(&world, &answer, (403, "SignatureDoesNotMatch"), "A's host");
        assert_eq!(in_host.send().await.body, "s");
        assert_eq!(unsigned(&world.b, "GET", &theirs, &here).await.body, "s");
    }
}

#[tokio::test]
async fn row_24_a_presigned_url_lives_seven_days_at_most() {
    let world = World::start().await;
    for expires in [
        "604801",
        "-1",
        "0",
        "abc",
        "",
        "9999999999999999999999",
        "1.5",
    ] {
        let mut presigned = Presigned::new(&world.a, "/abkt/k");
        presigned.expires = expires;
        let answer = presigned.send().await;
        let expected = (400, "AuthorizationQueryParametersError");
        assert_refused(&world, &answer, expected, expires);
    }
    let mut longest = Presigned::new(&world.a, "/abkt/k");
    longest.expires = "604800";
    assert_eq!(longest.send().await.code(), "NoSuchKey");
}

#[tokio::test]
async fn row_25_an_expired_presigned_url_is_over() {
    let world = World::start().await;
    for (expires, age) in [("60", 61), ("604800", 604_801), ("900", -901)] {
        let mut presigned = Presigned::new(&world.a, "/abkt/k");
        (presigned.expires, presigned.at) = (expires, now() - TimeDelta::seconds(age));
        let answer = presigned.send().await;
        assert_refused(&world, &answer, (403, "AccessDenied"), expires);
    }
    for (expires, age) in [("60", 60), ("604800", 604_800), ("900", -899)] {
        let mut presigned = Presigned::new(&world.a, "/abkt/k");
        (presigned.expires, presigned.at) = (expires, now() - TimeDelta::seconds(age));
        assert_eq!(presigned.send().await.code(), "NoSuchKey", "{expires}");
    }
}

#[tokio::test]
async fn row_36_what_is_hoisted_into_a_presigned_url_counts_or_is_refused() {
    let world = World::start().await;
    with_secret(&world).await;
    let put = |query: Vec<(&'static str, &'static str)>| {
        let mut presigned = Presigned::new(&world.a, "/abkt/k");
        (presigned.method, presigned.query) = ("PUT", query);
        presigned
    };
    for (name, value, status, code) in [
        ("X-Amz-Copy-Source", "/bvic/secret", 501, "NotImplemented"),
        ("x-amz-copy-source", "/abkt/x", 501, "NotImplemented"),
        ("X-Amz-Expected-Bucket-Owner", "b", 501, "NotImplemented"),
        (
            "X-Amz-Bypass-Governance-Retention",
            "true",
            501,
            "NotImplemented",
        ),
        (
            "X-Amz-Acl",
            "public-read",
            400,
            "AccessControlListNotSupported",
        ),
        (
            "x-amz-grant-read",
            "id=b",
            400,
            "AccessControlListNotSupported",
        ),
        (
            "X-Amz-Website-Redirect-Location",
            "/",
            501,
            "NotImplemented",
        ),
        ("X-Amz-Security-Token", "t", 400, "InvalidToken"),
        (
            "X-Amz-Meta-A",
            "x\r\nx-amz-acl: public-read",
            400,
            "InvalidArgument",
        ),
        ("X-Amz-Meta-A b", "x", 400, "InvalidArgument"),
        ("X-Amz-Meta-A\r\nx-evil", "x", 400, "InvalidArgument"),
    ] {
        let answer = put(vec![(name, value)]).send().await;
        assert_refused(&world, &answer, (status, code), name);
    }
    let twice = put(vec![("X-Amz-Meta-A", "1"), ("x-amz-meta-a", "2")])
        .send()
        .await;
    assert_refused(&world, &twice, (400, "InvalidArgument"), "twice");
    // Signed by nobody: behind a signature, the query is what was signed.
    let added = format!("{}&X-Amz-Meta-A=1", put(vec![]).target());
    let host = world.a.address.to_string();
    let answer = unsigned(&world.a, "PUT", &added, &host).await;
    assert_refused(&world, &answer, (403, "SignatureDoesNotMatch"), "added");
    assert_eq!(put(vec![("X-Amz-Meta-A", "1")]).send().await.status, 200);
    assert_eq!(world.engine.take_seen()[0].headers["x-amz-meta-a"], "1");
}
