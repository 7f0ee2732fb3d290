//! Sessions: none is taken up that somebody planted, none outlives its end, and a log-in leads nowhere else.

use http::StatusCode;

use crate::site::{PASSWORD, Site};

#[tokio::test(flavor = "multi_thread")]
async fn row_16_logging_in_gives_a_new_session_and_ends_the_old_one() {
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
async fn row_16_a_session_that_was_logged_out_is_over_even_for_who_kept_the_cookie() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let mut copy = member.clone();
    assert_eq!(copy.get("/dashboard").await.status, StatusCode::OK);
    let page = member.get("/dashboard").await;
    member.submit("/logout", &page, &[]).await;
    assert_eq!(copy.get("/dashboard").await.location(), "/login");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_20_after_the_log_in_one_is_where_one_wanted_to_be_and_never_elsewhere() {
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
