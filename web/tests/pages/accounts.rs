//! Signing up, logging in and out: what is kept, what is refused, where one ends up.

use http::StatusCode;

use crate::site::{PASSWORD, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sign_up_keeps_what_was_typed_but_for_the_password() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let form = browser.get("/signup").await;
    let refused = [
        ("Engines", "no address", PASSWORD, "email"),
        ("Engines", "a@b.example", "short12", "password"),
        (" ", "a@b.example", PASSWORD, "company"),
        ("Engines", "a@b.example", "", "password"),
    ];
    for (company, email, password, field) in refused {
        let fields = [
            ("company", company),
            ("email", email),
            ("password", password),
        ];
        let again = browser.submit("/signup", &form, &fields).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(!again.element(&format!("{field}-error")).is_empty());
        assert!(again.has(&format!("aria-describedby=\"{field}-error")));
        assert_eq!(again.body.matches("aria-invalid=\"true\"").count(), 1);
        assert!(again.has(&format!("value=\"{email}\"")));
        assert!(password.is_empty() || !again.has(password));
        assert!(!browser.cookies.contains_key("vaultaire_session"));
    }
    let fields = [
        ("company", "Engines"),
        ("email", "a@b.example"),
        ("password", PASSWORD),
    ];
    let answer = browser.submit("/signup", &form, &fields).await;
    assert_eq!(answer.status, StatusCode::OK);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_is_logged_in_is_sent_to_the_dashboard() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    for path in ["/login", "/signup"] {
        assert_eq!(member.get(path).await.location(), "/dashboard", "{path}");
        assert_eq!(site.browser().get(path).await.status, StatusCode::OK);
    }
    assert!(member.get("/").await.has("Open the dashboard"));
    site.close().await;
}
