//! A member's own log-in: links in mails, the password, the address, sessions, and the second step.

use http::StatusCode;

use crate::site::{Browser, PASSWORD, Page, Site, press};

const NEW: &str = "another horse entirely";

async fn log_in(site: &Site, email: &str, password: &str) -> (Browser, Page) {
    let mut browser = site.browser();
    let form = browser.get("/login").await;
    let fields = [("email", email), ("password", password)];
    let answer = browser.submit("/login", &form, &fields).await;
    (browser, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_ones_own_machine_the_page_shows_the_link_and_says_why() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let form = browser.get("/signup").await;
    let fields = [
        ("company", "Engines"),
        ("email", "ada@engines.example"),
        ("password", PASSWORD),
    ];
    let page = browser.submit("/signup", &form, &fields).await;
    assert!(page.has("Shown because this is a trial on your own machine"));
    let link = page.element("mail-link").to_owned();
    let mailed = site.link("confirm_sign_up", "ada@engines.example").await;
    assert!(link.ends_with(&mailed), "{link}");
    // Behind a proxy nobody is on this machine.
    let mut hidden = form.hidden_fields("/signup");
    hidden.extend(fields.iter().map(|(k, v)| crate::site::pair(k, v)));
    let proxied = [
        ("sec-fetch-site", "same-origin"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    let page = browser.post("/signup", &hidden, &proxied).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.has("token=") && !page.has("own machine"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_anew_and_other_sessions_are_over() {
    let site = Site::start().await;
    let mut elsewhere = site.member("Engines", "ada@engines.example").await;
    let mut browser = site.browser();
    let form = browser.get("/password/forgot").await;
    let mut words = Vec::new();
    for email in ["nobody@engines.example", "ada@engines.example"] {
        let page = browser
            .submit("/password/forgot", &form, &[("email", email)])
            .await;
        words.push((page.status, page.body.replace(email, "")));
    }
    assert_eq!(words[0], words[1]);
    let link = site.link("reset_password", "ada@engines.example").await;
    let page = press(&mut browser, &link, &[("password", "short")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let answer = press(&mut browser, &link, &[("password", NEW)]).await;
    assert_eq!(answer.location(), "/login?notice=password-set");
    assert!(
        browser
            .get(answer.location())
            .await
            .has("every session of your log-in was ended")
    );
    assert_eq!(browser.get(&link).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(elsewhere.get("/dashboard").await.location(), "/login");
    let (_, refused) = log_in(&site, "ada@engines.example", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let (_, answer) = log_in(&site, "ada@engines.example", NEW).await;
    assert_eq!(answer.location(), "/dashboard");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn password_and_address_are_changed_on_pages_of_their_own() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/account/password").await;
    let wrong = [("password", "not hers"), ("new_password", NEW)];
    let page = ada.submit("/account/password", &form, &wrong).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.element("password-error").is_empty());
    let right = [("password", PASSWORD), ("new_password", NEW)];
    let answer = ada.submit("/account/password", &form, &right).await;
    assert_eq!(answer.location(), "/account?notice=password");
    assert!(
        ada.get(answer.location())
            .await
            .has("your other sessions were ended")
    );

    let form = ada.get("/account/email").await;
    let fields = [("email", "ada@new.example"), ("password", NEW)];
    let answer = ada.submit("/account/email", &form, &fields).await;
    let page = ada.get(answer.location()).await;
    assert!(page.has("ada@new.example waits to be confirmed"));
    assert_eq!(page.element("own-email"), "ada@engines.example");
    let link = site.link("confirm_email", "ada@new.example").await;
    let page = press(&mut site.browser(), &link, &[]).await;
    assert!(page.has("Your address is changed"), "{}", page.body);
    assert_eq!(
        ada.get("/account").await.element("own-email"),
        "ada@new.example"
    );
    let undo = site.link("email_changed", "ada@engines.example").await;
    let page = press(&mut site.browser(), &undo, &[]).await;
    assert!(page.has("The change is undone"));
    assert_eq!(ada.get("/account").await.location(), "/login?next=/account");
    let (_, answer) = log_in(&site, "ada@engines.example", NEW).await;
    assert_eq!(answer.location(), "/dashboard");
    for used in [&link, &undo] {
        assert_eq!(ada.get(used).await.status, StatusCode::BAD_REQUEST);
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_one_by_one_and_all_but_this() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let (mut second, _) = log_in(&site, "ada@engines.example", PASSWORD).await;
    let (mut third, _) = log_in(&site, "ada@engines.example", PASSWORD).await;
    let page = ada.get("/account").await;
    assert_eq!(page.body.matches("This one").count(), 1);
    assert_eq!(page.body.matches("data-end=").count(), 2);
    let (_, id) = page
        .body
        .split_once("data-end=\"")
        .expect("another session");
    let end = format!("/account/sessions/{}/end", &id[..32]);
    let eve = site
        .member("Evil", "eve@evil.example")
        .await
        .get("/account")
        .await;
    assert!(!eve.has(&end));
    let mut evil = site.member("Evil", "mallory@evil.example").await;
    let own = evil.get("/account").await.hidden_fields("/logout");
    let foreign = evil
        .post(&end, &own, &[("sec-fetch-site", "same-origin")])
        .await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let answer = ada.submit(&end, &page, &[]).await;
    assert_eq!(answer.location(), "/account?notice=session");
    let mut alive = 0;
    for browser in [&mut second, &mut third] {
        alive += usize::from(browser.get("/account").await.status == StatusCode::OK);
    }
    assert_eq!(alive, 1);
    let page = ada.get("/account").await;
    let answer = ada.submit("/account/sessions/end-others", &page, &[]).await;
    assert_eq!(answer.location(), "/account?notice=sessions");
    for browser in [&mut second, &mut third] {
        assert_eq!(browser.get("/dashboard").await.location(), "/login");
    }
    assert!(ada.get("/account").await.has("Only here"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_step_is_set_up_asked_for_and_turned_off() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let form = ada.get("/account/second-step").await;
    let secret = form.element("totp-secret").replace(' ', "");
    assert!(form.has("<svg class=\"qr\""));
    let totp = totp_rs::Secret::try_from_base32(secret).expect("base32");
    let totp = totp_rs::Builder::new()
        .with_secret(totp)
        .build()
        .expect("TOTP");
    let code = |site: &Site| {
        let now = u64::try_from(site.clock.now().timestamp()).expect("after 1970");
        totp.generate(now).to_string()
    };
    let wrong = [("code", "000000"), ("password", PASSWORD)];
    let again = ada.submit("/account/second-step", &form, &wrong).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(again.element("totp-secret"), form.element("totp-secret"));
    let now = code(&site);
    let right = [("code", now.as_str()), ("password", PASSWORD)];
    let page = ada.submit("/account/second-step", &again, &right).await;
    let codes: Vec<String> = page
        .element("recovery-codes")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    assert!(
        ada.get("/account")
            .await
            .has("10 of 10 recovery codes left")
    );

    let (mut browser, answer) = log_in(&site, "ada@engines.example", PASSWORD).await;
    assert_eq!(answer.location(), "/login/code");
    assert_eq!(
        browser.get("/dashboard").await.location(),
        "/login",
        "half a log-in is none"
    );
    let form = browser.get("/login/code").await;
    let used = browser
        .submit("/login/code", &form, &[("code", now.as_str())])
        .await;
    assert_eq!(used.status, StatusCode::UNPROCESSABLE_ENTITY);
    site.clock.advance(chrono::Duration::seconds(30));
    let next = code(&site);
    let answer = browser
        .submit("/login/code", &form, &[("code", next.as_str())])
        .await;
    assert_eq!(answer.location(), "/dashboard");
    assert!(!browser.cookies.contains_key("vaultaire_login"));
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::OK);

    let (mut lost, _) = log_in(&site, "ada@engines.example", PASSWORD).await;
    let form = lost.get("/login/code").await;
    let answer = lost
        .submit("/login/code", &form, &[("code", &codes[0])])
        .await;
    assert_eq!(answer.location(), "/dashboard");
    let form = lost.get("/account/second-step/off").await;
    let fields = [("code", codes[1].as_str()), ("password", PASSWORD)];
    let answer = lost
        .submit("/account/second-step/off", &form, &fields)
        .await;
    assert_eq!(answer.location(), "/account?notice=second-step-off");
    let (_, answer) = log_in(&site, "ada@engines.example", PASSWORD).await;
    assert_eq!(answer.location(), "/dashboard");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ownership_is_handed_over_and_who_leaves_is_out() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", "ada@engines.example").await;
    let mut bob = site
        .colleague(&mut ada, "bob@engines.example", "developer")
        .await;
    assert!(bob.get("/members").await.has("id=\"leave\""));
    let refused = {
        let page = ada.get("/members/leave").await;
        ada.submit("/members/leave", &page, &[]).await
    };
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let page = ada.get("/members").await;
    let (_, id) = page.body.split_once("data-member=\"").expect("bob");
    let path = format!("/members/{}/transfer", &id[..32]);
    let form = ada.get(&path).await;
    let wrong = ada.submit(&path, &form, &[("password", "not hers")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let answer = ada.submit(&path, &form, &[("password", PASSWORD)]).await;
    assert_eq!(answer.location(), "/members?notice=transferred");
    let page = ada.get("/members/leave").await;
    let answer = ada.submit("/members/leave", &page, &[]).await;
    assert_eq!(answer.location(), "/login?notice=left");
    let (_, refused) = log_in(&site, "ada@engines.example", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(bob.get("/members").await.has("1 member"));
    site.close().await;
}
