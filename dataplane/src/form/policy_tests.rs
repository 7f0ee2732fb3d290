use super::*;

fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-04T05:06:07Z")
        .unwrap()
        .to_utc()
}

fn document(conditions: &str) -> String {
    format!("{{\"expiration\": \"2026-03-04T05:06:08.000Z\", \"conditions\": {conditions}}}")
}

fn parse(text: &str) -> Result<Policy, S3Error> {
    Policy::parse(&STANDARD.encode(text))
}

/// The outcome for a form with these fields, in the bucket `b`, with a file of ten bytes.
fn outcome(conditions: &str, fields: &[(&str, &str)]) -> Result<(), (Code, String)> {
    let fields = Fields(
        fields
            .iter()
            .map(|(name, value)| Field {
                name: (*name).into(),
                value: (*value).into(),
            })
            .collect(),
    );
    let conditions = format!("[{{\"bucket\": \"b\"}}, {conditions}]");
    parse(&document(&conditions))
        .and_then(|policy| policy.check(&fields, "b", 10, now()))
        .map_err(|error| (error.code, error.message.into_owned()))
}

#[test]
fn conditions_hold() {
    for (conditions, fields, met) in [
        (r#"{"key": "a"}"#, &[("key", "a")][..], true),
        (r#"{"key": "a"}"#, &[("key", "b")], false),
        (r#"{"key": "a"}"#, &[("key", "A")], false),
        (r#"{"kEy": "a"}"#, &[("Key", "a")], true),
        (
            r#"{"key": "a"}, {"acl": "private"}"#,
            &[("key", "a")],
            false,
        ),
        (r#"["eq", "$key", "a"]"#, &[("key", "a")], true),
        (r#"["EQ", "$KEY", "a"]"#, &[("key", "a")], true),
        (r#"["eq", "key", "a"]"#, &[("key", "a")], false),
        (r#"["starts-with", "$key", "u/"]"#, &[("key", "u/x")], true),
        (r#"["StArTs-WiTh", "$key", "u/"]"#, &[("key", "u/x")], true),
        (
            r#"["starts-with", "$key", "u/"]"#,
            &[("key", "v/u/x")],
            false,
        ),
        (r#"["starts-with", "$key", ""]"#, &[("key", "x")], true),
        (r#"["starts-with", "$key", ""]"#, &[], true),
        (
            r#"["starts-with", "$Content-Type", "image/"]"#,
            &[("content-type", "image/png, image/jpeg")],
            true,
        ),
        (
            r#"["starts-with", "$Content-Type", "image/"]"#,
            &[("content-type", "image/png,text/html")],
            false,
        ),
        (
            r#"["starts-with", "$key", "image/"]"#,
            &[("key", "image/a,text/b")],
            true,
        ),
        (r#"["content-length-range", 10, 10]"#, &[], true),
        (r#"["content-length-range", "10", "10"]"#, &[], true),
        (r#"["content-length-range", "ten", "10"]"#, &[], false),
        (r#"{"bucket": "c"}"#, &[("bucket", "c")], false),
        (
            r#"["starts-with", "$bucket", ""]"#,
            &[("bucket", "c")],
            true,
        ),
        // Both ways in which S3's documentation spells a dollar.
        (r#"["eq", "$key", "\$a"]"#, &[("key", "$a")], true),
        (r#"["eq", "$key", "\\$a"]"#, &[("key", "\\$a")], true),
        (r#"["eq", "$key", "a\vb"]"#, &[("key", "a\u{b}b")], true),
    ] {
        let outcome = outcome(conditions, fields);
        assert_eq!(outcome.is_ok(), met, "{conditions} {fields:?} {outcome:?}");
        if let Err((code, _)) = outcome {
            assert_eq!(code, Code::AccessDenied);
        }
    }
}

#[test]
fn refusals_say_what_failed() {
    let failed =
        |conditions: &str, fields: &[(&str, &str)]| outcome(conditions, fields).unwrap_err().1;
    assert_eq!(
        failed(r#"{"Key": "a\"b"}"#, &[("key", "x")]),
        r#"Invalid according to Policy: Policy Condition failed: ["eq", "$Key", "a\"b"]"#
    );
    assert_eq!(
        failed(r#"["STARTS-WITH", "$key", "a"]"#, &[]),
        r#"Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "a"]"#
    );
    assert_eq!(
        failed(r#"["content-length-range", "ten", "10"]"#, &[]),
        r#"Invalid according to Policy: Policy Condition failed: ["content-length-range", "ten", "10"]"#
    );
    assert_eq!(
        failed(r#"["eq", "$key", ""]"#, &[("Extra", "1")]),
        "Invalid according to Policy: Extra input fields: Extra"
    );
}

#[test]
fn every_field_wants_a_condition() {
    let any_key = r#"["starts-with", "$key", ""]"#;
    assert!(
        outcome(
            any_key,
            &[
                ("key", "a"),
                ("File", ""),
                ("Policy", ""),
                ("X-Amz-Signature", ""),
                ("X-Ignore-Me", "")
            ]
        )
        .is_ok()
    );
    for extra in ["acl", "x-amz-date", "x-amz-credential", "x-ignor", "submit"] {
        let (code, message) = outcome(any_key, &[("key", "a"), (extra, "")]).unwrap_err();
        assert_eq!(code, Code::AccessDenied);
        assert!(
            message.ends_with(&format!("Extra input fields: {extra}")),
            "{message}"
        );
    }
    let no_bucket = parse(&document(&format!("[{any_key}]"))).unwrap();
    let error = no_bucket.check(&Fields(vec![]), "b", 0, now()).unwrap_err();
    assert!(error.message.ends_with("Extra input fields: bucket"));
}

#[test]
fn lengths_hold_and_are_told() {
    for (range, code, details) in [
        (
            "[\"content-length-range\", 11, 20]",
            Code::EntityTooSmall,
            [("ProposedSize", "10"), ("MinSizeAllowed", "11")],
        ),
        (
            "[\"content-length-range\", 0, 9]",
            Code::EntityTooLarge,
            [("ProposedSize", "10"), ("MaxSizeAllowed", "9")],
        ),
    ] {
        let policy = parse(&document(&format!("[{range}]"))).unwrap();
        let error = policy.check(&Fields(vec![]), "b", 10, now()).unwrap_err();
        let said: Vec<(&str, &str)> = error
            .details
            .iter()
            .map(|(n, v)| (*n, v.as_str()))
            .collect();
        assert_eq!((error.code, &said[..]), (code, &details[..]));
    }
}

#[test]
fn a_policy_ends() {
    let policy = parse(&document("[{\"bucket\": \"b\"}]")).unwrap();
    let at = |seconds| {
        let now = now() + chrono::TimeDelta::seconds(seconds);
        policy
            .check(&Fields(vec![]), "b", 0, now)
            .map_err(|error| error.message)
    };
    assert_eq!(at(0), Ok(()));
    assert_eq!(
        at(1).unwrap_err(),
        "Invalid according to Policy: Policy expired."
    );
}

#[test]
fn what_is_no_policy_is_refused() {
    for (text, why) in [
        ("", "Invalid JSON."),
        ("{", "Invalid JSON."),
        ("[]", ""),
        (r#"{"conditions": []}"#, "missing field `expiration`"),
        (
            r#"{"EXPIRATION": "2030-01-01T00:00:00Z", "conditions": []}"#,
            "unknown field",
        ),
        (
            r#"{"expiration": "2030-01-01T00:00:00Z"}"#,
            "missing field `conditions`",
        ),
        (
            r#"{"expiration": "2030-01-01T00:00:00Z", "conditions": {}}"#,
            "",
        ),
        (
            r#"{"expiration": "2030-01-01T00:00:00Z", "expiration": "2040-01-01T00:00:00Z", "conditions": []}"#,
            "duplicate field",
        ),
        (
            r#"{"expiration": "2030-01-01 00:00:00Z", "conditions": []}"#,
            "Invalid 'expiration'",
        ),
        (
            r#"{"expiration": "2030-01-01T00:00:00+02:00", "conditions": []}"#,
            "Invalid 'expiration'",
        ),
        (r#"{"expiration": 2030, "conditions": []}"#, ""),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.code, Code::InvalidPolicyDocument, "{text}");
        assert!(error.message.contains(why), "{text}: {}", error.message);
    }
    for condition in [
        "{}",
        r#"{"key": "a", "acl": "b"}"#,
        r#"{"key": 1}"#,
        r#"{"key": null}"#,
        "[]",
        "[1]",
        r#"["eq", "$key"]"#,
        r#"["eq", "$key", "a", "b"]"#,
        r#"["eq", "$key", 1]"#,
        r#"["ends-with", "$key", "a"]"#,
        r#"["content-length-range", 1]"#,
        r#"["content-length-range", -1, 1]"#,
        r#"["content-length-range", 0, 1.5]"#,
        r#"["content-length-range", 0, null]"#,
        "1",
        "\"eq\"",
    ] {
        let error = parse(&document(&format!("[{condition}]"))).unwrap_err();
        assert_eq!(error.code, Code::InvalidPolicyDocument, "{condition}");
    }
    assert_eq!(
        Policy::parse("%%%").unwrap_err().code,
        Code::InvalidPolicyDocument
    );
    assert!(parse(&document("[]")).is_ok());
    let lines: String = STANDARD
        .encode(document("[]"))
        .as_bytes()
        .chunks(60)
        .map(|l| format!("{}\r\n", String::from_utf8_lossy(l)))
        .collect();
    assert!(Policy::parse(&lines).is_ok());
}
