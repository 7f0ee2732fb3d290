//! `POST /admin/tenants/several`: suspends or resumes the ticked ones. The first time it asks, naming how many; it is done for who
//! types that number, and only if none of them was changed meanwhile.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::operators::{self, Chosen, Word};
use controlplane::{Error, tenants};

use crate::App;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;

#[derive(Template)]
#[template(path = "admin/several.html")]
struct SeveralPage<'a> {
    frame: Frame<'a>,
    /// `Suspend 12 tenants`
    question: String,
    word: &'static str,
    danger: bool,
    rows: Vec<Row>,
    reason: &'a str,
    errors: FormErrors,
}

struct Row {
    chosen: String,
    name: String,
    email: String,
}

pub async fn submit(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<Pairs>,
) -> Result<Response, Failure> {
    let word = match fields.get("word") {
        "suspend" => Word::Suspend,
        "resume" => Word::Resume,
        _ => return Err(Error::BadRequest("Choose suspend or resume.".to_owned()).into()),
    };
    let chosen = fields.all("chosen");
    let read: Option<Vec<Chosen>> = chosen.iter().map(|text| read(text)).collect();
    let Some(chosen) = read.filter(|chosen| !chosen.is_empty()) else {
        return Err(Error::BadRequest("Tick the tenants that you mean.".to_owned()).into());
    };
    if fields.get("step") != "confirm" {
        return ask(&app, &operator, word, &chosen, ("", FormErrors::default())).await;
    }
    let reason = fields.get("reason").trim();
    let done = async {
        if reason.is_empty() || reason.chars().count() > 500 {
            let message = "Say why, in 1 to 500 characters: customers read it in their audit log.";
            return Err(Error::validation("reason", message));
        }
        // What is no number confirms none; of one as well the number is typed here.
        let confirm: u64 = fields.get("confirm").trim().parse().unwrap_or(0);
        if usize::try_from(confirm) != Ok(chosen.len()) {
            let message = format!("Type {}, the number of tenants.", chosen.len());
            return Err(Error::validation("confirm", message));
        }
        let mut tx = operator.begin_plain(&app).await?;
        let said = (reason, Some(confirm));
        operators::set_several(&mut tx, &app.cp, word, chosen.clone(), said).await?;
        tx.commit().await
    };
    match done.await {
        Ok(()) => {
            let notice = match word {
                Word::Suspend => "suspended",
                Word::Resume => "resumed",
            };
            let to = format!("/admin/tenants?notice={notice}");
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["reason", "confirm"])?;
            let again = ask(&app, &operator, word, &chosen, (reason, errors)).await?;
            Ok((status, again).into_response())
        }
    }
}

/// `id:revision`
fn read(text: &str) -> Option<Chosen> {
    let (id, revision) = text.split_once(':')?;
    Some(Chosen {
        tenant_id: id.parse().ok()?,
        revision: Some(revision.parse().ok()?),
    })
}

async fn ask(
    app: &App,
    operator: &Operator,
    word: Word,
    chosen: &[Chosen],
    (reason, errors): (&str, FormErrors),
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let mut rows = Vec::new();
    for one in chosen {
        let tenant = tenants::by_id(&mut tx, one.tenant_id).await?;
        rows.push(Row {
            // As it was ticked: what has changed since is told when it is confirmed.
            chosen: format!("{}:{}", one.tenant_id, one.revision.unwrap_or_default()),
            name: tenant.name,
            email: tenant.email,
        });
    }
    drop(tx);
    page(&SeveralPage {
        frame: Frame::new(operator, Area::Tenants),
        question: operators::question(word, chosen.len()),
        word: match word {
            Word::Suspend => "suspend",
            Word::Resume => "resume",
        },
        danger: word == Word::Suspend,
        rows,
        reason,
        errors,
    })
}
