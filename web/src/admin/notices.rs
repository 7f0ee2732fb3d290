//! `/admin/notices`: what customers are told on their dashboard. One is written in two steps: the second shows it as they will
//! see it, and names how many tenants it reaches.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use chrono::{DateTime, NaiveDateTime, Utc};
use controlplane::ids::NoticeId;
use controlplane::notices::{self, Level, NewNotice, Notice};
use controlplane::{Error, Tx, plans};
use http::StatusCode;
use serde::Deserialize;

use super::Route;
use super::forms::FormPage;
use super::frame::{Area, Frame, Operator, OperatorForm};
use super::jobs::number;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::{Pairs, term};
use crate::figures::{Moment, count};
use crate::pages::forms::Words;
use crate::{Access, App};

const FIELDS: [&str; 6] = ["title", "text", "level", "from", "until", "plan"];

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/admin/notices", Access::Operator, get(show).post(create)),
        (
            "/admin/notices/{notice_id}/end",
            Access::Operator,
            get(show_end).post(end),
        ),
    ]
}

#[derive(Template)]
#[template(path = "admin/notices.html")]
struct NoticesPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    rows: Vec<Row>,
    levels: [(Level, &'static str, &'static str); 3],
    plans: Vec<(String, String)>,
    form: &'a Form,
    errors: FormErrors,
}

/// What it looks like and whom it reaches, before it is shown to anybody.
#[derive(Template)]
#[template(path = "admin/notice_confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame<'a>,
    /// `Tell 12 tenants`
    question: String,
    word: &'static str,
    tone: &'static str,
    form: &'a Form,
    from: Option<Moment>,
    until: Moment,
    errors: FormErrors,
}

/// As it was typed.
#[derive(Default)]
struct Form {
    title: String,
    text: String,
    level: String,
    from: String,
    until: String,
    plan: String,
}

impl Form {
    fn of(fields: &Pairs) -> Self {
        let text = |name: &str| fields.get(name).to_owned();
        Self {
            title: text("title"),
            text: text("text"),
            level: text("level"),
            from: text("from"),
            until: text("until"),
            plan: term(fields.get("plan")),
        }
    }

    fn read(&self, confirm: Option<u64>) -> Result<NewNotice, Error> {
        let until = moment("until", &self.until)?;
        Ok(NewNotice {
            title: self.title.clone(),
            text: self.text.clone(),
            level: self.level.parse()?,
            from: moment("from", &self.from)?,
            until: until.ok_or_else(|| Error::validation("until", "Say when it ends."))?,
            plan: Some(self.plan.clone()).filter(|plan| !plan.is_empty()),
            confirm,
        })
    }
}

struct Row {
    id: String,
    title: String,
    text: String,
    word: &'static str,
    tone: &'static str,
    plan: Option<String>,
    from: Moment,
    until: Moment,
    state: &'static str,
    may_end: bool,
    tenants: String,
    one: bool,
    dismissed: String,
    by: String,
}

#[derive(Deserialize, Default)]
pub struct NoticesQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<NoticesQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let form = Form {
        level: "info".to_owned(),
        ..Form::default()
    };
    let notice = match query.notice.as_str() {
        "written" => "It is written: customers see it on their dashboards from its beginning on.",
        "ended" => "It is ended: nobody sees it any more.",
        _ => "",
    };
    render(&app, &operator, notice, &form, FormErrors::default()).await
}

/// Where it reaches several tenants, the first time it asks, naming how many; it is written for who types that number.
pub async fn create(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let form = Form::of(&fields);
    let step = fields.get("step");
    if step == "edit" {
        return render(&app, &operator, "", &form, FormErrors::default()).await;
    }
    let asked = step == "confirm";
    // What is no number confirms none.
    let confirm = asked.then(|| fields.get("confirm").trim().parse().unwrap_or(u64::MAX));
    let written = async {
        let mut tx = operator.begin_plain(&app).await?;
        notices::create(&mut tx, &app.cp, form.read(confirm)?).await?;
        tx.commit().await
    };
    match written.await {
        Ok(()) => Ok(Redirect::to("/admin/notices?notice=written").into_response()),
        Err(error) if error.code() == "confirm_needed" => {
            confirming(&app, &operator, &form, asked).await
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &FIELDS)?;
            let shown = render(&app, &operator, "", &form, errors).await?;
            Ok((status, shown).into_response())
        }
    }
}

async fn confirming(
    app: &App,
    operator: &Operator,
    form: &Form,
    asked: bool,
) -> Result<Response, Failure> {
    let new = form.read(None)?;
    let mut tx = operator.begin(app).await?;
    let tenants = notices::reach(&mut tx, new.plan.as_deref()).await?;
    drop(tx);
    let (status, errors) = match asked {
        false => (StatusCode::OK, FormErrors::default()),
        true => {
            let message = format!("Type {tenants}, the number of tenants that it reaches now.");
            let errors = FormErrors::on("confirm", &message);
            (StatusCode::UNPROCESSABLE_ENTITY, errors)
        }
    };
    let (word, tone) = level(new.level);
    let shown = page(&ConfirmPage {
        frame: Frame::new(operator, Area::Notices),
        question: format!("Tell {} tenants", count(tenants)),
        word,
        tone,
        form,
        from: new.from.map(Moment),
        until: Moment(new.until),
        errors,
    })?;
    Ok((status, shown).into_response())
}

