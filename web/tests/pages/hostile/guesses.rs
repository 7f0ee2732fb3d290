//! Guessing passwords: what a wrong one learns, how many there are, and how long one may be.

use http::StatusCode;

use crate::site::{PASSWORD, Site};

#[tokio::test(flavor = "multi_thread")]
async fn row_02_a_wrong_password_reads_as_an_unknown_address_does() {
    let site = Site::start().await;
    site.member("Engines", "ada@engines.example").await;
    let mut browser = site.browser();
    let form = browser.get("/login").await;
    let mut words = Vec::new();
    for email in ["ada@engines.example", "nobody@engines.example"] {
        let fields = [("email", email), ("password", "wrong horse battery")];
        let again = browser.submit("/login", &form, &fields).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED);
        assert!(again.has(email) && !again.has("wrong horse"));
        words.push(again.body.replace(email, ""));
    }
    assert_eq!(words[0], words[1]);
    let fields = [("email", "Ada@Engines.example "), ("password", PASSWORD)];
    let answer = browser.submit("/login", &form, &fields).await;
    assert_eq!(answer.location(), "/dashboard");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_03_too_many_attempts_are_told_as_such() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let form = browser.get("/login").await;
    let fields = [("email", "ada@engines.example"), ("password", "wrong")];
    for _ in 0..10 {
        let again = browser.submit("/login", &form, &fields).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    }
    let again = browser.submit("/login", &form, &fields).await;
    assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(again.has("Too many attempts") && again.has("id=\"submit\""));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_03_an_address_that_is_only_claimed_begins_no_new_count() {
    let site = Site::start().await;
    site.member("Engines", "ada@engines.example").await;
    let attempt = async |number: u32, password: &str| {
        let mut browser = site.browser();
        let form = browser.get("/login").await;
        let mut fields = form.hidden_fields("/login");
        fields.push(crate::site::pair("email", "ada@engines.example"));
        fields.push(crate::site::pair("password", password));
        let claimed = format!("198.51.100.{number}");
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("x-forwarded-for", claimed.as_str()),
            ("x-real-ip", claimed.as_str()),
        ];
        browser.post("/login", &fields, &headers).await.status
    };
    for number in 0..10 {
        assert_eq!(attempt(number, "wrong").await, StatusCode::UNAUTHORIZED);
    }
    // Even the right one waits, and then it is taken.
    let held = attempt(10, PASSWORD).await;
    assert_eq!(held, StatusCode::TOO_MANY_REQUESTS);
    site.clock.advance(chrono::Duration::minutes(15));
    assert_eq!(attempt(11, PASSWORD).await, StatusCode::SEE_OTHER);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_04_a_password_may_be_long_and_not_endless() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let form = browser.get("/signup").await;
    for (length, status) in [(10_000, StatusCode::BAD_REQUEST), (64, StatusCode::OK)] {
        let password = "long enough ".repeat(length / 12 + 1)[..length].to_owned();
        let fields = [
            ("company", "Engines"),
            ("email", "ada@engines.example"),
            ("password", password.as_str()),
        ];
        let answer = browser.submit("/signup", &form, &fields).await;
        assert_eq!(answer.status, status, "{length}: {}", answer.body);
        assert!(!answer.has(&password));
    }
    site.link("confirm_sign_up", "ada@engines.example").await;
    let long = "x".repeat(10_000);
    let form = browser.get("/login").await;
    let fields = [
        ("email", "ada@engines.example"),
        ("password", long.as_str()),
    ];
    let answer = browser.submit("/login", &form, &fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    site.close().await;
}
