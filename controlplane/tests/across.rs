//! Usage and refusals over all tenants, and plans with who is on them.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::billing::business;
use crate::plane::Plane;

async fn get(plane: &Plane, path: &str) -> Value {
    let (status, body) = plane.admin(Method::GET, path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

fn column(rows: &Value, name: &str) -> Vec<Value> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[name].clone()).collect()
}

#[tokio::test]
async fn who_uses_the_most_comes_first() {
    let plane = Plane::start().await;
    let one = plane.tenant("one@example.com").await.id;
    let two = plane.tenant("two@example.com").await.id;
    let bucket = "'00000000-0000-0000-0000-000000000001'";
    plane
        .database
        .execute(&format!(
            "INSERT INTO tenant_usage VALUES ('{one}', 500, 5), ('{two}', 900, 1);
             INSERT INTO usage_hours VALUES
                 ('{one}', '2026-02-28T23:00:00Z', {bucket}, '', 'a', 7, 70, 0, 500, 5),
                 ('{one}', '2026-03-01T00:00:00Z', {bucket}, '', 'b', 2, 0, 9000, 0, 0),
                 ('{two}', '2026-03-01T01:00:00Z', {bucket}, '', 'a', 3, 30, 10, 900, 1),
                 ('{two}', '2026-01-01T01:00:00Z', {bucket}, '', 'a', 1000, 30, 1000000, 0, 0);
             INSERT INTO refusals VALUES
                 ('{two}', 'R1', '2026-03-01T11:00:00Z', '{two}', 'GetObject', 'b', 'K', 503, 'SlowDown', 'rate_limit', 1, 1,
                  1, NULL, 41),
                 ('{two}', 'R2', '2026-02-28T11:00:00Z', '{two}', 'GetObject', 'b', 'K', 403, 'AccessDenied',
                  'scope.bucket', NULL, NULL, 1, NULL, 0),
                 ('{one}', 'R3', '2026-03-01T11:30:00Z', '{one}', 'PutObject', 'b', 'K', 503, 'SlowDown', 'rate_limit', 1, 1,
                  1, NULL, 0);"
        ))
        .await;
    for (by, first) in [
        ("stored", two),
        ("egress", one),
        ("requests", one),
        ("refusals", two),
    ] {
        let seen = get(&plane, &format!("/usage?by={by}&limit=1")).await;
        assert_eq!(
            column(&seen["tenants"], "tenant_id"),
            [json!(first)],
            "{by}"
        );
    }
    let seen = get(&plane, "/usage?from=2026-02-28T00:00:00Z").await;
    let all = &seen["tenants"];
    assert_eq!(column(all, "tenant_id"), [json!(two), json!(one)]);
    assert_eq!(column(all, "stored_bytes"), [json!(900), json!(500)]);
    assert_eq!(column(all, "bytes_out"), [json!(10), json!(9000)]);
    assert_eq!(column(all, "requests"), [json!(3), json!(9)]);
    assert_eq!(column(all, "refusals"), [json!(43), json!(1)]);
    let days = &seen["days"];
    assert_eq!(
        column(days, "day"),
        [json!("2026-02-28"), json!("2026-03-01")]
    );
    assert_eq!(column(days, "requests"), [json!(7), json!(5)]);
    assert_eq!(column(days, "bytes_out"), [json!(0), json!(9010)]);
    assert_eq!(column(days, "stored_delta"), [json!(500), json!(900)]);
    assert_eq!(column(days, "refusals"), [json!(1), json!(43)]);
    for query in ["by=size", "limit=0", "limit=1001", "from=x", "colour=1"] {
        let (status, _) = plane
            .admin(Method::GET, &format!("/usage?{query}"), None)
            .await;
        assert!(status.is_client_error(), "{query}");
    }

    let seen = get(&plane, "/refusals/top").await;
    assert_eq!(
        column(&seen["tenants"], "count"),
        [json!(42), json!(1), json!(1)]
    );
    assert_eq!(seen["tenants"][0]["request_id"], "R1");
    assert_eq!(seen["tenants"][0]["rule"], "rate_limit");
    let seen = get(&plane, "/refusals/top?rule=rate_limit").await;
    assert_eq!(column(&seen["tenants"], "count"), [json!(42), json!(1)]);
    assert_eq!(
        seen["days"],
        json!([{ "day": "2026-03-01", "rule": "rate_limit", "count": 43 }])
    );
    let seen = get(&plane, "/refusals").await;
    assert_eq!(
        column(&seen["refusals"], "request_id"),
        [json!("R3"), json!("R1"), json!("R2")]
    );
    let seen = get(&plane, &format!("/refusals?tenant={two}&rule=scope.bucket")).await;
    assert_eq!(column(&seen["refusals"], "request_id"), [json!("R2")]);
    assert!(
        seen["refusals"][0]["explanation"]
            .as_str()
            .unwrap()
            .contains("other buckets")
    );
    let any = get(&plane, "/refusals/R3").await;
    assert_eq!(any["tenant_id"], json!(one));
    for query in ["rule=because", "tenant=x", "limit=0"] {
        let (status, _) = plane
            .admin(Method::GET, &format!("/refusals?{query}"), None)
            .await;
        assert!(status.is_client_error(), "{query}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_plan_says_who_is_on_which_version_and_is_retired_without_touching_anybody() {
    let plane = Plane::start().await;
    let old = business(&plane, "one@example.com").await;
    let change = json!({ "price_cents": 199_900 });
    plane
        .admin(Method::PATCH, "/plans/business", Some(change.clone()))
        .await;
    let new = business(&plane, "two@example.com").await;
    let seen = get(&plane, "/plans/business").await;
    assert_eq!(column(&seen["versions"], "version"), [json!(2), json!(1)]);
    assert_eq!(column(&seen["versions"], "tenants"), [json!(1), json!(1)]);
    assert_eq!(
        column(&seen["versions"], "price_cents"),
        [json!(199_900), json!(149_900)]
    );
    let mut on: Vec<Value> = column(&seen["subscribers"], "tenant_id");
    on.sort_by_key(ToString::to_string);
    let mut expected = vec![json!(old), json!(new)];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(on, expected);
    let (status, _) = plane.admin(Method::GET, "/plans/none", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let retire = "/plans/business/retire";
    let (status, retired) = plane.admin(Method::POST, retire, None).await;
    assert_eq!(
        (status, &retired["for_sale"]),
        (StatusCode::OK, &json!(false))
    );
    assert_eq!(retired["retired_at"], "2026-03-01T12:00:00Z");
    let third = plane.tenant("three@example.com").await.id;
    let path = format!("/tenants/{third}/plan");
    let onto = Some(json!({ "plan": "business" }));
    let (status, refused) = plane.admin(Method::POST, &path, onto.clone()).await;
    assert_eq!(
        (status, refused["field"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("plan"))
    );
    let body = json!({ "name": "x", "email": "four@example.com", "plan": "business" });
    let (status, _) = plane.admin(Method::POST, "/tenants", Some(body)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, refused) = plane
        .admin(
            Method::PATCH,
            "/plans/business",
            Some(json!({ "price_cents": 1 })),
        )
        .await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (StatusCode::CONFLICT, Some("plan_retired"))
    );
    let kept = get(&plane, &format!("/tenants/{old}")).await;
    assert_eq!(kept["plan"], "business", "who is on it stays on it");

    let (status, _) = plane.admin(Method::DELETE, retire, None).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = plane.admin(Method::POST, &path, onto).await;
    assert_eq!(status, StatusCode::OK);
    let (status, refused) = plane.admin(Method::POST, "/plans/trial/retire", None).await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (StatusCode::CONFLICT, Some("plan_needed"))
    );
    plane.stop().await;
}
