//! Browsers' uploads: what a policy allows is stored, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{AccessKeyStatus, Permission, TenantStatus, ToNode};

use crate::client::parse;
use crate::upload::{said, upload};
use crate::world::{KEY_B, SECRET_B, World, tenant};

#[tokio::test]
async fn what_the_policy_allows_is_stored() {
    for world in [World::start().await, World::pooled().await] {
        let answer = upload(&world.a, "in/${filename}")
            .field("Content-Type", "image/png")
            .field("Cache-Control", "no-store")
            .field("x-amz-meta-colour", "red")
            .field("acl", "private")
            .field("x-ignore-me", "1")
            .extra("X-Ignore-Me-Too", "1")
            .field("submit", "Upload")
            .send()
            .await;
        assert_eq!(said(&answer), (204, ""), "{}", answer.body);
        assert_eq!(answer.headers["etag"], "\"e\"");
        let location = format!("http://{}/abkt/in%2Fa.txt", world.a.address);
        assert_eq!(answer.headers["location"], location);
        assert_eq!(answer.body, "");
        let seen = world.engine.take_seen();
        let [put] = &seen[..] else {
            panic!("one request reaches the engine: {seen:?}")
        };
        assert!(put.uri.ends_with("/in/a.txt"), "{}", put.uri);
        assert_eq!(put.body.as_deref(), Some(&b"hello"[..]));
        for (name, value) in [
            ("content-type", "image/png"),
            ("content-length", "5"),
            ("cache-control", "no-store"),
            ("x-amz-meta-colour", "red"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ] {
            assert_eq!(put.headers[name], value);
        }
        for name in ["x-amz-acl", "key", "submit", "policy", "x-amz-signature"] {
            assert!(!put.headers.contains_key(name), "{name}");
        }
        assert_eq!(world.a.get("/abkt/in/a.txt").await.body, "hello");
    }
}

#[tokio::test]
async fn a_bucket_may_be_named_by_the_host_and_the_file_need_no_name() {
    let world = World::start().await;
    let mut form = upload(&world.a, "${filename}").file(b"");
    form.target = "/";
    form.host = "abkt.s3.test".into();
    form.filename = None;
    let answer = form.send().await;
    assert_eq!(said(&answer), (204, ""), "{}", answer.body);
    assert_eq!(
        answer.headers["location"],
        "http://abkt.s3.test/%24%7Bfilename%7D"
    );
    let put = world.engine.take_seen().pop().unwrap();
    assert_eq!(put.headers["content-type"], "binary/octet-stream");
    assert_eq!(put.headers["content-length"], "0");
    assert_eq!(world.engine.objects().len(), 1);
}

#[tokio::test]
async fn answers_are_as_the_form_asks() {
    let world = World::start().await;
    let key = "a/<b>&\"é ${filename}";
    let ask = |name: &'static str, value: &'static str| upload(&world.a, key).field(name, value);
    for (asked, status) in [("200", 200), ("204", 204), ("302", 204), ("<x>", 204)] {
        let answer = ask("success_action_status", asked).send().await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, ""),
            "{asked}"
        );
        assert_eq!(answer.headers["etag"], "\"e\"");
    }
    let created = ask("success_action_status", "201").send().await;
    assert_eq!(created.status, 201);
    assert_eq!(created.headers["content-type"], "application/xml");
    assert_eq!(created.element("Key"), "a/&lt;b&gt;&amp;&quot;é a.txt");
    assert_eq!(created.element("Bucket"), "abkt");
    assert_eq!(created.element("ETag"), "&quot;e&quot;");
    assert_eq!(created.element("Location"), created.headers["location"]);
    assert!(created.headers["location"].ends_with("/abkt/a%2F%3Cb%3E%26%22%C3%A9%20a.txt"));
    let sent_on = ask("success_action_redirect", "https://x.test/ok?a=1")
        .send()
        .await;
    assert_eq!(sent_on.status, 303);
    assert_eq!(
        sent_on.headers["location"],
        "https://x.test/ok?a=1&bucket=abkt&key=a%2F%3Cb%3E%26%22%C3%A9+a.txt&etag=%22e%22"
    );
    for address in ["javascript:alert(1)", "https://x.test/\r\nset-cookie: a=b"] {
        let answer = ask("success_action_redirect", address).send().await;
        assert_eq!(answer.status, 204, "{address}");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_form_that_nobody_signed_so_is_refused() {
    let world = World::with(|snapshot| {
        let mut expired = snapshot.tenants[1].access_keys[0].clone();
        expired.access_key_id = "VLTEXPIREDEXPIRED001".into();
        expired.expires_at = Some(crate::world::now());
        let mut revoked = expired.clone();
        revoked.access_key_id = "VLTREVOKEDREVOKED001".into();
        revoked.expires_at = None;
        revoked.status = AccessKeyStatus::Revoked;
        snapshot.tenants[0].access_keys.extend([expired, revoked]);
    })
    .await;
    let good = upload(&world.a, "k");
    let other_policy = upload(&world.a, "k").condition("{\"x\": \"\"}").policy();
    for (changes, expected) in [
        (&[("policy", None)][..], (403, "AccessDenied")),
        (
            &[("policy", Some(&*other_policy))],
            (403, "SignatureDoesNotMatch"),
        ),
        (&[("policy", Some("%%%"))], (403, "SignatureDoesNotMatch")),
        (&[("x-amz-signature", None)], (400, "InvalidArgument")),
        (&[("x-amz-signature", Some("x"))], (400, "InvalidArgument")),
        (
            &[("x-amz-signature", Some(&*"0".repeat(64)))],
            (403, "SignatureDoesNotMatch"),
        ),
        (&[("x-amz-algorithm", None)], (400, "InvalidArgument")),
        (
            &[("x-amz-algorithm", Some("AWS4-ECDSA-P256-SHA256"))],
            (400, "InvalidArgument"),
        ),
        (
            &[("x-amz-credential", Some("x/y"))],
            (400, "InvalidArgument"),
        ),
        (&[("x-amz-date", Some("today"))], (400, "InvalidArgument")),
        (
            &[("x-amz-date", Some("20260303T050607Z"))],
            (400, "InvalidArgument"),
        ),
        (
            &[
                ("x-amz-algorithm", None),
                ("x-amz-credential", None),
                ("x-amz-date", None),
                ("x-amz-signature", None),
            ],
            (403, "AccessDenied"),
        ),
        (
            &[("AWSAccessKeyId", Some(world.a.access_key_id))],
            (400, "InvalidRequest"),
        ),
        (&[("signature", Some("x"))], (400, "InvalidRequest")),
    ] {
        let answer = good.send_changed(changes).await;
        assert_eq!(said(&answer), expected, "{changes:?} {}", answer.body);
        world.assert_engine_saw_nothing("unsigned");
    }
    for (id, secret, expected) in [
        ("VLTNOBODYNOBODY00001", "x", "InvalidAccessKeyId"),
        ("VLTEXPIREDEXPIRED001", SECRET_B, "InvalidAccessKeyId"),
        ("VLTREVOKEDREVOKED001", SECRET_B, "InvalidAccessKeyId"),
        (world.a.access_key_id, "guessed", "SignatureDoesNotMatch"),
    ] {
        let client = world.node.client(id, secret);
        assert_eq!(said(&upload(&client, "k").send().await), (403, expected));
    }
    world.assert_engine_saw_nothing("strangers");
    assert_eq!(said(&good.send().await), (204, ""));
}

#[tokio::test]
async fn scopes_and_times_of_a_signature_hold() {
    let world = World::start().await;
    let credential = |scope: &str| format!("{}/{scope}", world.a.access_key_id);
    for (scope, timestamp, expected) in [
        (
            "20260304/us-east-1/s3/aws4_request",
            "20260304T000000Z",
            (204, ""),
        ),
        (
            "20260304/eu-west-1/s3/aws4_request",
            "20260304T000000Z",
            (400, "InvalidArgument"),
        ),
        (
            "20260304/us-east-1/sts/aws4_request",
            "20260304T000000Z",
            (400, "InvalidArgument"),
        ),
        (
            "20260304/us-east-1/s3/aws5_request",
            "20260304T000000Z",
            (400, "InvalidArgument"),
        ),
        (
            "20260304/us-east-1/s3/aws4_request",
            "20260304T060607Z",
            (403, "AccessDenied"),
        ),
        (
            "20260225/us-east-1/s3/aws4_request",
            "20260225T000000Z",
            (403, "AccessDenied"),
        ),
        (
            "20260226/us-east-1/s3/aws4_request",
            "20260226T000000Z",
            (204, ""),
        ),
    ] {
        // Signed with the day's own key.
        let mut client = world.a.clone();
        client.now = format!(
            "{}-{}-{}T00:00:00Z",
            &scope[..4],
            &scope[4..6],
            &scope[6..8]
        )
        .parse()
        .unwrap();
        let mut form = upload(&client, "k");
        form.credential = credential(scope);
        form.date = timestamp.into();
        let answer = form.send().await;
        assert_eq!(
            said(&answer),
            expected,
            "{scope} {timestamp} {}",
            answer.body
        );
        assert_eq!(
            world.engine.take_seen().len(),
            usize::from(expected.0 == 204)
        );
    }
    let mut form = upload(&world.a, "k");
    for (expiration, status) in [
        ("2026-03-04T05:06:07Z", 403),
        ("2026-03-04T05:06:08Z", 204),
        ("2025-01-01T00:00:00Z", 403),
    ] {
        form.expiration = expiration;
        let answer = form.send().await;
        assert_eq!(answer.status, status, "{expiration}");
        if status == 403 {
            assert_eq!(
                answer.element("Message"),
                "Invalid according to Policy: Policy expired."
            );
        }
    }
}

#[tokio::test]
async fn there_is_one_way_of_authenticating() {
    let world = World::start().await;
    for (target, headers) in [
        ("/abkt", "authorization: AWS4-HMAC-SHA256 x\r\n"),
        ("/abkt?X-Amz-Algorithm=AWS4-HMAC-SHA256", ""),
        ("/abkt?X-Amz-Signature=x", ""),
    ] {
        let mut form = upload(&world.a, "k");
        form.target = target;
        form.headers = headers.into();
        assert_eq!(said(&form.send().await), (400, "InvalidArgument"));
    }
    let plain = world
        .a
        .call("POST", "/abkt")
        .header("content-type", "application/x-www-form-urlencoded")
        .send()
        .await;
    assert_eq!(said(&plain), (412, "PreconditionFailed"));
    assert!(plain.element("Condition").contains("multipart/form-data"));
    world.assert_engine_saw_nothing("two ways");
    assert_eq!(upload(&world.a, "k").send().await.status, 204);
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_refused() {
    let world = World::start().await;
    for (form, message) in [
        (
            upload(&world.a, "out/k").condition(r#"["starts-with", "$key", "in/"]"#),
            "Policy Condition failed: [&quot;starts-with&quot;, &quot;$key&quot;, &quot;in/&quot;]",
        ),
        // The variable is replaced before it is compared.
        (
            upload(&world.a, "${filename}").condition(r#"{"key": "${filename}"}"#),
            "Policy Condition failed: [&quot;eq&quot;, &quot;$key&quot;, &quot;${filename}&quot;]",
        ),
        (
            upload(&world.a, "k").condition(r#"{"bucket": "shared-name"}"#),
            "Policy Condition failed: [&quot;eq&quot;, &quot;$bucket&quot;, &quot;shared-name&quot;]",
        ),
        (
            upload(&world.a, "k").extra("<Script>", "1"),
            "Extra input fields: &lt;Script&gt;",
        ),
        (
            upload(&world.a, "k").extra("x-amz-meta-a", "1"),
            "Extra input fields: x-amz-meta-a",
        ),
    ] {
        let answer = form.send().await;
        assert_eq!(said(&answer), (403, "AccessDenied"), "{message}");
        let expected = format!("Invalid according to Policy: {message}");
        assert_eq!(answer.element("Message"), expected);
        world.assert_engine_saw_nothing(message);
    }
    let mut elsewhere = upload(&world.a, "k");
    elsewhere.target = "/shared-name";
    assert_eq!(said(&elsewhere.send().await), (403, "AccessDenied"));
    let broken = upload(&world.a, "k").condition(r#"["ends-with", "$key", "k"]"#);
    assert_eq!(said(&broken.send().await), (400, "InvalidPolicyDocument"));
    world.assert_engine_saw_nothing("policies");
    let good = upload(&world.a, "in/${filename}").condition(r#"{"key": "in/a.txt"}"#);
    assert_eq!(good.send().await.status, 204);
}

#[tokio::test]
async fn lengths_are_those_of_the_file_alone() {
    let world = World::start().await;
    let form = upload(&world.a, "k").condition(r#"["content-length-range", 5, 7]"#);
    for (length, expected) in [
        (4, (400, "EntityTooSmall")),
        (5, (204, "")),
        (7, (204, "")),
        (8, (400, "EntityTooLarge")),
    ] {
        let answer = form.clone().file(&vec![b'x'; length]).send().await;
        assert_eq!(said(&answer), expected, "{length}");
        if expected.0 == 400 {
            assert_eq!(answer.element("ProposedSize"), length.to_string());
        }
        assert_eq!(
            world.engine.take_seen().len(),
            usize::from(expected.0 == 204)
        );
    }
    let mut huge = upload(&world.a, "k");
    huge.headers = String::new();
    let head = huge.head(5 * 1024 * 1024 * 1024 + huge.body().len());
    let answer = parse(&world.a.raw(&[head.as_bytes(), &huge.body()].concat()).await);
    assert_eq!(said(&answer), (400, "EntityTooLarge"));
    world.assert_engine_saw_nothing("5 GiB and a little");
}

#[tokio::test]
async fn a_form_may_what_its_key_may() {
    let world = World::with(|snapshot| {
        let scope = &mut snapshot.tenants[0].access_keys[0].scope;
        scope.prefixes = vec!["in/".into()];
        scope.buckets = vec!["abkt".into()];
        scope.permission = Permission::Write;
        snapshot.tenants[1].access_keys[0].scope.permission = Permission::Read;
    })
    .await;
    for (key, status) in [("in/k", 204), ("out/k", 403), ("in", 403)] {
        assert_eq!(upload(&world.a, key).send().await.status, status, "{key}");
        assert_eq!(world.engine.take_seen().len(), usize::from(status == 204));
    }
    let elsewhere = |client| {
        let mut form = upload(client, "in/k").condition("[\"starts-with\", \"$bucket\", \"\"]");
        form.conditions.remove(0);
        form
    };
    let mut other = elsewhere(&world.a);
    other.target = "/shared-name";
    assert_eq!(said(&other.send().await), (403, "AccessDenied"));
    let mut reader = elsewhere(&world.b);
    reader.target = "/bvic";
    assert_eq!(said(&reader.send().await), (403, "AccessDenied"));
    world.assert_engine_saw_nothing("scopes");
}

#[tokio::test]
async fn a_foreign_bucket_is_one_that_nobody_has() {
    for world in [World::start().await, World::pooled().await] {
        let mut answers = Vec::new();
        for target in ["/bvic", "/none"] {
            let mut form = upload(&world.a, "k").condition("[\"starts-with\", \"$bucket\", \"\"]");
            form.conditions.remove(0);
            form.target = target;
            let answer = form.send().await;
            assert_eq!(said(&answer), (404, "NoSuchBucket"));
            answers.push(answer.body_without_id().replace(&target[1..], "B"));
        }
        assert_eq!(answers[0], answers[1]);
        world.assert_engine_saw_nothing("foreign buckets");
        let own = world.node.client(KEY_B, SECRET_B);
        let mut form = upload(&own, "k");
        form.conditions[0] = r#"{"bucket": "bvic"}"#.into();
        form.target = "/bvic";
        assert_eq!(form.send().await.status, 204);
    }
}

#[tokio::test]
async fn an_account_that_may_not_write_may_not_by_form() {
    for (status, expected) in [
        (TenantStatus::Active, 204),
        (TenantStatus::ReadOnly, 403),
        (TenantStatus::Suspended, 403),
    ] {
        let world = World::with(|snapshot| snapshot.tenants[0].status = status).await;
        let answer = upload(&world.a, "k").send().await;
        assert_eq!(answer.status, expected);
        if expected == 403 {
            assert_eq!(answer.code(), "AccountProblem");
            world.assert_engine_saw_nothing("accounts");
        }
    }
    let world = World::with(|snapshot| {
        snapshot.tenants[0].limits.requests_per_second = 1;
        snapshot.tenants[0].limits.burst = 1;
    })
    .await;
    assert_eq!(upload(&world.a, "k").send().await.status, 204);
    assert_eq!(said(&upload(&world.a, "k").send().await), (503, "SlowDown"));
}

#[tokio::test]
async fn fields_are_held_to_what_headers_are() {
    let world = World::start().await;
    for (name, value, expected) in [
        ("acl", "public-read", (400, "AccessControlListNotSupported")),
        (
            "x-amz-acl",
            "public-read",
            (400, "AccessControlListNotSupported"),
        ),
        (
            "x-amz-storage-class",
            "GLACIER",
            (400, "InvalidStorageClass"),
        ),
        ("x-amz-security-token", "t", (400, "InvalidToken")),
        ("x-amz-something-new", "1", (501, "NotImplemented")),
        ("x-amz-copy-source", "/bvic/secret", (501, "NotImplemented")),
        (
            "x-amz-expected-bucket-owner",
            "nobody",
            (403, "AccessDenied"),
        ),
        ("x-amz-meta-a", &"v".repeat(2048), (400, "MetadataTooLarge")),
        ("x-amz-meta-a", "1\r\nx-evil: 2", (400, "InvalidArgument")),
        (
            "Content-Disposition",
            &"v".repeat(9000),
            (400, "RequestHeaderSectionTooLarge"),
        ),
        ("Content-MD5", "short", (400, "InvalidDigest")),
        (
            "Content-MD5",
            &STANDARD.encode(Md5::digest("jello")),
            (400, "BadDigest"),
        ),
        ("x-amz-checksum-crc32", "AAAAAA==", (400, "BadDigest")),
    ] {
        let answer = upload(&world.a, "k").field(name, value).send().await;
        assert_eq!(said(&answer), expected, "{name}: {}", answer.body);
        world.assert_engine_saw_nothing(name);
    }
    for (name, value) in [
        ("acl", "private"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-expected-bucket-owner", &*"a".repeat(32)),
        ("x-amz-meta-a", &"v".repeat(2047)),
        ("Content-MD5", &STANDARD.encode(Md5::digest("hello"))),
        ("x-amz-checksum-crc32", "NhCmhg=="),
    ] {
        let answer = upload(&world.a, "k").field(name, value).send().await;
        assert_eq!(said(&answer), (204, ""), "{name}: {}", answer.body);
    }
    // What stands in the request's own head was not signed, and says nothing.
    let mut unsigned = upload(&world.a, "k");
    unsigned.headers = "x-amz-meta-forged: 1\r\nx-amz-copy-source: /bvic/secret\r\n".into();
    world.engine.take_seen();
    assert_eq!(unsigned.send().await.status, 204);
    let put = world.engine.take_seen().pop().unwrap();
    assert!(!put.headers.contains_key("x-amz-meta-forged"));
    assert!(!put.headers.contains_key("x-amz-copy-source"));
}

#[tokio::test]
async fn tags_go_on_to_an_engine_that_keeps_them() {
    const TAGS: &str =
        "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet></Tagging>";
    for (can, expected) in [(false, (501, "NotImplemented")), (true, (204, ""))] {
        let world = World::with(|snapshot| {
            snapshot.settings.engines[0].capabilities.object_tagging = can;
        })
        .await;
        let answer = upload(&world.a, "k").field("tagging", TAGS).send().await;
        assert_eq!(said(&answer), expected, "{}", answer.body);
        match world.engine.take_seen().pop() {
            Some(put) if can => assert_eq!(put.headers["x-amz-tagging"], "a%20b=1%262"),
            other => assert!(!can && other.is_none()),
        }
    }
}

#[tokio::test]
async fn a_pages_script_may_read_the_answer_where_the_bucket_says_so() {
    let world = World::with(|snapshot| {
        snapshot.tenants[0].buckets[1].cors = vec![wire::CorsRule {
            allowed_origins: vec!["https://app.example".into()],
            allowed_methods: vec!["POST".into()],
            ..wire::CorsRule::default()
        }];
    })
    .await;
    for (origin, allowed) in [("https://app.example", true), ("https://evil", false)] {
        let mut form = upload(&world.a, "k");
        form.headers = format!("origin: {origin}\r\n");
        let stored = form.send().await;
        let refused = form.send_changed(&[("policy", Some("e30="))]).await;
        let broken = form.send_body(b"no form").await;
        for (answer, status) in [(stored, 204), (refused, 403), (broken, 400)] {
            assert_eq!(answer.status, status);
            let header = answer.headers.get("access-control-allow-origin");
            assert_eq!(
                header.map(String::as_str),
                allowed.then_some(origin),
                "{status}"
            );
        }
    }
    let put = world.engine.take_seen().pop().unwrap();
    assert!(!put.headers.contains_key("origin"));
}

#[tokio::test]
async fn keys_are_what_they_are_elsewhere() {
    let world = World::start().await;
    for (key, expected) in [
        ("", (400, "UserKeyMustBeSpecified")),
        ("../bvic/k", (400, "InvalidURI")),
        ("a/./b", (400, "InvalidURI")),
        ("a\0b", (400, "InvalidURI")),
        (&"k".repeat(1025), (400, "KeyTooLongError")),
    ] {
        assert_eq!(said(&upload(&world.a, key).send().await), expected);
        world.assert_engine_saw_nothing("keys");
    }
    let mut climbing = upload(&world.a, "in/${filename}");
    climbing.filename = Some("..");
    assert_eq!(said(&climbing.send().await), (400, "InvalidURI"));
    let mut none = upload(&world.a, "k");
    none.fields.clear();
    assert_eq!(said(&none.send().await), (400, "UserKeyMustBeSpecified"));
    world.assert_engine_saw_nothing("no key");
    for key in ["%2e%2e/x", "a//b", "é +", &"k".repeat(1024)] {
        assert_eq!(
            said(&upload(&world.a, key).send().await),
            (204, ""),
            "{key}"
        );
    }
}

#[tokio::test]
async fn what_was_admitted_before_a_revocation_is_not_stored_after_it() {
    let world = World::start().await;
    let form = upload(&world.a, "k").file(&vec![b'x'; 300_000]);
    let body = form.body();
    let mut stream = tokio::net::TcpStream::connect(world.a.address)
        .await
        .unwrap();
    let head = form.head(body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..200_000]).await.unwrap();
    world.engine.begun(1).await;
    let mut revoked = tenant('a', 30, false);
    revoked.access_keys[0].status = AccessKeyStatus::Revoked;
    world.control.push(&ToNode::Tenant(revoked));
    world.control.acked(30).await;
    stream.write_all(&body[200_000..]).await.unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).await.unwrap();
    assert_eq!(said(&parse(&out)), (403, "InvalidAccessKeyId"));
    assert!(world.engine.objects().is_empty());
    world.control.push(&ToNode::Tenant(tenant('a', 31, false)));
    world.control.acked(31).await;
    assert_eq!(form.send().await.status, 204);
}
