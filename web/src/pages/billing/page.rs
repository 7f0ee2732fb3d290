//! `GET /billing`: everything about paying on one page. What a role may not do is not offered.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use controlplane::accounts::Act;
use controlplane::billing::{self, Overview, Rung, Words};
use controlplane::plans::{self, Plan};
use serde::Deserialize;

use super::alerts::AlertForm;
use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, count, money, unit_price};
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/billing.html")]
struct BillingPage<'a> {
    shell: Shell<'a>,
    notice: &'a str,
    /// Of a webhook whose address is new: shown this once.
    secret: Option<&'a str>,
    may_change: bool,
    has_stripe: bool,
    plan_name: &'a str,
    price: Option<String>,
    standing: Words,
    tone: &'static str,
    word: &'static str,
    trial_ends: Option<Moment>,
    paid_until: Option<Moment>,
    cancel_at: Option<Moment>,
    next: Option<Next>,
    subscribed: bool,
    offers: Vec<Offer>,
    from: Moment,
    to: Moment,
    lines: Vec<Line>,
    beyond_total: String,
    invoices: Vec<InvoiceRow>,
    form: &'a AlertForm,
    errors: &'a FormErrors,
}

/// The next invoice, as far as it is known now.
struct Next {
    amount: String,
    at: Moment,
}

struct Offer {
    id: String,
    name: String,
    price: String,
    storage: Size,
    terms: String,
}

/// Something used beyond the plan.
struct Line {
    id: &'static str,
    what: &'static str,
    included: String,
    quantity: String,
    unit_price: String,
    amount: String,
}

struct InvoiceRow {
    number: String,
    at: Moment,
    amount: String,
    word: String,
    tone: &'static str,
    page: Option<String>,
    pdf: Option<String>,
}

#[derive(Deserialize, Default)]
pub struct BillingQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<BillingQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let spending = billing::spending(&mut tx).await?;
    drop(tx);
    let form = AlertForm::of(&spending);
    render(
        &app,
        &member,
        &query.notice,
        None,
        &form,
        &FormErrors::default(),
    )
    .await
}

/// The page with a form as it was sent, or as it is.
pub async fn render(
    app: &App,
    member: &Member,
    notice: &str,
    secret: Option<&str>,
    form: &AlertForm,
    errors: &FormErrors,
) -> Result<Response, Failure> {
    let may_change = member.session.may(Act::ManageBilling);
    let mut tx = member.begin(app).await?;
    let seen = billing::overview(&mut tx, &app.cp).await?;
    let invoices = match may_change {
        true => invoices(&mut tx, app).await?,
        false => Vec::new(),
    };
    let offers = plans::list(&mut tx).await?;
    tx.commit().await?;

    let plan = &seen.tenant.plan;
    let standing = seen.standing;
    let (tone, word) = badge(standing.rung);
    let sold = offers
        .iter()
        .filter(|offer| offer.for_sale && offer.plan.price_cents > 0);
    page(&BillingPage {
        shell: Shell::new(&member.session, Here::Billing),
        notice,
        secret,
        may_change,
        has_stripe: app.cp.has_stripe(),
        plan_name: &plan.name,
        price: (plan.price_cents > 0).then(|| money(plan.price_cents, &plan.currency)),
        standing: Words::of(&standing),
        tone,
        word,
        trial_ends: seen.tenant.trial_ends_at.map(Moment),
        paid_until: seen.paid_until.map(Moment),
        cancel_at: seen.cancel_at.map(Moment),
        next: next(&seen),
        subscribed: seen.subscribed,
        offers: sold.map(|offer| Offer::of(&offer.plan)).collect(),
        from: Moment(seen.period.from),
        to: Moment(seen.period.to),
        lines: lines(&seen),
        beyond_total: money(seen.beyond.total_cents(), &plan.currency),
        invoices,
        form,
        errors,
    })
}

fn badge(rung: Rung) -> (&'static str, &'static str) {
    match rung {
        Rung::Good => ("good", "In good standing"),
        Rung::Ending => ("warn", "Ends soon"),
        Rung::Owing => ("warn", "Payment due"),
        Rung::ReadOnly => ("bad", "Read-only"),
        Rung::Suspended => ("bad", "Suspended"),
    }
}

