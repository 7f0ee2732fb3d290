//! `/admin/operators`: who may log in here. Whoever lets another in types a code of their own, and gets the new one's link.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use controlplane::Error;
use controlplane::operators::{self, SetUpLink};
use serde::Deserialize;

use super::Route;
use super::forms::FormPage;
use super::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::Moment;
use crate::forgery::{Button, text_fields};
use crate::pages::forms::{Field, Words};
use crate::{Access, App};

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/admin/operators", Access::Operator, get(show).post(create)),
        (
            "/admin/operators/{operator_id}/reset",
            Access::Operator,
            get(show_reset).post(reset),
        ),
        (
            "/admin/operators/{operator_id}/disable",
            Access::Operator,
            post(disable),
        ),
    ]
}

#[derive(Template)]
#[template(path = "admin/operators.html")]
struct OperatorsPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    link: Option<SetUpLink>,
    rows: Vec<Row>,
    form: &'a NewFields,
    errors: FormErrors,
}

struct Row {
    id: String,
    email: String,
    you: bool,
    state: &'static str,
    tone: &'static str,
    disabled: bool,
    since: Moment,
    last_log_in: Option<Moment>,
    recovery_codes: i64,
}

#[derive(Deserialize, Default)]
pub struct OperatorsQuery {
    #[serde(default)]
    notice: String,
}

text_fields! {
    NewFields { email, code }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<OperatorsQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let notice = match query.notice.as_str() {
        "disabled" => "The operator is disabled, and their sessions are ended.",
        _ => "",
    };
    let shown = Shown {
        notice,
        ..Shown::default()
    };
    list(&app, &operator, &NewFields::default(), shown).await
}

pub async fn create(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<NewFields>,
) -> Result<Response, Failure> {
    let made = async {
        let (session, origin) = (&operator.session, &operator.origin);
        let mut tx = operators::confirm(&app.cp, session, fields.code.trim(), origin).await?;
        let link = operators::create(&mut tx, &app.cp, &fields.email).await?;
        tx.commit().await?;
        Ok::<_, Error>(link)
    };
    answer(&app, &operator, &fields, made.await).await
}

pub async fn show_reset(
    State(app): State<App>,
    Path(operator_id): Path<String>,
    operator: Operator,
) -> Result<Response, Failure> {
    reset_form(&app, &operator, &operator_id, FormErrors::default()).await
}

async fn reset_form(
    app: &App,
    operator: &Operator,
    operator_id: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let all = operators::list(&mut tx).await?;
    let found = all.iter().find(|one| one.id.to_string() == operator_id);
    let found = found.ok_or(Error::NotFound("operator"))?;
    FormPage {
        frame: Frame::new(operator, Area::Operators),
        above: ("/admin/operators", "Operators"),
        words: Words {
            title: &format!("Reset {}", found.email),
            lead: "Their password, second step, recovery codes and sessions end, and you get a link that sets others up.",
            action: &format!("/admin/operators/{operator_id}/reset"),
            submit: "Reset",
        },
        danger: true,
        hidden: Vec::new(),
        fields: vec![Field::code("Of your own app.")],
        errors,
    }
    .show()
}

pub async fn reset(
    State(app): State<App>,
    Path(operator_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<NewFields>,
) -> Result<Response, Failure> {
    let made = async {
        let (session, origin) = (&operator.session, &operator.origin);
        let mut tx = operators::confirm(&app.cp, session, fields.code.trim(), origin).await?;
        let link = operators::reset(&mut tx, &app.cp, &operator_id).await?;
        tx.commit().await?;
        Ok::<_, Error>(link)
    };
    match made.await {
        Ok(link) => answer(&app, &operator, &NewFields::default(), Ok(link)).await,
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["code"])?;
            let again = reset_form(&app, &operator, &operator_id, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

pub async fn disable(
    State(app): State<App>,
    Path(operator_id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    if operator_id == operator.session.operator_id.to_string() {
        return Err(Error::Forbidden("Nobody disables themselves: ask another operator.").into());
    }
    let mut tx = operator.begin(&app).await?;
    operators::disable(&mut tx, &app.cp, &operator_id).await?;
    tx.commit().await?;
    Ok(Redirect::to("/admin/operators?notice=disabled").into_response())
}

#[derive(Default)]
struct Shown {
    notice: &'static str,
    link: Option<SetUpLink>,
    errors: FormErrors,
}

async fn answer(
    app: &App,
    operator: &Operator,
    fields: &NewFields,
    made: Result<SetUpLink, Error>,
) -> Result<Response, Failure> {
    match made {
        Ok(link) => {
            let shown = Shown {
                link: Some(link),
                ..Shown::default()
            };
            list(app, operator, &NewFields::default(), shown).await
        }
        Err(error) => {
            let status = error.status();
            let shown = Shown {
                errors: FormErrors::explain(error, &["email", "code"])?,
                ..Shown::default()
            };
            let again = list(app, operator, fields, shown).await?;
            Ok((status, again).into_response())
        }
    }
}

async fn list(
    app: &App,
    operator: &Operator,
    form: &NewFields,
    shown: Shown,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let all = operators::list(&mut tx).await?;
    tx.commit().await?;
    let rows = all.into_iter().map(|row| {
        let (state, tone) = match (row.disabled_at.is_some(), row.set_up_at.is_some()) {
            (true, _) => ("disabled", "bad"),
            (false, true) => ("active", "good"),
            (false, false) => ("not set up", "warn"),
        };
        Row {
            id: row.id.to_string(),
            you: row.id == operator.session.operator_id,
            email: row.email,
            state,
            tone,
            disabled: row.disabled_at.is_some(),
            since: Moment(row.created_at),
            last_log_in: row.last_log_in_at.map(Moment),
            recovery_codes: row.recovery_codes_left,
        }
    });
    page(&OperatorsPage {
        frame: Frame::new(operator, Area::Operators),
        notice: shown.notice,
        link: shown.link,
        rows: rows.collect(),
        form,
        errors: shown.errors,
    })
}
