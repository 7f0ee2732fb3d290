//! Links in mails: what asking for one tells, whom it opens to, and where it leads.

use http::StatusCode;

use crate::site::{PASSWORD, Site, press};

#[tokio::test(flavor = "multi_thread")]
async fn row_05_a_sign_up_is_answered_alike_for_a_new_and_for_a_registered_address() {
    // Not on one's own machine: there the page shows the link, and says that it does.
    let site = Site::at("https://storage.example").await;
    site.member("Engines", "ada@engines.example").await;
    let mut answers = Vec::new();
    for email in ["ada@engines.example", "bob@engines.example"] {
        let mut browser = site.browser();
        let form = browser.get("/signup").await;
        let fields = [
            ("company", "Engines"),
            ("email", email),
            ("password", PASSWORD),
        ];
        let page = browser.submit("/signup", &form, &fields).await;
        assert!(page.has("Look into your mail") && !page.has("token="));
        assert!(page.has("Mail is not set up on this installation; it is in"));
        assert!(!browser.cookies.contains_key("__Host-vaultaire"));
        answers.push((page.status, page.body.replace(email, "")));
    }
    assert_eq!(answers[0], answers[1]);
    site.mail("already_registered", "ada@engines.example").await;
    site.link("confirm_sign_up", "bob@engines.example").await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_06_a_link_is_used_up_by_its_button_alone() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let link = site
        .sign_up(&mut browser, "Engines", "ada@engines.example")
        .await;
    // A scanner of mail, which has no cookies and asks for a password that it does not have.
    let mut scanner = site.browser();
    for _ in 0..2 {
        let page = scanner.get(&link).await;
        assert!(page.has("in another browser") && page.has("id=\"password\""));
    }
    let page = press(&mut scanner, &link, &[("password", "not hers at all")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.element("password-error").is_empty());
    let answer = press(&mut browser, &link, &[]).await;
    assert_eq!(answer.location(), "/dashboard");
    let again = browser.get(&link).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.has("This link does not work any more"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_06_links_bear_the_configured_origin_whatever_host_was_asked() {
    let site = Site::start().await;
    site.member("Engines", "ada@engines.example").await;
    let mut browser = site.browser();
    let form = browser.get("/password/forgot").await;
    let mut fields = form.hidden_fields("/password/forgot");
    fields.push(crate::site::pair("email", "ada@engines.example"));
    let forged = [
        ("sec-fetch-site", "same-origin"),
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
    ];
    let page = browser.post("/password/forgot", &fields, &forged).await;
    assert_eq!(page.status, StatusCode::OK);
    let mail = site.mail("reset_password", "ada@engines.example").await;
    assert!(mail.contains("http://127.0.0.1:8080/password/reset?token="));
    assert!(!mail.contains("evil"));
    site.close().await;
}
