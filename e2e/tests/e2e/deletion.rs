//! An account's end in a browser: its data taken along, its name typed, its keys refused; and its way back.

use std::fs;

use e2e::Stack;

use crate::browser::{PASSWORD, create_key, sign_up};
use crate::chromium::Chromium;
use crate::pages::violations;

const EMAIL: &str = "emmy@engines.example";

/// What the button does, but that the file is read here.
const EXPORT: &str = "const form = document.getElementById('export').form;
return fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) })
    .then((answer) => answer.json())";

#[tokio::test]
async fn an_account_is_taken_along_deleted_and_restored() {
    let stack = Stack::start(1);
    let browser = Chromium::start(stack.folder(), true).await;
    let goto = async |path: &str| browser.goto(&format!("{}{path}", stack.web())).await;
    goto("/signup").await;
    sign_up(&browser, EMAIL).await;
    goto("/access-keys").await;
    let key = create_key(&stack, &browser, "backup").await;
    fs::write(key.file("up"), "a theorem").unwrap();
    key.aws(&["s3", "mb", "s3://papers"]);
    key.aws(&[
        "s3",
        "cp",
        &key.file("up").display().to_string(),
        "s3://papers/noether.txt",
    ]);

    goto("/settings").await;
    let id = browser.text("#account-id").await;
    let file = browser.run(EXPORT, vec![]).await;
    assert_eq!(file["account"]["id"], id.as_str());
    assert_eq!(file["buckets"][0]["name"], "papers");
    assert_eq!(
        file["access_keys"][0]["access_key_id"],
        key.access_key_id.as_str()
    );
    assert!(!file.to_string().contains(&key.secret_access_key));

    browser.click("#delete-account").await;
    let name = browser.text("#company-name").await;
    browser.fill("#company", "Analytical Engine").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("#confirm-delete-account").await;
    assert!(browser.is_shown("#company-error").await);
    assert_eq!(
        key.aws(&["s3", "cp", "s3://papers/noether.txt", "-"]),
        "a theorem"
    );
    browser.fill("#company", &name).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("#confirm-delete-account").await;
    browser
        .says("#deletion-receipt", "Refused on 1 of 1 node after")
        .await;
    browser.picture("account-deleted").await;
    assert_eq!(violations(&browser, "it").await, Vec::<String>::new());
    let said = key.aws_fails(&["s3", "ls"]);
    assert!(said.contains("InvalidAccessKeyId"), "{said}");
    log_in(&browser, &stack).await;
    assert!(
        browser.is_shown("[role=alert]").await,
        "nobody logs in to it"
    );

    let deleted = stack.ask(&["tenant", "list", "--deleted"]);
    assert_eq!(deleted[0]["tenant_id"], id.as_str(), "{deleted}");
    let restored = stack.ask(&["tenant", "restore", &id]);
    assert_eq!(restored["status"], "active");
    log_in(&browser, &stack).await;
    browser.find("#create-key, #create-first-key, #main").await;
    goto("/access-keys").await;
    let new = create_key(&stack, &browser, "after all").await;
    assert_eq!(
        new.aws(&["s3", "cp", "s3://papers/noether.txt", "-"]),
        "a theorem"
    );
    let said = key.aws_fails(&["s3", "ls"]);
    assert!(
        said.contains("InvalidAccessKeyId"),
        "a revoked key stays so: {said}"
    );
}

async fn log_in(browser: &Chromium, stack: &Stack) {
    browser.goto(&format!("{}/login", stack.web())).await;
    browser.fill("#email", EMAIL).await;
    browser.fill("#password", PASSWORD).await;
    browser.leave_by("#submit").await;
}
