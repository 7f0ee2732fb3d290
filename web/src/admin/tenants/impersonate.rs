//! An operator's look at the dashboard as the customer sees it: its beginning, with a reason and an end, and its end.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::operators::impersonation::{self, USUAL_MINUTES};

use super::{acts, id};
use crate::App;
use crate::admin::frame::OperatorForm;
use crate::failure::Failure;
use crate::forgery::{Button, text_fields};

text_fields! {
    LookFields { looking, minutes }
}

pub async fn begin(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<LookFields>,
) -> Result<Response, Failure> {
    let id = id(&tenant_id)?;
    let minutes = match fields.minutes.trim() {
        "" => USUAL_MINUTES,
        // What is no number is none that is allowed.
        text => text.parse().unwrap_or(0),
    };
    let how = (fields.looking.as_str(), minutes);
    let begun = impersonation::begin(&app.cp, &operator.session, id, how, &operator.origin).await;
    match begun {
        Ok(_) => Ok(Redirect::to("/dashboard").into_response()),
        Err(error) => acts::answer(&app, &operator, id, "", Err(error)).await,
    }
}

pub async fn end(
    State(app): State<App>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let (session, origin) = (&operator.session, &operator.origin);
    let tenant = impersonation::current(&app.cp, session).await?;
    impersonation::end(&app.cp, session, origin).await?;
    let to = match tenant {
        Some(seen) => format!("/admin/tenants/{}?notice=looked", seen.tenant_id),
        None => "/admin/tenants".to_owned(),
    };
    Ok(Redirect::to(&to).into_response())
}
