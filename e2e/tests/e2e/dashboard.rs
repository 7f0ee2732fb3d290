//! The dashboard in a browser: a bucket and its objects from their making to their end, with scripts and without.

use std::fs;
use std::time::Duration;

use e2e::{Stack, http, until};

use crate::browser::sign_up;
use crate::chromium::Chromium;
use crate::keyboard::skip_link_and_menu;

const WITHIN: Duration = Duration::from_secs(20);

/// Drops three files on the page, as a person does from a folder: text, an image, and one that goes in parts.
const DROP: &str = r##"
const canvas = document.createElement("canvas");
canvas.width = 320; canvas.height = 180;
const pen = canvas.getContext("2d");
pen.fillStyle = "#2c49c8"; pen.fillRect(0, 0, 320, 180);
pen.fillStyle = "#fff"; pen.font = "40px sans-serif"; pen.fillText("Vaultaire", 70, 105);
const image = Uint8Array.from(atob(canvas.toDataURL("image/png").split(",")[1]), (c) => c.charCodeAt(0));
const files = new DataTransfer();
files.items.add(new File(["<script>alert(1)</script> & notes"], "notes.html", { type: "text/html" }));
files.items.add(new File([image], "logo.png", { type: "image/png" }));
files.items.add(new File([new Uint8Array(17 * 1024 * 1024)], "backup.tar", { type: "application/x-tar" }));
for (const kind of ["dragenter", "dragover", "drop"]) {
  dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
}
"##;

#[tokio::test]
async fn a_bucket_and_its_objects_from_their_making_to_their_end() {
    let stack = Stack::start(1);
    let folder = stack.folder().to_owned();
    let browser = Chromium::start(&folder, true).await;
    browser.goto(&format!("{}/signup", stack.web())).await;
    sign_up(&browser, "mary@engines.example").await;
    make_bucket(&stack, &browser, "press-kit").await;

    drop_files(&browser).await;
    browser.fill("#folder-name", "2026").await;
    browser.click("#create-folder").await;
    browser.find("#empty").await;
    browser
        .goto(&format!("{}/buckets/press-kit", stack.web()))
        .await;
    look_at_objects(&stack, &browser).await;
    the_log_has_it(&stack, &browser).await;
    skip_link_and_menu(&browser, &format!("{}/dashboard", stack.web())).await;

    browser
        .goto(&format!("{}/buckets/press-kit", stack.web()))
        .await;
    browser.click("[data-mark-all]").await;
    browser.click("#delete-marked").await;
    // Nothing of it could be had back: it takes the name.
    browser.fill("#typed", "press").await;
    browser.click("#confirm-delete").await;
    assert!(browser.is_shown("#typed-error").await);
    browser.fill("#typed", "press-kit").await;
    browser.click("#confirm-delete").await;
    browser.says("#notice", "Deleted.").await;
    browser.find("#empty").await;
    browser
        .goto(&format!("{}/buckets/press-kit/delete", stack.web()))
        .await;
    browser.fill("#name", "press-kit").await;
    browser.click("#confirm-delete-bucket").await;
    browser.says("main", "is deleted").await;
    browser.find("#new-bucket").await;
}

#[tokio::test]
async fn objects_can_be_uploaded_and_deleted_without_scripts() {
    let stack = Stack::start(1);
    let folder = stack.folder().to_owned();
    let browser = Chromium::start(&folder, false).await;
    browser.goto(&format!("{}/signup", stack.web())).await;
    sign_up(&browser, "hedy@engines.example").await;
    make_bucket(&stack, &browser, "papers").await;
    let file = folder.join("draft 1.txt");
    fs::write(&file, "spread spectrum").unwrap();
    let input = browser.find("#file").await;
    input
        .send_keys(&file.display().to_string())
        .await
        .expect("a file is chosen");
    browser.click("#upload-button").await;
    browser.says("#notice", "Uploaded.").await;
    browser.click("#objects td.name a").await;
    browser.says("#preview", "spread spectrum").await;
    browser.click("#delete-object").await;
    browser.fill("#typed", "draft 1.txt").await;
    browser.click("#confirm-delete").await;
    browser.says("#notice", "Deleted.").await;
}