/// As the dashboard has it.
fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Info => ("Notice", ""),
        Level::Maintenance => ("Maintenance", "warn"),
        Level::Incident => ("Incident", "bad"),
    }
}

/// As a `datetime-local` field sends it, taken as UTC.
fn moment(field: &str, text: &str) -> Result<Option<DateTime<Utc>>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let read = formats
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    match read {
        Some(read) => Ok(Some(read.and_utc())),
        None => Err(Error::validation(
            field,
            "Give a day and a time such as 2026-03-08T06:00.",
        )),
    }
}

pub async fn show_end(
    State(app): State<App>,
    Path(notice_id): Path<String>,
    operator: Operator,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(&app).await?;
    let (notice, reach) = ending(&mut tx, &notice_id).await?;
    drop(tx);
    ask(&operator, &notice, reach, FormErrors::default())
}

/// The notice, and how many tenants are shown it no more.
async fn ending(tx: &mut Tx, notice_id: &str) -> Result<(Notice, u64), Error> {
    let id: NoticeId = notice_id.parse().map_err(|_| Error::NotFound("notice"))?;
    let notice = notices::get(tx, id).await?;
    let reach = notices::reach(tx, notice.plan.as_deref()).await?;
    Ok((notice, reach))
}

/// Of many it takes their number.
pub async fn end(
    State(app): State<App>,
    Path(notice_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(&app).await?;
    let (notice, reach) = ending(&mut tx, &notice_id).await?;
    let confirm = fields.get("confirm").trim().parse().ok();
    let ended = notices::end(&mut tx, &app.cp, notice.notice_id, confirm).await;
    if matches!(&ended, Err(error) if error.code() == "confirm_needed") {
        drop(tx);
        let message = format!("Type {reach}, the number of tenants that it reaches.");
        let shown = ask(
            &operator,
            &notice,
            reach,
            FormErrors::on("confirm", &message),
        )?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response());
    }
    ended?;
    tx.commit().await?;
    Ok(Redirect::to("/admin/notices?notice=ended").into_response())
}

fn ask(
    operator: &Operator,
    notice: &Notice,
    reach: u64,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let tenants = if reach == 1 { "tenant" } else { "tenants" };
    let question = format!("End it for {reach} {tenants}");
    FormPage {
        frame: Frame::new(operator, Area::Notices),
        above: ("/admin/notices", "Notices"),
        words: Words {
            title: &question,
            lead: &format!("“{}” is gone from their dashboards at once.", notice.title),
            action: &format!("/admin/notices/{}/end", notice.notice_id),
            submit: &question,
        },
        danger: true,
        hidden: Vec::new(),
        fields: match reach {
            0 | 1 => Vec::new(),
            _ => vec![number("How many tenants are these?")],
        },
        errors,
    }
    .show()
}

async fn render(
    app: &App,
    operator: &Operator,
    notice: &'static str,
    form: &Form,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let now = app.cp.clock().now();
    let mut tx = operator.begin(app).await?;
    let written = notices::list(&mut tx).await?;
    let offers = plans::list(&mut tx).await?;
    drop(tx);
    page(&NoticesPage {
        frame: Frame::new(operator, Area::Notices),
        notice,
        rows: written.into_iter().map(|notice| row(notice, now)).collect(),
        levels: [
            (Level::Info, "Notice", "Something new, or worth knowing"),
            (
                Level::Maintenance,
                "Maintenance",
                "Work that they may notice",
            ),
            (
                Level::Incident,
                "Incident",
                "Something is broken; shown first",
            ),
        ],
        plans: offers
            .into_iter()
            .map(|offer| (offer.plan.id, offer.plan.name))
            .collect(),
        form,
        errors,
    })
}

fn row(notice: Notice, now: DateTime<Utc>) -> Row {
    let state = notice.state(now);
    let (word, tone) = level(notice.level);
    Row {
        id: notice.notice_id.to_string(),
        may_end: matches!(state, "shown" | "planned"),
        tone: match (state, tone) {
            ("shown", "") => "good",
            ("shown", tone) => tone,
            ("planned", _) => "accent",
            _ => "",
        },
        state,
        word,
        title: notice.title,
        text: notice.text,
        plan: notice.plan,
        from: Moment(notice.from),
        until: Moment(notice.until),
        one: notice.tenants == 1,
        tenants: count(notice.tenants.max(0).unsigned_abs()),
        dismissed: count(notice.dismissed.max(0).unsigned_abs()),
        by: notice.created_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_a_browser_sends_it() {
        let read = |text| {
            moment("until", text)
                .ok()
                .flatten()
                .map(|at| at.to_rfc3339())
        };
        assert_eq!(
            read("2026-03-08T06:00").as_deref(),
            Some("2026-03-08T06:00:00+00:00")
        );
        assert_eq!(read(""), None);
        assert!(moment("until", "tomorrow").is_err());
    }
}
