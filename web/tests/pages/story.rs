//! The story of a first day: sign up, make a key, revoke it, log out.

use http::StatusCode;

use crate::site::{Site, create_key, press};

#[tokio::test(flavor = "multi_thread")]
async fn sign_up_make_a_key_revoke_it_log_out() {
    let site = Site::start().await;
    site.node("127.0.0.1:9000", true).await;
    let mut browser = site.browser();

    let landing = browser.get("/").await;
    assert!(landing.has("$1,499") && landing.has("40\u{a0}TB") && landing.has("href=\"/signup\""));
    let link = site
        .sign_up(&mut browser, "Analytical Engines", "ada@engines.example")
        .await;
    let answer = press(&mut browser, &link, &[]).await;
    assert_eq!(answer.location(), "/dashboard");

    let overview = browser.get("/dashboard").await;
    assert!(overview.has("Analytical Engines") && overview.has("ada@engines.example"));
    assert!(overview.has("Create your first access key"));
    assert!(overview.has("14 days left"));
    assert_eq!(overview.element("endpoint"), "http://127.0.0.1:9");
    assert_eq!(overview.element("region"), "us-east-1");

    let created = create_key(&mut browser, "nightly backup").await;
    let id = created.element("access-key-id").to_owned();
    let secret = created.element("secret-access-key").to_owned();
    assert_eq!((id.len(), secret.len()), (20, 40));
    assert_eq!(created.element("propagation"), "The node accepts it now.");
    for snippet in ["aws", "rclone", "boto3", "s3cmd"] {
        let text = created.element(&format!("snippet-{snippet}"));
        assert!(text.contains(&id) && text.contains(&secret), "{snippet}");
    }
    let overview = browser.get("/dashboard").await;
    assert!(overview.has("1 active"));

    let list = browser.get("/access-keys").await;
    assert!(list.has(&format!("data-revoke=\"{id}\"")) && list.has("nightly backup"));
    let path = format!("/access-keys/{id}/revoke");
    let question = browser.get(&path).await;
    assert!(question.has("Revoke “nightly backup”?") && question.has("id=\"confirm-revoke\""));
    let receipt = browser.submit(&path, &question, &[]).await;
    assert_eq!(receipt.status, StatusCode::OK);
    assert!(receipt.has("id=\"revocation-receipt\""));
    assert!(receipt.has("Refused on 1 of 1 node after "));
    let list = browser.get("/access-keys").await;
    assert!(list.has("Revoked") && !list.has("data-revoke"));

    let answer = browser.submit("/logout", &list, &[]).await;
    assert_eq!(answer.location(), "/login?notice=logged-out");
    assert!(!browser.cookies.contains_key("vaultaire_session"));
    let answer = browser.get("/dashboard").await;
    assert_eq!(answer.location(), "/login");
    assert!(
        browser
            .get("/login?notice=logged-out")
            .await
            .has("You are logged out.")
    );
    site.close().await;
}