/// Overwritten, deleted, and had back: with scripts off, so that none of it hangs on them.
#[tokio::test]
async fn what_was_overwritten_or_deleted_is_had_back() {
    let stack = Stack::start(1);
    let folder = stack.folder().to_owned();
    let browser = Chromium::start(&folder, false).await;
    let goto = async |path: &str| browser.goto(&format!("{}{path}", stack.web())).await;
    goto("/signup").await;
    sign_up(&browser, "rosalind@engines.example").await;
    make_bucket(&stack, &browser, "plates").await;
    goto("/buckets/plates/deleted").await;
    browser.says("#empty", "Nothing is kept").await;
    goto("/buckets/plates/settings").await;
    browser.click("#enable-versioning").await;
    browser.find(".notice.good").await;
    for text in ["first", "second"] {
        goto("/buckets/plates").await;
        let file = folder.join("photo 51.txt");
        fs::write(&file, text).unwrap();
        let input = browser.find("#file").await;
        let sent = input.send_keys(&file.display().to_string()).await;
        sent.expect("a file is chosen");
        browser.click("#upload-button").await;
        browser.says("#notice", "Uploaded.").await;
    }
    browser.click("#objects td.name a").await;
    browser.says("#preview", "second").await;
    browser.click("[data-restore]").await;
    browser.find("#restored").await;
    browser.says("#preview", "first").await;

    // Deleting hides it, and asks for no name.
    browser.leave_by("#delete-object").await;
    assert!(!browser.has("#typed").await);
    browser.click("#confirm-delete").await;
    browser.find("#empty").await;
    goto("/buckets/plates/deleted").await;
    browser.click("#deleted td.name a").await;
    browser.click("#restore-object").await;
    browser.find("#restored").await;
    browser.says("#preview", "first").await;

    // A version by itself is gone for good.
    let before = browser.count("[data-delete-version]").await;
    browser
        .click("#versions tr:last-child [data-delete-version]")
        .await;
    browser.fill("#typed", "photo 51.txt").await;
    browser.click("#confirm-delete").await;
    browser.says("#notice", "Deleted.").await;
    browser.click("#objects td.name a").await;
    browser.says("#preview", "first").await;
    assert_eq!(browser.count("[data-delete-version]").await, before - 1);
}

pub async fn drop_files(browser: &Chromium) {
    browser.run(DROP, vec![]).await;
    for name in ["notes", "logo", "backup"] {
        browser.find(&format!("#objects a[href*={name}]")).await;
    }
    browser.says("#objects", "17.82 MB").await;
}

pub async fn make_bucket(stack: &Stack, browser: &Chromium, name: &str) {
    browser.goto(&format!("{}/buckets", stack.web())).await;
    browser.click("#new-bucket").await;
    // A mistake is said beside its field.
    browser.fill("#name", "No").await;
    browser.click("#create-bucket").await;
    assert!(browser.is_shown("#name-error").await);
    browser.fill("#name", name).await;
    browser.click("#create-bucket").await;
    browser.find("#empty").await;
    assert_eq!(browser.path().await, format!("/buckets/{name}"));
}

async fn look_at_objects(stack: &Stack, browser: &Chromium) {
    let object = |key: &str| format!("{}/buckets/press-kit/object?key={key}", stack.web());
    browser.goto(&object("logo.png")).await;
    browser.find("#preview").await;
    let image = "const image = document.getElementById('preview'); return image.decode().then(() => image.naturalWidth);";
    assert_eq!(browser.run(image, vec![]).await, 320);

    // A customer's page is text here, and runs nowhere.
    browser.goto(&object("notes.html")).await;
    browser
        .says("#preview", "<script>alert(1)</script> & notes")
        .await;
    browser.click("#make-link").await;
    let link = browser.text("#link").await;
    let answer = until("the link works", WITHIN, || http::get(&link));
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "<script>alert(1)</script> & notes")
    );
    let settings = format!("{}/buckets/press-kit/settings", stack.web());
    browser.goto(&settings).await;
    browser.click("#revoke-links").await;
    browser.find(".notice.good").await;
    assert_eq!(http::get(&link).map(|answer| answer.status), Some(403));

    let download = "return fetch(document.getElementById('download').href, { redirect: 'manual' }).then((a) => a.type)";
    browser.goto(&object("notes.html")).await;
    assert_eq!(browser.run(download, vec![]).await, "opaqueredirect");
}

async fn the_log_has_it(stack: &Stack, browser: &Chromium) {
    browser.goto(&format!("{}/audit-log", stack.web())).await;
    let log = browser.text("#audit-log").await;
    assert!(
        log.contains("bucket.create press-kit") && log.contains("127.0.0.1"),
        "{log}"
    );
}
