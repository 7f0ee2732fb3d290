//! What concerns the whole account: its name, its export, its end.

use http::StatusCode;

use crate::site::{PASSWORD, Site, create_key};

const EMAIL: &str = "ada@engines.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_company_takes_another_name() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", EMAIL).await;
    let mut dev = site
        .colleague(&mut ada, "dev@engines.example", "developer")
        .await;
    let page = ada.get("/settings").await;
    assert_eq!(page.element("account-id").len(), 32);
    assert_eq!(page.element("endpoint"), "http://127.0.0.1:9");
    let wrong = ada.submit("/settings", &page, &[("company", " ")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!wrong.element("company-error").is_empty());
    let answer = ada
        .submit("/settings", &page, &[("company", " Engines & Sons ")])
        .await;
    assert_eq!(answer.location(), "/settings?notice=renamed");
    assert!(ada.get("/settings").await.has("Engines &#38; Sons"));
    assert!(ada.get("/audit-log").await.has("tenant.rename"));
    // Everybody looks, and who may not change it gets no form.
    let seen = dev.get("/settings").await;
    assert!(
        seen.has("Engines &#38; Sons")
            && !seen.has("id=\"rename\"")
            && !seen.has("id=\"delete-account\"")
    );
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_takes_everything_along_in_one_file() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", EMAIL).await;
    create_key(&mut ada, "backup").await;
    let page = ada.get("/settings").await;
    let file = ada.submit("/settings/export", &page, &[]).await;
    assert_eq!(file.status, StatusCode::OK);
    assert_eq!(file.header("content-type"), Some("application/json"));
    let name = file.header("content-disposition").expect("a name");
    assert!(
        name.starts_with("attachment; filename=\"vaultaire-") && name.ends_with(".json\""),
        "{name}"
    );
    let read: serde_json::Value = serde_json::from_str(&file.body).expect("JSON");
    assert_eq!(read["account"]["company"], "Engines");
    assert_eq!(read["access_keys"][0]["name"], "backup");
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_deleted_with_a_receipt() {
    let site = Site::start().await;
    let mut ada = site.member("Engines", EMAIL).await;
    let mut bob = site
        .colleague(&mut ada, "bob@engines.example", "admin")
        .await;
    create_key(&mut ada, "backup").await;
    site.bucket(EMAIL, "vaults").await;
    site.node("10.0.0.1:9000", true).await;
    site.node("10.0.0.2:9000", false).await;
    let page = ada.get("/settings/delete").await;
    assert!(
        page.has("1 access key is revoked")
            && page.has("2 members are logged out")
            && page.has("1 bucket with")
    );
    assert!(page.has("30 days") && page.has("What bookkeeping requires"));
    assert!(page.has("no further payment is taken"));
    for (company, password, field) in [
        ("engines", PASSWORD, "company"),
        ("Engines", "not hers", "password"),
    ] {
        let fields = [("company", company), ("password", password)];
        let again = ada.submit("/settings/delete", &page, &fields).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!again.element(&format!("{field}-error")).is_empty());
    }
    assert_eq!(
        bob.get("/dashboard").await.status,
        StatusCode::OK,
        "nothing has happened"
    );
    let fields = [("company", "Engines"), ("password", PASSWORD)];
    let done = ada.submit("/settings/delete", &page, &fields).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert!(
        done.has("Refused on 1 of 2 nodes") && done.has("Not acknowledged"),
        "{}",
        done.body
    );
    assert!(!ada.cookies.contains_key("vaultaire_session"));
    assert_eq!(bob.get("/dashboard").await.location(), "/login");
    site.mail("account_deleted", "bob@engines.example").await;
    let mut browser = site.browser();
    let form = browser.get("/login").await;
    let fields = [("email", EMAIL), ("password", PASSWORD)];
    let refused = browser.submit("/login", &form, &fields).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    site.close().await;
}
