//! Browsers' uploads: what a policy allows is stored, and nothing else.

mod rights;
mod signatures;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::client::parse;
use crate::upload::{said, upload};
use crate::world::World;

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
