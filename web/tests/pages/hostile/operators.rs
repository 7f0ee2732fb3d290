//! The operators' area from outside: by strangers, by customers, by operators with half a log-in, and by forged forms.

use axum::body::Body;
use chrono::Duration;
use http::{Method, Request, StatusCode};
use web::Access;

use super::access::concrete;
use crate::operators::{
    OPERATOR, OPERATORS_PASSWORD, code, log_in, open_link, operator_client, setup_link,
};
use crate::site::{Browser, Page, Site, pair};

const METHODS: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];

async fn ask(browser: &mut Browser, method: &Method, path: &str) -> Page {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("sec-fetch-site", "same-origin");
    browser.send(request, Body::empty()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_nobody_but_an_operator_opens_the_operators_pages() {
    let site = Site::start().await;
    let mut owner = site.member("Engines", "ada@engines.example").await;
    let (mut operator, _) = operator_client(&site).await;
    let mut half = site.browser();
    let form = half.get("/admin/login").await;
    let fields = [("email", OPERATOR), ("password", OPERATORS_PASSWORD)];
    let answer = half.submit("/admin/login", &form, &fields).await;
    assert_eq!(answer.location(), "/admin/login/code");
    // A token of the one kind in the other's cookie.
    let mut dressed = site.browser();
    let token = owner.cookies["vaultaire_session"].clone();
    dressed
        .cookies
        .insert("vaultaire_operator".to_owned(), token);
    let mut challenged = site.browser();
    let token = half.cookies["vaultaire_operator_login"].clone();
    challenged
        .cookies
        .insert("vaultaire_operator".to_owned(), token);
    let mut walked = 0;
    for (route, access) in web::route_table() {
        if access != Access::Operator {
            continue;
        }
        let path = concrete(route);
        for method in METHODS {
            let others = [&mut owner, &mut half, &mut dressed, &mut challenged];
            for browser in others.into_iter().chain([&mut site.browser()]) {
                let page = ask(browser, &method, &path).await;
                assert_eq!(page.status, StatusCode::SEE_OTHER, "{method} {path}");
                assert_eq!(page.location(), "/admin/login", "{method} {path}");
                assert!(!page.has("<main"));
            }
            walked += 1;
        }
        // The twin.
        let own = operator.get(&path).await;
        let opens = [
            StatusCode::OK,
            StatusCode::SEE_OTHER,
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
        ];
        assert!(opens.contains(&own.status), "{path}: {}", own.status);
        assert_ne!(own.location(), "/admin/login", "{path}");
    }
    assert!(walked >= 20, "{walked}");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_an_operators_session_opens_no_customers_page() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let (mut operator, _) = operator_client(&site).await;
    let token = operator.cookies["vaultaire_operator"].clone();
    let mut dressed = site.browser();
    dressed
        .cookies
        .insert("vaultaire_session".to_owned(), token);
    for (route, access) in web::route_table() {
        if !matches!(access, Access::Member { .. }) {
            continue;
        }
        let path = concrete(route);
        for browser in [&mut operator, &mut dressed] {
            let page = browser.get(&path).await;
            assert!(page.location().starts_with("/login"), "{path}");
        }
    }
    assert_eq!(member.get("/dashboard").await.status, StatusCode::OK);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_every_operators_form_wants_origin_and_token() {
    let site = Site::start().await;
    let (mut operator, _) = operator_client(&site).await;
    let page = operator.get("/admin/operators").await;
    let token = page.hidden_fields("/admin/logout");
    let (ours, foreign) = (
        [("sec-fetch-site", "same-origin")],
        [("origin", "https://evil.example")],
    );
    let mut refused = 0;
    for (route, access) in web::route_table() {
        if access != Access::Operator {
            continue;
        }
        let path = concrete(route);
        let forged = operator.post(&path, &token, &foreign).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN, "{path}");
        let without = operator.post(&path, &[], &ours).await;
        let wrong = [pair("csrf_token", &"0".repeat(64))];
        let other = operator.post(&path, &wrong, &ours).await;
        assert_eq!(without.status, other.status, "{path}");
        let takes_none = without.status == StatusCode::METHOD_NOT_ALLOWED;
        assert!(
            takes_none || without.status == StatusCode::FORBIDDEN,
            "{path}"
        );
        refused += usize::from(!takes_none);
    }
    assert!(refused >= 4, "{refused}");
    let out = operator.post("/admin/logout", &token, &ours).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_a_link_without_a_second_step_gets_nowhere_and_ends() {
    let site = Site::start().await;
    let link = setup_link(&site, OPERATOR).await;
    let mut browser = site.browser();
    let (form, totp) = open_link(&mut browser, &link).await;
    // Neither the link nor a chosen password is a way in before the second step.
    let fields = [("password", OPERATORS_PASSWORD), ("code", "")];
    browser.submit("/admin/setup", &form, &fields).await;
    assert_eq!(browser.get("/admin").await.location(), "/admin/login");
    let (_, answer) = log_in(&site, OPERATOR, OPERATORS_PASSWORD).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    site.clock.advance(Duration::minutes(61));
    let code = code(&site, &totp);
    let fields = [("password", OPERATORS_PASSWORD), ("code", code.as_str())];
    let late = browser.submit("/admin/setup", &form, &fields).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    assert!(!browser.cookies.contains_key("vaultaire_operator"));
    assert_eq!(browser.get(&link).await.status, StatusCode::BAD_REQUEST);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_an_operators_address_is_told_by_no_answer_and_guesses_are_counted() {
    let site = Site::start().await;
    let (_, totp) = operator_client(&site).await;
    let pending = "pending@vaultaire.example";
    setup_link(&site, pending).await;
    let mut answers = Vec::new();
    for email in [OPERATOR, pending, "nobody@vaultaire.example"] {
        let (_, answer) = log_in(&site, email, "a wrong one").await;
        let token = answer.hidden_fields("/admin/login").remove(0).1;
        let body = answer.body.replace(email, "").replace(&token, "");
        answers.push((answer.status, body));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    for email in [OPERATOR, "nobody@vaultaire.example"] {
        for _ in 0..9 {
            let (_, answer) = log_in(&site, email, "a wrong one").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
        let (_, answer) = log_in(&site, email, OPERATORS_PASSWORD).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{email}");
    }
    site.clock.advance(Duration::minutes(16));
    // Codes are counted as well.
    let (mut browser, answer) = log_in(&site, OPERATOR, OPERATORS_PASSWORD).await;
    assert_eq!(answer.location(), "/admin/login/code");
    let form = browser.get("/admin/login/code").await;
    for n in 0..11 {
        let fields = [("code", "000000")];
        let answer = browser.submit("/admin/login/code", &form, &fields).await;
        let expected = match n {
            10 => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        assert_eq!(answer.status, expected, "{n}");
    }
    let right = code(&site, &totp);
    let fields = [("code", right.as_str())];
    let answer = browser.submit("/admin/login/code", &form, &fields).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_22_an_operators_session_ends_unused_after_an_hour_and_always_after_twelve() {
    let site = Site::start().await;
    let (mut used, _) = operator_client(&site).await;
    for _ in 0..23 {
        site.clock.advance(Duration::minutes(30));
        assert_eq!(used.get("/admin/operators").await.status, StatusCode::OK);
    }
    site.clock.advance(Duration::minutes(31));
    assert_eq!(
        used.get("/admin/operators").await.location(),
        "/admin/login"
    );
    let (mut idle, _) = crate::operators::operator_of(&site, "olga@vaultaire.example").await;
    site.clock.advance(Duration::minutes(59));
    assert_eq!(idle.get("/admin/operators").await.status, StatusCode::OK);
    site.clock.advance(Duration::minutes(61));
    assert_eq!(
        idle.get("/admin/operators").await.location(),
        "/admin/login"
    );
    site.close().await;
}
