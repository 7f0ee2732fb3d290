//! A headless Chromium with a fresh profile, driven through chromedriver: what a person does with a page.
//! Both programs end with it, whatever happens to the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::process::within;
use e2e::stack::ready;
use e2e::{Process, ports};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use url::{ParseError, Url};

const WITHIN: Duration = Duration::from_secs(20);

pub struct Chromium {
    page: Client,
    driver: Process,
    profile: PathBuf,
}

impl Chromium {
    /// Starts one with its files in `folder`.
    pub async fn start(folder: &Path, javascript: bool) -> Self {
        let profile = folder.join(format!("profile-{javascript}"));
        let port = ports::free(&[0]);
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", folder);
        command.env("TMPDIR", folder);
        let mut driver = Process::start(&format!("chromedriver-{javascript}"), folder, &command);
        let word = "ChromeDriver was started successfully";
        ready(&mut driver, word, Duration::from_secs(30)).expect("chromedriver starts");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let Value::Object(wanted) = capabilities(&profile, javascript) else {
            unreachable!("they are an object");
        };
        let page = builder.capabilities(wanted);
        let page = page.connect(&format!("http://127.0.0.1:{port}")).await;
        let page = page.unwrap_or_else(|error| panic!("no browser: {error}\n{}", driver.said()));
        Self {
            page,
            driver,
            profile,
        }
    }

    pub async fn goto(&self, url: &str) {
        self.page.goto(url).await.expect("the page can be opened");
    }

    pub async fn path(&self) -> String {
        let url = self.page.current_url().await.expect("a page is open");
        url.path().to_owned()
    }

