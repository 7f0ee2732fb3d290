//! The dashboard in a browser: a bucket and its objects from their making to their end, with scripts and without, and
//! every page by axe-core's rules, in the light and in the dark, on a desk and on a phone.

use std::fs;

use e2e::{Stack, http, tools, until};
use serde_json::{Value, json};
use std::time::Duration;

use crate::browser::sign_up;
use crate::chromium::Chromium;

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

    browser.run(DROP, vec![]).await;
    for name in ["notes", "logo", "backup"] {
        browser.find(&format!("#objects a[href*={name}]")).await;
    }
    browser.says("#objects", "17.82 MB").await;
    browser.fill("#folder-name", "2026").await;
    browser.click("#create-folder").await;
    browser.find("#empty").await;
    browser
        .goto(&format!("{}/buckets/press-kit", stack.web()))
        .await;
    browser.picture("objects").await;

    look_at_objects(&stack, &browser).await;
    every_page(&stack, &browser).await;

    browser
        .goto(&format!("{}/buckets/press-kit", stack.web()))
        .await;
    browser.run("document.querySelectorAll('#objects input[type=checkbox]').forEach((box) => box.click())", vec![]).await;
    browser.click("#delete-marked").await;
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
    browser.click("#confirm-delete").await;
    browser.says("#notice", "Deleted.").await;
}

async fn make_bucket(stack: &Stack, browser: &Chromium, name: &str) {
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
    browser.picture("object").await;

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

/// Every page that a member sees, as every kind of reader sees it.
async fn every_page(stack: &Stack, browser: &Chromium) {
    let axe = fs::read_to_string(tools::axe()).unwrap();
    let pages = [
        ("/dashboard", "dashboard"),
        ("/buckets", "buckets"),
        ("/buckets/new", "new-bucket"),
        ("/buckets/press-kit", "objects"),
        ("/buckets/press-kit/object?key=logo.png", "object"),
        ("/buckets/press-kit/settings", "bucket-settings"),
        ("/buckets/press-kit/delete", "delete-bucket"),
        ("/access-keys", "access-keys"),
        ("/connect", "connect"),
        ("/audit-log", "audit-log"),
        ("/settings", "settings"),
        ("/settings/delete", "delete-account"),
        ("/account", "own-log-in"),
        ("/account/passkeys/new", "add-passkey"),
        ("/nowhere", "not-found"),
    ];
    browser.goto(&format!("{}/audit-log", stack.web())).await;
    let log = browser.text("#audit-log").await;
    assert!(
        log.contains("bucket.create press-kit") && log.contains("127.0.0.1"),
        "{log}"
    );
    let mut wrong = Vec::new();
    for theme in ["dark", "light"] {
        browser.goto(&format!("{}/dashboard", stack.web())).await;
        browser
            .click(&format!("button[name=theme][value={theme}]"))
            .await;
        browser.find(&format!("[data-theme={theme}]")).await;
        for (width, height, screen) in [(390, 844, "phone"), (1280, 900, "desk")] {
            browser.resize(width, height).await;
            for (path, name) in pages {
                browser.goto(&format!("{}{path}", stack.web())).await;
                browser.find("h1").await;
                if screen == "desk" && theme == "light" {
                    browser.picture(name).await;
                } else if name == "objects" {
                    browser.picture(&format!("objects-{screen}-{theme}")).await;
                }
                for violation in violations(browser, &axe).await {
                    wrong.push(format!("{path} ({theme}, {screen}): {violation}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub async fn violations(browser: &Chromium, axe: &str) -> Vec<String> {
    browser.run(axe, vec![]).await;
    let script = "return axe.run(document, arguments[0]).then((all) => ({ passes: all.passes.length,
        wrong: all.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html.slice(0, 160)).join(' | ')) }))";
    let tags = [
        "wcag2a",
        "wcag2aa",
        "wcag21a",
        "wcag21aa",
        "wcag22aa",
        "best-practice",
    ];
    let found = browser.run(script, vec![json!({ "runOnly": tags })]).await;
    assert!(
        found["passes"].as_u64() > Some(10),
        "axe-core has looked: {found}"
    );
    // A page is never wider than its window.
    let mut wrong: Vec<String> = serde_json::from_value(found["wrong"].clone()).expect("a list");
    let wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    if browser.run(wide, vec![]).await == Value::Bool(true) {
        wrong.push("it scrolls sideways".to_owned());
    }
    wrong
}
