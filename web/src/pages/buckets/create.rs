//! `/buckets/new`: the form for a bucket, and making it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::buckets::{self, NewBucket};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::forgery::MemberForm;
use crate::pages::buckets::may_write;
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/buckets/create.html")]
struct CreatePage<'a> {
    shell: Shell<'a>,
    form: &'a Pairs,
    can_lock: bool,
    errors: FormErrors,
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    may_write(&member)?;
    form(&app, &member, &Pairs::default(), FormErrors::default()).await
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let new = NewBucket {
        name: fields.get("name").trim().to_owned(),
        object_lock: fields.is_set("object_lock"),
        public_read: fields.is_set("public_read"),
    };
    let name = new.name.clone();
    let (actor, origin) = member.acting();
    match buckets::create(&app.cp, member.session.tenant_id, new, actor, origin).await {
        Ok(_) => Ok(Redirect::to(&format!("/buckets/{name}?created=1")).into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["name"])?;
            let again = form(&app, &member, &fields, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

async fn form(
    app: &App,
    member: &Member,
    form: &Pairs,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = member.begin(app).await?;
    let can_lock = buckets::can_lock(&mut tx).await?;
    tx.commit().await?;
    page(&CreatePage {
        shell: Shell::new(&member.session, Here::Buckets),
        form,
        can_lock,
        errors,
    })
}