    /// The element, once it is there.
    pub async fn find(&self, css: &str) -> Element {
        let found = self.page.wait().at_most(WITHIN);
        match found.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => {
                let source = self.page.source().await.unwrap_or_default();
                panic!("{css} is not on {}: {error}\n{source}", self.path().await)
            }
        }
    }

    pub async fn has(&self, css: &str) -> bool {
        self.count(css).await > 0
    }

    pub async fn count(&self, css: &str) -> usize {
        let found = self.page.find_all(Locator::Css(css)).await;
        found.expect("a page is open").len()
    }

    pub async fn click(&self, css: &str) {
        let begun = Instant::now();
        loop {
            let clicked = self.find(css).await.click().await;
            let Err(error) = clicked else { return };
            assert!(
                is_gone(&error) && begun.elapsed() < WITHIN,
                "{css}: {error}"
            );
        }
    }

    /// Clicks on what opens another page, or this one anew, and waits until it is there: before that, what is found is found
    /// on the old one.
    pub async fn leave_by(&self, css: &str) {
        let old = self.find("html").await;
        self.click(css).await;
        let begun = Instant::now();
        while !old.tag_name().await.is_err_and(|error| is_gone(&error)) {
            assert!(begun.elapsed() < WITHIN, "{css} opens no page");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.find("h1").await;
    }

    pub async fn fill(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        element
            .clear()
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"));
        element
            .send_keys(text)
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// What a reader sees of it.
    pub async fn text(&self, css: &str) -> String {
        let begun = Instant::now();
        loop {
            match self.find(css).await.text().await {
                Ok(text) => return text,
                // A script or the next page has put another in its place.
                Err(error) if error.is_stale_element_reference() && begun.elapsed() < WITHIN => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    /// Waits until it says this, on this page or the next.
    pub async fn says(&self, css: &str, part: &str) {
        let begun = Instant::now();
        loop {
            let text = self.text(css).await;
            if text.contains(part) {
                return;
            }
            assert!(
                begun.elapsed() < WITHIN,
                "{css} says {text:?}, not {part:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens the page again and again until it says this: what nodes count is booked in batches, a moment later.
    pub async fn opens_to_say(&self, url: &str, css: &str, part: &str) {
        let begun = Instant::now();
        loop {
            self.goto(url).await;
            let text = self.text(css).await;
            if text.contains(part) {
                return;
            }
            assert!(
                begun.elapsed() < WITHIN,
                "{css} of {url} says {text:?}, not {part:?}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// All its text, also what is folded away.
    pub async fn content(&self, css: &str) -> String {
        let text = self.find(css).await.prop("textContent").await;
        text.ok()
            .flatten()
            .unwrap_or_else(|| panic!("{css} has no text"))
    }

    pub async fn is_shown(&self, css: &str) -> bool {
        let shown = self.find(css).await.is_displayed().await;
        shown.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub async fn cookie(&self, name: &str) -> String {
        let cookie = self.page.get_named_cookie(name).await;
        cookie.expect("there is this cookie").value().to_owned()
    }

    /// What the script returns, or what its promise becomes.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let done = self.page.execute(script, arguments).await;
        done.unwrap_or_else(|error| panic!("{script:.60}: {error}"))
    }

    /// One key after the other, to whatever has the focus.
    pub async fn press(&self, keys: &[char]) {
        let mut actions = KeyActions::new("keys".to_owned());
        for value in keys.iter().copied() {
            actions = actions.then(KeyAction::Down { value });
            actions = actions.then(KeyAction::Up { value });
        }
        let pressed = self.page.perform_actions(actions).await;
        pressed.unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    /// A device that keeps passkeys, as a phone or a laptop has one built in: it is there from now on, and knows its owner.
    /// <https://www.w3.org/TR/webauthn-3/#sctn-automation>
    pub async fn add_authenticator(&self) -> Authenticator<'_> {
        let made = self.command(
            "webauthn/authenticator".to_owned(),
            json!({
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
                "isUserVerified": true, "isUserConsenting": true,
            }),
        );
        let id = made.await.as_str().expect("its id").to_owned();
        Authenticator { browser: self, id }
    }

    async fn command(&self, path: String, body: Value) -> Value {
        let command = Extension { path, body };
        let done = self.page.issue_cmd(command).await;
        done.unwrap_or_else(|error| panic!("the browser refuses a command: {error}"))
    }

    pub async fn resize(&self, width: u32, height: u32) {
        let resized = self.page.set_window_size(width, height).await;
        resized.expect("the window can be resized");
    }

    /// A picture of the page, if `VAULTAIRE_SCREENSHOTS` names a folder for it.
    pub async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("VAULTAIRE_SCREENSHOTS") {
            std::fs::create_dir_all(&folder).expect("the folder for pictures can be made");
            let png = self
                .page
                .screenshot()
                .await
                .expect("a picture can be taken");
            let file = Path::new(&folder).join(format!("{name}.png"));
            std::fs::write(&file, png).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
    }
}

/// The next page has put another element in its place, and nothing was done to this one.
fn is_gone(error: &CmdError) -> bool {
    error.is_stale_element_reference()
        || error
            .to_string()
            .contains("does not belong to the document")
}

pub struct Authenticator<'a> {
    browser: &'a Chromium,
    id: String,
}

impl Authenticator<'_> {
    /// Whether the finger, face or PIN that it asks for is the owner's.
    pub async fn knows_owner(&self, knows: bool) {
        let path = format!("webauthn/authenticator/{}/uv", self.id);
        let body = json!({ "isUserVerified": knows });
        self.browser.command(path, body).await;
    }
}

/// A command that fantoccini does not know.
#[derive(Debug)]
struct Extension {
    path: String,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.expect("a page is open");
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.driver.stop();
        // Those of a session that was not closed stay behind.
        for (pid, _) in within(&self.profile) {
            let pid = Pid::from_raw(i32::try_from(pid).expect("a pid is an i32"));
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

fn capabilities(profile: &Path, javascript: bool) -> Value {
    let mut arguments = vec![format!("--user-data-dir={}", profile.display())];
    for switch in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--no-proxy-server",
        "--hide-scrollbars",
        "--window-size=1280,900",
    ] {
        arguments.push(switch.to_owned());
    }
    // 1: allow, 2: block.
    let scripts = if javascript { 1 } else { 2 };
    json!({"goog:chromeOptions": {
        "args": arguments,
        "prefs": {"profile.managed_default_content_settings.javascript": scripts},
    }})
}
