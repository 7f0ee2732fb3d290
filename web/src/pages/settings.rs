//! `/settings`: what concerns the whole account; its name, and the export of everything about it.

use askama::Template;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::Act;
use controlplane::export;
use controlplane::tenants::{self, Tenant};
use http::header;
use serde::Deserialize;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::Moment;
use crate::forgery::{Button, MemberForm, text_fields};
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/settings.html")]
struct SettingsPage<'a> {
    shell: Shell<'a>,
    notice: &'static str,
    company: &'a str,
    tenant: &'a Tenant,
    since: Moment,
    trial_ends: Option<Moment>,
    endpoint: &'a str,
    region: &'a str,
    may_rename: bool,
    may_delete: bool,
    errors: FormErrors,
}

#[derive(Deserialize, Default)]
pub struct SettingsQuery {
    #[serde(default)]
    notice: String,
}

text_fields! {
    CompanyFields { company }
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<SettingsQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let notice = match query.notice.as_str() {
        "renamed" => "The company’s name is changed.",
        _ => "",
    };
    let company = &member.session.company;
    form(&app, &member, notice, company, FormErrors::default()).await
}

pub async fn rename(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<CompanyFields>,
) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    match tenants::rename(&mut tx, &app.cp, &fields.company).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Redirect::to("/settings?notice=renamed").into_response())
        }
        Err(error) => {
            drop(tx);
            let status = error.status();
            let errors = FormErrors::explain(error, &["company"])?;
            let again = form(&app, &member, "", &fields.company, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

/// One file, as it is read: an account of any size.
pub async fn export(
    State(app): State<App>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let pages = export::export(&app.cp, &member.session, &member.origin).await?;
    let name = format!(
        "attachment; filename=\"vaultaire-{}.json\"",
        member.session.tenant_id
    );
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

async fn form(
    app: &App,
    member: &Member,
    notice: &'static str,
    company: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = member.begin(app).await?;
    let tenant = tenants::get(&mut tx).await?;
    tx.commit().await?;
    let session = &member.session;
    page(&SettingsPage {
        shell: Shell::new(session, Here::Settings),
        notice,
        company,
        since: Moment(tenant.created_at),
        trial_ends: tenant.trial_ends_at.map(Moment),
        tenant: &tenant,
        endpoint: &app.cp.config().s3_endpoint,
        region: &app.cp.config().region,
        may_rename: session.may(Act::ManageMembers),
        may_delete: session.may(Act::DeleteAccount),
        errors,
    })
}
