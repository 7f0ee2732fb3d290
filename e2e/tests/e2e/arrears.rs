//! Falling behind with paying, from the first unpaid invoice to being locked out and back, by the requests of the customer's
//! programs. And what comes in over the webhook's address that Stripe did not say, or says twice and in the wrong order.

use std::time::{Duration, Instant};

use e2e::stripe::Mode;
use e2e::{Client, Stack, Stripe, http, stack, until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::sign_up;
use crate::chromium::Chromium;

/// From the answer to Stripe's webhook until a data plane does what follows from it.
const AT_ONCE: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// More than the trial of this installation has room for.
const TRIAL_BYTES: &str = "1000";
const LARGE: usize = 2_000;

/// An installation that is paid through Stripe.
struct Shop {
    // Dropped first: it asks Stripe to the end.
    stack: Stack,
    stripe: Stripe,
    _folder: TempDir,
}

impl Shop {
    fn open() -> Self {
        let folder = stack::folder();
        let stripe = Stripe::start(folder.path(), Mode::Live);
        let builder = Stack::builder().environment(&stripe.environment());
        let stack = builder.start();
        stripe.tells(&stack);
        stack.ask(&["plan", "set", "trial", "--quota-bytes", TRIAL_BYTES]);
        for created in [true, false] {
            let synced = stack.ask(&["billing", "sync"]);
            let prices = synced.as_array().expect("it lists them");
            let made = prices.iter().filter(|price| price["created"] == true);
            assert_eq!(
                made.count() > 0,
                created,
                "once, and then no more: {synced}"
            );
        }
        Self {
            stack,
            stripe,
            _folder: folder,
        }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.stack.web())
    }

    /// A key of the only tenant's, made by the operator.
    fn customer(&self) -> Customer {
        let tenants = self.stack.ask(&["tenant", "list"]);
        let id = tenants[0]["tenant_id"].as_str();
        let id = id.unwrap_or_else(|| panic!("no tenant in {tenants}"));
        let created = self.stack.ask(&["key", "create", "--tenant", id]);
        let client = Client::new(self.stack.folder(), &created, &self.stack.endpoint(1));
        client.aws(&["s3", "mb", "s3://papers"]);
        let presigned = |operation: &str| {
            let said = client.python("presign.py", &[operation, "papers", "draft"]);
            said.trim().to_owned()
        };
        Customer {
            put: presigned("put_object"),
            get: presigned("get_object"),
            delete: presigned("delete_object"),
            id: id.to_owned(),
        }
    }

    fn standing(&self, customer: &Customer) -> (String, String) {
        let shown = self.stack.ask(&["billing", "show", &customer.id]);
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        (text("standing"), text("reason"))
    }

    /// What Stripe has of the only subscription.
    fn period_end(&self) -> u64 {
        let subscription = self.stripe.only("subscription");
        let end = subscription["items"]["data"][0]["current_period_end"].as_u64();
        end.expect("it has a period")
    }

    fn now(&self) -> u64 {
        self.stripe.shows("state")["now"].as_u64().expect("a time")
    }

    /// Sends one event, forged or not, and gives the answers.
    fn delivered(&self, event: &Value, how: &Value) -> Vec<u64> {
        let id = event["id"].as_str().expect("it has an id");
        let sent = self.stripe.does(&format!("events/{id}/deliver"), how);
        let statuses = sent["statuses"].as_array().expect("a list").iter();
        statuses.filter_map(Value::as_u64).collect()
    }
}

/// What the customer's programs do, by presigned requests on one object.
struct Customer {
    id: String,
    put: String,
    get: String,
    delete: String,
}

impl Customer {
    /// Status and code of writing so many bytes.
    fn writes(&self, bytes: usize) -> (u16, String) {
        let answer = http::send("PUT", &self.put, "", &"x".repeat(bytes));
        answered(answer.expect("a data plane answers"))
    }

