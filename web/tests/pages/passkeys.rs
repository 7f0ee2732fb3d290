//! Passkeys on their pages: made, used alone and after the password, renamed, removed; and where there can be none.

use http::StatusCode;

use crate::authenticator::Authenticator;
use crate::site::{Browser, PASSWORD, Page, Site};

const URL: &str = "https://storage.example";
const EMAIL: &str = "ada@engines.example";

/// Through the form, up to where the browser's answer was taken.
async fn add(browser: &mut Browser, device: &mut Authenticator, name: &str) -> Page {
    let form = browser.get("/account/passkeys/new").await;
    let fields = [("name", name), ("password", PASSWORD)];
    let page = browser
        .submit("/account/passkeys/new", &form, &fields)
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.has("passkey.js") && page.has("<noscript>"));
    assert_eq!(page.attribute("data-origin"), URL);
    let made = device.make(&page.attribute("data-options"));
    let fields = [("credential", made.as_str())];
    browser
        .submit("/account/passkeys/answer", &page, &fields)
        .await
}

/// Presses the button for passkeys on that page, and answers with the device's.
async fn with_passkey(
    browser: &mut Browser,
    path: &str,
    action: &str,
    device: &mut Authenticator,
) -> Page {
    let form = browser.get(path).await;
    let page = browser.submit(action, &form, &[]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let answer = device.answer(&page.attribute("data-options"));
    let fields = [("credential", answer.as_str())];
    browser
        .submit(&format!("{action}/answer"), &page, &fields)
        .await
}

async fn with_password(browser: &mut Browser) -> Page {
    let form = browser.get("/login").await;
    let fields = [("email", EMAIL), ("password", PASSWORD)];
    browser.submit("/login", &form, &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_from_its_making_to_its_end() {
    let site = Site::at(URL).await;
    let mut ada = site.member("Engines", EMAIL).await;
    let mut device = Authenticator::at(URL);
    let codes = add(&mut ada, &mut device, "Laptop").await;
    let codes: Vec<String> = codes
        .element("recovery-codes")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(codes.len(), 10);
    let page = ada.get("/account").await;
    assert!(
        page.has("with passkeys") && page.has("Laptop") && page.has("10 of 10 recovery codes left")
    );
    assert!(ada.get("/members").await.has(">On<"));

    let mut alone = site.browser();
    let answer = with_passkey(
        &mut alone,
        "/login?next=/buckets",
        "/login/passkey",
        &mut device,
    )
    .await;
    assert_eq!(answer.location(), "/buckets");
    assert!(!alone.cookies.contains_key("__Host-vaultaire-passkey"));
    assert_eq!(alone.get("/buckets").await.status, StatusCode::OK);

    let mut second = site.browser();
    assert_eq!(with_password(&mut second).await.location(), "/login/code");
    let answer = with_passkey(
        &mut second,
        "/login/code",
        "/login/code/passkey",
        &mut device,
    )
    .await;
    assert_eq!(answer.location(), "/dashboard");
    assert!(!second.cookies.contains_key("__Host-vaultaire-login"));
    let mut lost = site.browser();
    with_password(&mut lost).await;
    let form = lost.get("/login/code").await;
    assert!(form.has("Recovery code"));
    let answer = lost
        .submit("/login/code", &form, &[("code", &codes[0])])
        .await;
    assert_eq!(answer.location(), "/dashboard");

    let page = alone.get("/account").await;
    let id = page.attribute("data-rename");
    let path = format!("/account/passkeys/{id}");
    let form = alone.get(&path).await;
    let again = alone.submit(&path, &form, &[("name", " ")]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!again.element("name-error").is_empty());
    let answer = alone.submit(&path, &form, &[("name", "Desk & co")]).await;
    assert_eq!(answer.location(), "/account?notice=passkey-renamed");
    assert!(alone.get("/account").await.has("Desk &#38; co"));

    let remove = format!("{path}/remove");
    let form = alone.get(&remove).await;
    let wrong = alone
        .submit(&remove, &form, &[("password", "not hers")])
        .await;
    assert!(!wrong.element("password-error").is_empty());
    let answer = alone
        .submit(&remove, &form, &[("password", PASSWORD)])
        .await;
    assert_eq!(answer.location(), "/account?notice=passkey-removed");
    assert_eq!(alone.get(&path).await.status, StatusCode::NOT_FOUND);
    let mut browser = site.browser();
    let refused = with_passkey(&mut browser, "/login", "/login/passkey", &mut device).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.has("That passkey was not accepted") && refused.has("id=\"password\""));
    assert_eq!(with_password(&mut browser).await.location(), "/dashboard");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_nobody_elses() {
    let site = Site::at(URL).await;
    let mut ada = site.member("Engines", EMAIL).await;
    let mut eve = site.member("Evil", "eve@evil.example").await;
    add(&mut ada, &mut Authenticator::at(URL), "Laptop").await;
    let id = ada.get("/account").await.attribute("data-rename");
    let ours = [("sec-fetch-site", "same-origin")];
    for path in [
        format!("/account/passkeys/{id}"),
        format!("/account/passkeys/{id}/remove"),
    ] {
        assert_eq!(eve.get(&path).await.status, StatusCode::NOT_FOUND);
        let mut fields = eve.get("/account").await.hidden_fields("/logout");
        fields.push(crate::site::pair("name", "mine"));
        fields.push(crate::site::pair("password", PASSWORD));
        assert_eq!(
            eve.post(&path, &fields, &ours).await.status,
            StatusCode::NOT_FOUND
        );
    }
    assert!(ada.get("/account").await.has("Laptop"));
    // Without a challenge of one's own there is nothing to answer.
    let mut stranger = site.browser();
    let form = stranger.get("/login").await;
    let fields = form.hidden_fields("/login");
    for path in [
        "/login/passkey/answer",
        "/login/code/passkey",
        "/login/code/passkey/answer",
    ] {
        assert_eq!(
            stranger.post(path, &fields, &ours).await.location(),
            "/login",
            "{path}"
        );
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_can_be_none_the_page_says_why() {
    // Opened by digits, as `vaultaire up` says: the same machine by its name has them.
    let site = Site::start().await;
    let mut ada = site.member("Engines", EMAIL).await;
    let page = ada.get("/account").await;
    assert!(page.has("href=\"http://localhost:8080/account\"") && !page.has("id=\"add-passkey\""));
    assert!(!site.browser().get("/login").await.has("/login/passkey"));
    site.close().await;
    for (url, why) in [
        ("http://storage.example", "over https alone"),
        ("https://203.0.113.7", "for a name"),
    ] {
        let site = Site::at(url).await;
        let mut ada = site.member("Engines", EMAIL).await;
        let page = ada.get("/account").await;
        assert!(page.element("no-passkeys").contains(why), "{}", page.body);
        let form = ada.get("/account/passkeys/new").await;
        let fields = [("name", "a"), ("password", PASSWORD)];
        let refused = ada.submit("/account/passkeys/new", &form, &fields).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.has(why));
        site.close().await;
    }
}
