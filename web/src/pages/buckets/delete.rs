//! `/buckets/{bucket}/delete`: asks for the name, then deletes the bucket if it is empty.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::buckets::{self, Bucket};
use http::StatusCode;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::forgery::MemberForm;
use crate::pages::buckets::{find, may_write};
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/buckets/delete.html")]
struct DeletePage<'a> {
    shell: Shell<'a>,
    name: &'a str,
    typed: &'a str,
    not_empty: bool,
    errors: FormErrors,
}

pub async fn show(
    State(app): State<App>,
    Path(bucket): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let bucket = find(&app, &member, &bucket).await?;
    form(&member, &bucket, "", false, FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    Path(bucket): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let bucket = find(&app, &member, &bucket).await?;
    let typed = fields.get("name").trim();
    if typed != bucket.name {
        let errors = FormErrors::on("name", "That is not this bucket’s name.");
        let again = form(&member, &bucket, typed, false, errors)?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    let (actor, origin) = member.acting();
    let tenant = member.session.tenant_id;
    match buckets::delete(&app.cp, tenant, &bucket.name, actor, origin).await {
        Ok(_) => Ok(Redirect::to(&format!("/buckets?deleted={}", bucket.name)).into_response()),
        Err(error) => {
            let status = error.status();
            let not_empty = error.code() == "BucketNotEmpty";
            let errors = match not_empty {
                true => FormErrors::default(),
                false => FormErrors::explain(error, &["name"])?,
            };
            let again = form(&member, &bucket, typed, not_empty, errors)?;
            Ok((status, again).into_response())
        }
    }
}

fn form(
    member: &Member,
    bucket: &Bucket,
    typed: &str,
    not_empty: bool,
    errors: FormErrors,
) -> Result<Response, Failure> {
    page(&DeletePage {
        shell: Shell::new(&member.session, Here::Buckets),
        name: &bucket.name,
        typed,
        not_empty,
        errors,
    })
}
