//! The operators' area: a browser with an operator logged in, and what operators do about each other.

use http::StatusCode;
use totp_rs::{Builder, Secret, Totp};

use crate::site::{Browser, Page, Site};

pub const OPERATOR: &str = "otto@vaultaire.example";
pub const OPERATORS_PASSWORD: &str = "a horse that watches horses";

/// A browser in which an operator is logged in, by the link, both steps passed, and the app of theirs.
pub async fn operator_client(site: &Site) -> (Browser, Totp) {
    operator_of(site, OPERATOR).await
}

pub async fn operator_of(site: &Site, email: &str) -> (Browser, Totp) {
    let link = setup_link(site, email).await;
    let mut browser = site.browser();
    let (page, totp) = open_link(&mut browser, &link).await;
    let code = code(site, &totp);
    let fields = [("password", OPERATORS_PASSWORD), ("code", code.as_str())];
    let done = browser.submit("/admin/setup", &page, &fields).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert!(done.has("recovery-codes"));
    (browser, totp)
}

/// Path and query, as `vaultaire operator create` prints them.
pub async fn setup_link(site: &Site, email: &str) -> String {
    let mut tx = site.cp.begin_system().await.expect("a transaction");
    let link = controlplane::operators::create(&mut tx, &site.cp, email).await;
    tx.commit().await.expect("a commit");
    local(site, &link.expect("a link").setup_url)
}

pub fn local(site: &Site, url: &str) -> String {
    let public_url = &site.cp.config().public_url;
    url.strip_prefix(public_url.as_str())
        .expect("our own")
        .to_owned()
}

pub async fn open_link(browser: &mut Browser, link: &str) -> (Page, Totp) {
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let secret = page.element("totp-secret").replace(' ', "");
    let secret = Secret::try_from_base32(secret).expect("base32");
    let totp = Builder::new().with_secret(secret).build().expect("TOTP");
    (page, totp)
}

pub fn code(site: &Site, totp: &Totp) -> String {
    let now = site.clock.now().timestamp().unsigned_abs();
    totp.generate(now).to_string()
}

pub async fn log_in(site: &Site, email: &str, password: &str) -> (Browser, Page) {
    let mut browser = site.browser();
    let form = browser.get("/admin/login").await;
    let fields = [("email", email), ("password", password)];
    let answer = browser.submit("/admin/login", &form, &fields).await;
    (browser, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_link_to_the_first_page_and_in_again() {
    let site = Site::start().await;
    let link = setup_link(&site, OPERATOR).await;
    let mut browser = site.browser();
    let (page, totp) = open_link(&mut browser, &link).await;
    let right = code(&site, &totp);
    for (password, code, field) in [
        ("short", right.as_str(), "password-error"),
        (OPERATORS_PASSWORD, "000000", "code-error"),
        (OPERATORS_PASSWORD, "", "code-error"),
    ] {
        let fields = [("password", password), ("code", code)];
        let again = browser.submit("/admin/setup", &page, &fields).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(again.has(field), "{password} {code}");
        let (secret, first) = (again.element("totp-secret"), page.element("totp-secret"));
        assert_eq!(secret, first, "the app has it already");
        assert!(!browser.cookies.contains_key("vaultaire_operator"));
    }
    let fields = [("password", OPERATORS_PASSWORD), ("code", right.as_str())];
    let done = browser.submit("/admin/setup", &page, &fields).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    let recovery = done.element("recovery-codes").to_owned();
    let recovery: Vec<&str> = recovery.split_whitespace().collect();
    assert_eq!(recovery.len(), 10);
    let home = browser.get("/admin").await;
    assert_eq!(home.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get(home.location()).await.status, StatusCode::OK);
    // The link is used up.
    let again = site.browser().get(&link).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);

    let page = browser.get("/admin/operators").await;
    let out = browser.submit("/admin/logout", &page, &[]).await;
    assert_eq!(out.location(), "/admin/login?notice=logged-out");
    assert_eq!(browser.get("/admin").await.location(), "/admin/login");
    // With a later code, and with a recovery code, each once.
    site.clock.advance(chrono::Duration::seconds(60));
    for code in [code(&site, &totp), recovery[0].to_owned()] {
        for expected in [true, false] {
            let (mut browser, answer) = log_in(&site, OPERATOR, OPERATORS_PASSWORD).await;
            assert_eq!(answer.location(), "/admin/login/code");
            let form = browser.get("/admin/login/code").await;
            let fields = [("code", code.as_str())];
            let answer = browser.submit("/admin/login/code", &form, &fields).await;
            assert_eq!(answer.status == StatusCode::SEE_OTHER, expected, "{code}");
            let opened = browser.get("/admin/operators").await.status == StatusCode::OK;
            assert_eq!(opened, expected);
        }
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_another_with_a_code_and_disables_them() {
    let site = Site::start().await;
    let (mut otto, totp) = operator_client(&site).await;
    site.clock.advance(chrono::Duration::seconds(60));
    let page = otto.get("/admin/operators").await;
    let email = "olga@vaultaire.example";
    let wrong = [("email", email), ("code", "000000")];
    let refused = otto.submit("/admin/operators", &page, &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.has("code-error") && !refused.has("setup-link"));
    let right = code(&site, &totp);
    let fields = [("email", email), ("code", right.as_str())];
    let made = otto.submit("/admin/operators", &page, &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let link = local(&site, made.element("setup-link"));
    let mut olga = site.browser();
    let (form, totp) = open_link(&mut olga, &link).await;
    let theirs = code(&site, &totp);
    let fields = [("password", OPERATORS_PASSWORD), ("code", theirs.as_str())];
    olga.submit("/admin/setup", &form, &fields).await;
    let list = olga.get("/admin/operators").await;
    assert_eq!(list.status, StatusCode::OK);

    let id = list.body.split("data-disable=\"").nth(1).expect("otto's");
    let ottos = id.split('"').next().expect("an id").to_owned();
    let list = otto.get("/admin/operators").await;
    let id = list.body.split("data-disable=\"").nth(1).expect("olga's");
    let olgas = id.split('"').next().expect("an id");
    let path = format!("/admin/operators/{olgas}/disable");
    let done = otto.submit(&path, &list, &[]).await;
    assert_eq!(done.location(), "/admin/operators?notice=disabled");
    assert_eq!(
        olga.get("/admin/operators").await.location(),
        "/admin/login"
    );
    let (_, answer) = log_in(&site, email, OPERATORS_PASSWORD).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    // Nobody disables themselves.
    let own = format!("/admin/operators/{ottos}/disable");
    let token = list.hidden_fields("/admin/logout");
    let page = otto
        .post(&own, &token, &[("sec-fetch-site", "same-origin")])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);

    let audit = otto.get("/admin/audit").await;
    for action in ["operator.create", "operator.set_up", "operator.disable"] {
        assert!(audit.has(&format!("<code>{action}</code>")), "{action}");
    }
    let found = otto
        .get("/admin/audit?search=OLGA&action=operator.dis")
        .await;
    assert!(found.has("operator.disable") && !found.has("operator.set_up"));
    let file = otto.get("/admin/audit.csv?search=olga").await;
    assert!(
        file.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/csv"))
    );
    assert_eq!(file.body.lines().count(), 4, "{}", file.body);
    site.close().await;
}