    fn reads(&self) -> (u16, String) {
        answered(http::get(&self.get).expect("a data plane answers"))
    }

    fn deletes(&self) -> (u16, String) {
        answered(http::ask("DELETE", &self.delete, "").expect("a data plane answers"))
    }

    /// Waits until writing is answered so, and says how long that took.
    #[track_caller]
    fn will_write(&self, bytes: usize, status: u16, within: Duration) {
        let begun = Instant::now();
        until("the data plane has heard", within, || {
            (self.writes(bytes).0 == status).then_some(())
        });
        println!(
            "{status} to a write {} ms later",
            begun.elapsed().as_millis()
        );
    }
}

fn answered(answer: http::Answer) -> (u16, String) {
    let code = answer.body.split_once("<Code>");
    let code = code.and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map(|(code, _)| code.to_owned());
    (answer.status, code.unwrap_or_default())
}

fn refused(code: &str) -> (u16, String) {
    (403, code.to_owned())
}

#[tokio::test]
async fn a_customer_buys_falls_behind_and_comes_back() {
    let shop = Shop::open();
    let browser = Chromium::start(shop.stack.folder(), true).await;
    browser.goto(&shop.page("/signup")).await;
    sign_up(&browser, "ada@engines.example").await;
    let customer = shop.customer();
    assert_eq!(customer.writes(10).0, 200);
    assert_eq!(customer.writes(LARGE), refused("QuotaExceeded"));

    buys(&shop, &browser, &customer).await;
    falls_behind(&shop, &browser, &customer).await;
    comes_back(&shop, &browser, &customer).await;

    let failed = shop.stack.ask(&["billing", "events", "--failed"]);
    assert_eq!(failed, json!([]));
    let compared = shop.stack.ask(&["billing", "reconcile"]);
    assert_eq!(compared["differences"], json!([]));
}

async fn buys(shop: &Shop, browser: &Chromium, customer: &Customer) {
    // Back before paying: nothing was bought.
    browser.goto(&shop.page("/billing")).await;
    browser.click("#buy-business").await;
    browser.says("#total", "$1,499.00").await;
    browser.click("#cancel").await;
    browser.find("#buy-business").await;
    assert_eq!(browser.path().await, "/billing");
    // The card is refused, and the page stays.
    browser.click("#buy-business").await;
    browser.fill("#card", "4000000000000002").await;
    browser.click("#pay").await;
    browser.says("#error", "Your card was declined.").await;
    assert!(shop.stripe.all("subscription").is_empty());

    shop.stripe.does("hold", &json!({}));
    browser.fill("#card", "4242 4242 4242 4242").await;
    browser.click("#pay").await;
    // Coming back from Stripe activates nothing; only Stripe's word does.
    browser.find("#checkout-done").await;
    assert_eq!(browser.path().await, "/billing");
    assert_eq!(customer.writes(LARGE), refused("QuotaExceeded"));
    what_stripe_did_not_say(shop, customer);

    // In the wrong order, and each twice.
    shop.stripe
        .does("release", &json!({ "order": "reversed", "times": 2 }));
    shop.stripe.settles();
    customer.will_write(LARGE, 200, AT_ONCE);
    assert_eq!(shop.standing(customer).0, "good");
    browser.goto(&shop.page("/billing")).await;
    browser.says("main", "Business plan").await;
    browser.says("#standing-word", "In good standing").await;
    browser.says("#invoice-list", "Paid").await;
    assert!(!browser.has("#buy-business").await, "nobody buys it twice");
    assert_eq!(shop.stripe.all("subscription").len(), 1);
}

