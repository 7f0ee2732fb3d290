//! `/admin/plans`: what is sold, and a form for another plan.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::plans::{self, Offer};

use super::state;
use super::terms::{Input, change, explain, inputs, usual};
use crate::App;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::figures::{Size, count, money};

#[derive(Template)]
#[template(path = "admin/plans.html")]
struct PlansPage<'a> {
    frame: Frame<'a>,
    rows: Vec<Row>,
    id: &'a str,
    inputs: Vec<Input>,
    for_sale: bool,
    errors: FormErrors,
}

struct Row {
    id: String,
    name: String,
    version: i32,
    price: String,
    stored: Size,
    rate: String,
    word: &'static str,
    tone: &'static str,
}

impl From<Offer> for Row {
    fn from(offer: Offer) -> Self {
        let (word, tone) = state(&offer);
        let plan = offer.plan;
        Self {
            price: money(plan.price_cents, &plan.currency),
            stored: Size::of(plan.storage_bytes.max(0).unsigned_abs()),
            rate: count(u64::from(plan.requests_per_second.unsigned_abs())),
            id: plan.id,
            name: plan.name,
            version: plan.version,
            word,
            tone,
        }
    }
}

pub async fn show(State(app): State<App>, operator: Operator) -> Result<Response, Failure> {
    let errors = FormErrors::default();
    render(&app, &operator, "", inputs(usual), false, errors).await
}

pub async fn create(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let id = fields.get("id").trim().to_owned();
    match save(&app, &operator, &id, &fields).await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/plans/{id}")).into_response()),
        Err(error) => {
            let status = error.status();
            let errors = explain(error)?;
            let sent = inputs(|name| fields.get(name).to_owned());
            let for_sale = fields.is_set("for_sale");
            let shown = render(&app, &operator, &id, sent, for_sale, errors).await?;
            Ok((status, shown).into_response())
        }
    }
}

async fn save(app: &App, operator: &Operator, id: &str, fields: &Pairs) -> Result<(), Error> {
    let change = change(fields)?;
    let mut tx = operator.begin_plain(app).await?;
    plans::create(&mut tx, &app.cp, id, &change).await?;
    tx.commit().await
}

async fn render(
    app: &App,
    operator: &Operator,
    id: &str,
    inputs: Vec<Input>,
    for_sale: bool,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let offers = plans::list(&mut tx).await?;
    drop(tx);
    page(&PlansPage {
        frame: Frame::new(operator, Area::Plans),
        rows: offers.into_iter().map(Row::from).collect(),
        id,
        inputs,
        for_sale,
        errors,
    })
}
