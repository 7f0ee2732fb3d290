//! The stand-in for Stripe (`e2e/stripe`), and what a test makes it do that Stripe would do by itself.
//! It is asked nothing here that the product asks: that is the product's to do.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Process, clear_environment};
use crate::stack::ready;
use crate::{Stack, http, tools, until};

pub const WEBHOOK_SECRET: &str = "whsec_for_this_test_alone";
const READY_WITHIN: Duration = Duration::from_secs(30);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const SAYS: &str = "listening on 127.0.0.1:";
/// Another site than the product's `127.0.0.1`, for cookies and policies of browsers, as Stripe is another.
const NAME: &str = "localhost";

/// Whether the objects say that they are real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Test,
    Live,
}

/// One that runs. Dropping it ends it.
pub struct Stripe {
    pub url: String,
    pub mode: Mode,
    process: Process,
}

impl Stripe {
    /// Starts one with its files in `folder`.
    #[track_caller]
    pub fn start(folder: &Path, mode: Mode) -> Self {
        let mut command = Command::new(tools::stripe_python());
        clear_environment(&mut command);
        command.arg("-B").arg(tools::stripe_script("standin.py"));
        command.args(["--name", NAME]);
        if mode == Mode::Live {
            command.arg("--livemode");
        }
        let mut process = Process::start("stripe", folder, &command);
        ready(&mut process, SAYS, READY_WITHIN)
            .unwrap_or_else(|said| panic!("no stand-in for Stripe:\n{said}"));
        let said = process.said();
        let port = said.lines().find_map(|line| line.strip_prefix(SAYS));
        Self {
            url: format!("http://{NAME}:{}", port.expect("it has said so")),
            mode,
            process,
        }
    }

    pub fn key(&self) -> &'static str {
        match self.mode {
            Mode::Test => "sk_test_standin",
            Mode::Live => "sk_live_standin",
        }
    }

    /// What `vaultaire` is told of it.
    pub fn environment(&self) -> [(&'static str, &str); 3] {
        [
            ("STRIPE_API_BASE", &self.url),
            ("STRIPE_SECRET_KEY", self.key()),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET),
        ]
    }

    /// From now on this stack hears of every event.
    #[track_caller]
    pub fn tells(&self, stack: &Stack) {
        let url = format!("{}/webhooks/stripe", stack.web());
        self.does("webhook", &json!({ "url": url, "secret": WEBHOOK_SECRET }));
    }

    /// `POST /_test/<what>`.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn does(&self, what: &str, with: &Value) -> Value {
        let url = format!("{}/_test/{what}", self.url);
        let answer = http::post_json(&url, &with.to_string());
        self.answered(what, answer)
    }

    /// `GET /_test/<what>`.
    #[track_caller]
    pub fn shows(&self, what: &str) -> Value {
        let answer = http::get(&format!("{}/_test/{what}", self.url));
        self.answered(what, answer)
    }

    #[track_caller]
    fn answered(&self, what: &str, answer: Option<http::Answer>) -> Value {
        let answer = answer.unwrap_or_else(|| panic!("{what}: no answer\n{}", self.process.said()));
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{what}: {e}"))
    }

    /// Every object of this kind, the oldest first.
    #[track_caller]
    pub fn all(&self, kind: &str) -> Vec<Value> {
        let shown = self.shows(&format!("objects/{kind}"));
        shown["data"].as_array().expect("it is a list").clone()
    }

    /// The only object of this kind.
    #[track_caller]
    pub fn only(&self, kind: &str) -> Value {
        let mut all = self.all(kind);
        assert_eq!(all.len(), 1, "{kind}: {all:?}");
        all.remove(0)
    }

    /// Waits until every webhook was taken.
    #[track_caller]
    pub fn settles(&self) {
        until("Stripe's webhooks are taken", SETTLED_WITHIN, || {
            let settled = self.does("settle", &json!({ "within": 5 }));
            (settled["settled"] == true).then_some(())
        });
    }

    /// So much time passes: what is due in it happens, and all that Stripe knows is that much older now. The product's clock
    /// stays, and so it sees what it would see if it had passed there, too.
    #[track_caller]
    pub fn passes(&self, time: Duration) {
        self.does("pass", &json!({ "seconds": time.as_secs() }));
    }
}
