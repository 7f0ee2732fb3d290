//! `POST /billing/checkout` and `POST /billing/portal`: on to Stripe. The form names a plan; what it costs is looked up.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::billing;

use crate::App;
use crate::failure::Failure;
use crate::forgery::{Button, MemberForm, text_fields};

text_fields! {
    CheckoutFields { plan }
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<CheckoutFields>,
) -> Result<Response, Failure> {
    let tenant = member.session.tenant_id;
    let page = billing::checkout(&app.cp, tenant, &fields.plan, member.acting()).await?;
    Ok(Redirect::to(&page).into_response())
}

pub async fn portal(
    State(app): State<App>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let page = billing::portal(&app.cp, member.session.tenant_id).await?;
    Ok(Redirect::to(&page).into_response())
}
