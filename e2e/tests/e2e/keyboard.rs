//! A page with the keyboard alone: every control is reached in the order in which it stands, and one sees where one is.
//! Keys go through the browser's own input, as a person's do.

use serde_json::Value;

use crate::chromium::Chromium;

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// Notes what gets the focus, and whether that can be seen. Of radio buttons of one name one is reached; arrows do the rest.
const WATCH: &str = r#"
const all = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
const radios = new Set();
const isFirst = (e) => {
  if (e.type !== "radio") return true;
  const group = Array.from(document.getElementsByName(e.name)).filter((other) => other.form === e.form);
  const chosen = group.find((other) => other.checked) ?? group[0];
  return e === chosen;
};
window.wanted = Array.from(document.querySelectorAll(all)).filter((e) =>
  e.checkVisibility({ visibilityProperty: true }) && !e.disabled && isFirst(e));
window.reached = [];
window.unseen = [];
const outlined = (e) => e && getComputedStyle(e).outlineStyle !== "none" && parseFloat(getComputedStyle(e).outlineWidth) > 0;
addEventListener("focusin", ({ target }) => {
  reached.push(target);
  const ringed = getComputedStyle(target).opacity === "0" ? target.nextElementSibling : target;
  if (!target.matches(":focus-visible") || !outlined(ringed)) unseen.push(target);
});
// Month, day, year, and the calendar are reached one by one; of a time hour, minute and half of the day as well.
const parts = { "date": 3, "datetime-local": 6 };
return wanted.reduce((sum, e) => sum + 1 + (parts[e.type] ?? 0), 0);
"#;

const FOUND: &str = r#"
const html = (e) => e.outerHTML.slice(0, 120);
const places = wanted.map((e) => reached.indexOf(e));
const inOrder = places.every((place, n) => n === 0 || place === -1 || place > places[n - 1] || places[n - 1] === -1);
const wrong = wanted.filter((e) => !reached.includes(e)).map((e) => `Tab never reaches ${html(e)}`);
wrong.push(...new Set(unseen.map((e) => `nobody sees that the focus is at ${html(e)}`)));
if (!inOrder) wrong.push(`Tab jumps about: ${places}`);
if (!reached[0]?.matches(".skip-link")) wrong.push("the first Tab is not at the skip link");
return wrong;
"#;

/// What is wrong with the page that is open, which nobody has touched yet.
pub async fn walk(browser: &Chromium, what: &str) -> Vec<String> {
    let controls = browser.run(WATCH, vec![]).await;
    let controls = controls.as_u64().expect("a number");
    assert!(controls >= 3, "{what} has controls");
    // Two more than there are: lists that scroll are reached too.
    let tabs = usize::try_from(controls).expect("a page's") + 2;
    browser.press(&vec![TAB; tabs]).await;
    let wrong = browser.run(FOUND, vec![]).await;
    let wrong: Vec<String> = serde_json::from_value(wrong).expect("a list");
    wrong
        .into_iter()
        .map(|said| format!("{what}: {said}"))
        .collect()
}

/// From the page's first key to its content, and into the menu of a phone.
pub async fn skip_link_and_menu(browser: &Chromium, page: &str) {
    let focused =
        "return document.activeElement.id || document.activeElement.outerHTML.slice(0, 80)";
    browser.resize(390, 844).await;
    browser.goto(page).await;
    browser.press(&[TAB, ENTER]).await;
    assert_eq!(browser.run(focused, vec![]).await, "main");
    browser.press(&[TAB]).await;
    let inside = "return document.getElementById('main').contains(document.activeElement)";
    assert_eq!(browser.run(inside, vec![]).await, Value::Bool(true));

    browser.goto(page).await;
    assert!(!browser.is_shown("nav a[href='/buckets']").await);
    // The skip link, the name, the menu.
    browser.press(&[TAB, TAB, TAB, ENTER]).await;
    assert!(browser.is_shown("nav a[href='/buckets']").await);
    browser.press(&[TAB, TAB, ENTER]).await;
    browser.find("#new-bucket").await;
    assert_eq!(browser.path().await, "/buckets");
    browser.resize(1280, 900).await;
}
