//! What is left of the limits is in every answer, and who asks too often waits alone.

use chrono::Duration;
use controlplane::api_tokens::TokenScope;
use http::{Method, StatusCode};

use super::Api;

#[tokio::test]
async fn who_asks_too_often_waits_and_nobody_else_does() {
    let api = Api::start().await;
    let owner = api.plane.sign_up("owner@example.com").await;
    let token = api.token(&owner, &[TokenScope::Read]).await;
    let another = api.token(&owner, &[TokenScope::Read]).await;
    let ask = async |token: &str| api.ask(Method::GET, "/whoami", token, None).await;
    let first = ask(&token).await;
    let policy = "\"token\";q=300;w=10, \"account\";q=1000;w=10";
    assert_eq!(first.header("ratelimit-policy"), policy);
    assert_eq!(
        first.header("ratelimit"),
        "\"token\";r=299;t=1, \"account\";r=999;t=1"
    );
    for _ in 1..300 {
        assert_eq!(ask(&token).await.status, StatusCode::OK);
    }
    let refused = ask(&token).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-policy"), policy);
    assert!(
        refused
            .header("ratelimit")
            .starts_with("\"token\";r=0;t=10")
    );
    assert_eq!(refused.text("code"), "too_many_requests");
    assert_eq!(ask(&another).await.status, StatusCode::OK);
    api.plane.clock.advance(Duration::seconds(1));
    assert_eq!(ask(&token).await.status, StatusCode::OK);
    // Strangers are answered before anything is counted.
    assert_eq!(ask("vlt_x").await.header("ratelimit"), "");
    api.stop().await;
}