/// The plan's price for the period to come, and what was used beyond it in this one.
fn next(seen: &Overview) -> Option<Next> {
    let plan = &seen.tenant.plan;
    let ends = seen.cancel_at.is_some_and(|at| at <= seen.period.to);
    let (cents, at) = match (seen.subscribed, seen.paid_until) {
        (true, _) if ends => (seen.beyond.total_cents(), seen.period.to),
        (true, _) => (
            plan.price_cents.saturating_add(seen.beyond.total_cents()),
            seen.period.to,
        ),
        (false, Some(until)) => (
            plan.price_cents.saturating_add(seen.beyond.total_cents()),
            until,
        ),
        (false, None) => return None,
    };
    Some(Next {
        amount: money(cents, &plan.currency),
        at: Moment(at),
    })
}

impl Offer {
    fn of(plan: &Plan) -> Self {
        let price = |micros: i64| unit_price(micros, &plan.currency);
        let mut terms = Vec::new();
        terms.extend(
            plan.storage_price_micros
                .map(|micros| format!("more is {} a GB-month", price(micros))),
        );
        if let (Some(included), Some(micros)) = (plan.egress_bytes, plan.egress_price_micros) {
            let included = size(included);
            terms.push(format!("{included} read, more is {} a GB", price(micros)));
        }
        Self {
            id: plan.id.clone(),
            name: plan.name.clone(),
            price: money(plan.price_cents, &plan.currency),
            storage: size(plan.storage_bytes),
            terms: terms.join("; "),
        }
    }
}

fn size(bytes: i64) -> Size {
    Size::of(u64::try_from(bytes).unwrap_or_default())
}

fn lines(seen: &Overview) -> Vec<Line> {
    let plan = &seen.tenant.plan;
    let whole = |quantity: i64| count(quantity.unsigned_abs());
    let mut lines = Vec::new();
    if let Some(micros) = plan.storage_price_micros {
        lines.push(Line {
            id: "storage",
            what: "Stored",
            included: size(plan.storage_bytes).to_string(),
            quantity: format!("{} GB-months", whole(seen.beyond.storage_gb_months)),
            unit_price: unit_price(micros, &plan.currency),
            amount: money(seen.beyond.storage_cents, &plan.currency),
        });
    }
    if let (Some(included), Some(micros)) = (plan.egress_bytes, plan.egress_price_micros) {
        lines.push(Line {
            id: "egress",
            what: "Read",
            included: size(included).to_string(),
            quantity: format!("{} GB", whole(seen.beyond.egress_gb)),
            unit_price: unit_price(micros, &plan.currency),
            amount: money(seen.beyond.egress_cents, &plan.currency),
        });
    }
    lines
}

/// Stripe's and our own.
async fn invoices(tx: &mut controlplane::Tx, app: &App) -> Result<Vec<InvoiceRow>, Failure> {
    let stripes = billing::stripe_invoices(tx, &app.cp).await?;
    let own = billing::invoices(tx).await?;
    let stripes = stripes.into_iter().map(|invoice| {
        let (tone, word) = match invoice.status.as_str() {
            "paid" => ("good", "Paid"),
            "open" => ("warn", "Open"),
            "draft" => ("", "Being prepared"),
            "void" => ("", "Void"),
            _ => ("bad", "Not paid"),
        };
        InvoiceRow {
            number: invoice.number.unwrap_or_default(),
            at: Moment(invoice.created_at),
            amount: money(invoice.total_cents, &invoice.currency),
            word: word.to_owned(),
            tone,
            page: invoice.hosted_url,
            pdf: invoice.pdf_url,
        }
    });
    let own = own.into_iter().map(|invoice| InvoiceRow {
        number: invoice.number.to_string(),
        at: Moment(invoice.issued_at),
        amount: money(invoice.total_cents, &invoice.currency),
        word: if invoice.paid_at.is_some() {
            "Paid"
        } else {
            "Open"
        }
        .to_owned(),
        tone: if invoice.paid_at.is_some() {
            "good"
        } else {
            "warn"
        },
        page: None,
        pdf: Some(format!("/billing/invoices/{}", invoice.id.simple())),
    });
    Ok(stripes.chain(own).collect())
}