/// Each beside the same event as Stripe sends it.
fn what_stripe_did_not_say(shop: &Shop, customer: &Customer) {
    let subscription = shop.stripe.only("subscription");
    let makes = |kind: &str, with: Value| {
        let mut wanted = json!({ "type": kind, "object": subscription["id"], "deliver": false });
        for (name, value) in with.as_object().expect("an object") {
            wanted[name] = value.clone();
        }
        shop.stripe.does("events", &wanted)
    };
    let kind = "customer.subscription.updated";
    let event = makes(kind, json!({}));
    let forged = [
        json!({ "secret": "whsec_another" }),
        json!({ "signature": "" }),
        json!({ "age": 301 }),
        json!({ "replace": { "customer.subscription.updated": "customer.subscription.created" } }),
    ];
    for how in forged {
        assert_eq!(shop.delivered(&event, &how), [400], "{how}");
    }
    // Signed as it should be, but of no money that moves.
    let of_a_test = makes(kind, json!({ "livemode": false }));
    assert_eq!(shop.delivered(&of_a_test, &json!({})), [400]);
    // Of a customer that is nobody's here: nothing to act on.
    let of_nobody = makes(kind, json!({ "with": { "customer": "cus_nobody" } }));
    assert_eq!(shop.delivered(&of_nobody, &json!({})), [200]);
    assert_eq!(customer.writes(LARGE), refused("QuotaExceeded"));
    assert_ne!(shop.standing(customer).1, "paid");
}

/// A renewal that is not paid: a warning for a week, then read-only, then nothing.
async fn falls_behind(shop: &Shop, browser: &Chromium, customer: &Customer) {
    let buyer = shop.stripe.only("customer");
    let conduct = format!(
        "customers/{}/conduct",
        buyer["id"].as_str().expect("its id")
    );
    shop.stripe.does(&conduct, &json!({ "conduct": "fails" }));

    let left = Duration::from_secs(shop.period_end().saturating_sub(shop.now()));
    shop.stripe.passes(left + 2 * HOUR);
    shop.stripe.settles();
    let owes = ("owing".to_owned(), "past_due".to_owned());
    assert_eq!(shop.standing(customer), owes);
    assert_eq!(customer.writes(LARGE).0, 200, "nothing is limited yet");
    browser.goto(&shop.page("/billing")).await;
    browser.says("#standing", "A payment is due").await;
    browser.says("#standing", "read-only on").await;
    browser.picture("billing-owing").await;

    shop.stripe.passes(8 * DAY);
    shop.stripe.settles();
    customer.will_write(LARGE, 403, AT_ONCE);
    assert_eq!(customer.writes(10), refused("AccountProblem"));
    assert_eq!(shop.standing(customer).0, "read_only");
    assert_eq!(customer.reads().0, 200);
    assert_eq!(customer.deletes().0, 204);
    browser.goto(&shop.page("/dashboard")).await;
    browser.says("main", "Your account is read-only").await;

    shop.stripe.passes(14 * DAY);
    shop.stripe.settles();
    until("reading is refused", AT_ONCE, || {
        (customer.reads() == refused("AccountProblem")).then_some(())
    });
    assert_eq!(customer.writes(10), refused("AccountProblem"));
    assert_eq!(shop.standing(customer).0, "suspended");
}

/// Whoever is locked out still gets to Stripe, pays what is open, and is served at once.
async fn comes_back(shop: &Shop, browser: &Chromium, customer: &Customer) {
    browser.goto(&shop.page("/billing")).await;
    browser.says("#standing", "Your account is suspended").await;
    browser.says("#invoice-list", "Open").await;
    browser.click("#portal").await;
    browser.click("#invoice-open").await;
    browser.says("#state", "open").await;
    browser.fill("#card", "5555 5555 5555 4444").await;
    browser.click("#pay").await;
    browser.says("#state", "paid").await;
    shop.stripe.settles();
    customer.will_write(LARGE, 200, AT_ONCE);
    assert_eq!(customer.reads().0, 200);
    assert_eq!(shop.standing(customer).0, "good");
    browser.goto(&shop.page("/billing")).await;
    browser.says("#standing-word", "In good standing").await;
}
