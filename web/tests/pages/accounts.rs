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
async fn a_wrong_password_reads_as_an_unknown_address_does() {
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
async fn too_many_attempts_are_told_as_such() {
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

#[tokio::test(flavor = "multi_thread")]
async fn after_the_log_in_one_is_where_one_wanted_to_be_and_never_elsewhere() {
    let site = Site::start().await;
    site.member("Engines", "ada@engines.example").await;
    let login = site.browser().get("/access-keys").await;
    assert_eq!(login.location(), "/login?next=/access-keys");
    for (next, expected) in [
        ("/access-keys", "/access-keys"),
        ("//evil.example/", "/dashboard"),
        ("https://evil.example/", "/dashboard"),
        ("/\\evil.example", "/dashboard"),
        ("/%5Cevil.example", "/dashboard"),
        ("/%09/evil.example", "/dashboard"),
        ("%2F%2Fevil.example", "/dashboard"),
    ] {
        let mut browser = site.browser();
        let form = browser.get(&format!("/login?next={next}")).await;
        assert!(!form.has("evil"), "{next}");
        let fields = [("email", "ada@engines.example"), ("password", PASSWORD)];
        let answer = browser.submit("/login", &form, &fields).await;
        assert_eq!(answer.location(), expected, "{next}");
        // What the page would not hand on, a forged field does not either.
        let mut browser = site.browser();
        let form = browser.get("/login").await;
        let mut hidden = form.hidden_fields("/login");
        hidden.retain(|(name, _)| name != "next");
        hidden.extend([
            crate::site::pair("next", "//evil.example"),
            crate::site::pair("email", "ada@engines.example"),
            crate::site::pair("password", PASSWORD),
        ]);
        let ours = [("sec-fetch-site", "same-origin")];
        let answer = browser.post("/login", &hidden, &ours).await;
        assert_eq!(answer.location(), "/dashboard");
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_in_gives_a_new_session_and_ends_the_old_one() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let old = member.clone();
    // The form of a visitor, then the cookie of the session beside it, as after a log-in in another tab.
    let form = site.browser().get("/login").await;
    let token = form.hidden_fields("/login").remove(0).1;
    member.cookies.insert("vaultaire_form".to_owned(), token);
    let fields = [("email", "ada@engines.example"), ("password", PASSWORD)];
    let answer = member.submit("/login", &form, &fields).await;
    assert_eq!(answer.location(), "/dashboard");
    assert_ne!(
        member.cookies["vaultaire_session"],
        old.cookies["vaultaire_session"]
    );
    assert_eq!(member.get("/dashboard").await.status, StatusCode::OK);
    assert_eq!(old.clone().get("/dashboard").await.location(), "/login");

    // A token that someone planted is not taken up.
    let mut planted = site.browser();
    let chosen = "a".repeat(43);
    planted
        .cookies
        .insert("vaultaire_session".to_owned(), chosen.clone());
    let form = planted.get("/login").await;
    let answer = planted.submit("/login", &form, &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_ne!(planted.cookies["vaultaire_session"], chosen);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_logged_out_is_over_even_for_who_kept_the_cookie() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let mut copy = member.clone();
    assert_eq!(copy.get("/dashboard").await.status, StatusCode::OK);
    let page = member.get("/dashboard").await;
    member.submit("/logout", &page, &[]).await;
    assert_eq!(copy.get("/dashboard").await.location(), "/login");
    site.close().await;
}
