//! Who signed a form's policy: nobody else's word counts, and no other way of saying it.

use wire::AccessKeyStatus;

use crate::upload::{said, upload};
use crate::world::{SECRET_B, World};

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
