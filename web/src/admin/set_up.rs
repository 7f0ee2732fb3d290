//! `/admin/setup`: where the link of a new operator leads: a password and a second step, both at once, then recovery codes.
//! Looking uses nothing up; the form does.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use controlplane::Error;
use controlplane::operators::{self, SetUp};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::frame;
use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{VisitorForm, VisitorToken, text_fields};
use crate::pages::forms::Field;
use crate::pages::second_step::{Qr, qr};
use crate::session::Visit;

#[derive(Template)]
#[template(path = "admin/set_up.html")]
struct SetUpPage<'a> {
    form_token: &'a str,
    link: &'a str,
    email: &'a str,
    qr: Qr,
    secret: &'a str,
    sealed: &'a str,
    password: Field,
    code: Field,
    errors: FormErrors,
}

#[derive(Template)]
#[template(path = "admin/recovery_codes.html")]
struct CodesPage<'a> {
    codes: &'a [String],
    next: &'a str,
}

#[derive(Template)]
#[template(path = "admin/dead_link.html")]
struct DeadLinkPage;

#[derive(Deserialize, Default)]
pub struct SetUpQuery {
    #[serde(default)]
    token: String,
}

text_fields! {
    SetUpFields { link, sealed, password, code }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<SetUpQuery>,
    token: VisitorToken,
) -> Result<Response, Failure> {
    match operators::begin_set_up(&app.cp, &query.token).await {
        Ok(set_up) => form(&app, &token, &query.token, &set_up, FormErrors::default()),
        Err(Error::BadRequest(_)) => dead(),
        Err(error) => Err(error.into()),
    }
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    Visit(origin): Visit,
    VisitorForm { token, fields }: VisitorForm<SetUpFields>,
) -> Result<Response, Failure> {
    let step = (fields.sealed.as_str(), fields.code.trim());
    let (cp, link) = (&app.cp, fields.link.as_str());
    match operators::set_up(cp, link, &fields.password, step, &origin).await {
        Ok((signed_in, codes)) => {
            let shown = page(&CodesPage {
                codes: &codes.0,
                next: frame::first(),
            })?;
            frame::start(&app, &headers, &signed_in.token, &origin, shown).await
        }
        Err(Error::BadRequest(_)) => dead(),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["password", "code"])?;
            let set_up = match operators::resume_set_up(cp, link, &fields.sealed).await {
                Err(Error::BadRequest(_)) => return dead(),
                other => other?,
            };
            let again = form(&app, &token, link, &set_up, errors)?;
            Ok((status, again).into_response())
        }
    }
}

fn form(
    app: &App,
    token: &VisitorToken,
    link: &str,
    set_up: &SetUp,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let shown = page(&SetUpPage {
        form_token: token.as_str(),
        link,
        email: &set_up.email,
        qr: qr(&set_up.totp.uri),
        secret: &set_up.totp.secret,
        sealed: &set_up.totp.sealed,
        password: Field::new_password("password", "A password"),
        code: Field::code("The six digits that the app shows now."),
        errors,
    })?;
    Ok(token.attach(app, shown))
}

fn dead() -> Result<Response, Failure> {
    Ok((StatusCode::BAD_REQUEST, page(&DeadLinkPage)?).into_response())
}
