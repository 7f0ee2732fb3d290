//! The small forms of a tenant's page: suspend and resume with a reason, the plan, notes, and having a deleted one back.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::ids::TenantId;
use controlplane::operators::{self, Chosen, Word};
use controlplane::{Error, deletion, tenants};

use super::{id, story};
use crate::App;
use crate::admin::frame::{Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::forgery::{Button, text_fields};

text_fields! {
    ReasonFields { reason }
}

text_fields! {
    PlanFields { plan }
}

text_fields! {
    NoteFields { text }
}

pub async fn suspend(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<ReasonFields>,
) -> Result<Response, Failure> {
    say(
        &app,
        &operator,
        id(&tenant_id)?,
        Word::Suspend,
        &fields.reason,
    )
    .await
}

pub async fn resume(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<ReasonFields>,
) -> Result<Response, Failure> {
    say(
        &app,
        &operator,
        id(&tenant_id)?,
        Word::Resume,
        &fields.reason,
    )
    .await
}

async fn say(
    app: &App,
    operator: &Operator,
    tenant_id: TenantId,
    word: Word,
    reason: &str,
) -> Result<Response, Failure> {
    let reason = reason.trim();
    let done = async {
        if reason.is_empty() || reason.chars().count() > 500 {
            let message =
                "Say why, in 1 to 500 characters: the customer reads it in the audit log.";
            return Err(Error::validation("reason", message));
        }
        let mut tx = operator.begin_plain(app).await?;
        let chosen = Chosen {
            tenant_id,
            revision: None,
        };
        let said = (reason, None);
        operators::set_several(&mut tx, &app.cp, word, vec![chosen], said).await?;
        tx.commit().await
    };
    let notice = match word {
        Word::Suspend => "suspended",
        Word::Resume => "resumed",
    };
    answer(app, operator, tenant_id, notice, done.await).await
}

pub async fn plan(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<PlanFields>,
) -> Result<Response, Failure> {
    let id = id(&tenant_id)?;
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        tenants::set_plan(&mut tx, &app.cp, id, &fields.plan).await?;
        tx.commit().await
    };
    answer(&app, &operator, id, "plan", done.await).await
}

pub async fn note(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<NoteFields>,
) -> Result<Response, Failure> {
    let id = id(&tenant_id)?;
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        operators::add_note(&mut tx, &app.cp, id, &fields.text).await?;
        tx.commit().await
    };
    answer(&app, &operator, id, "noted", done.await).await
}

pub async fn restore(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let id = id(&tenant_id)?;
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        deletion::restore(&mut tx, &app.cp, id).await?;
        tx.commit().await
    };
    answer(&app, &operator, id, "restored", done.await).await
}

/// Back to the tenant's page, with what was done or what was wrong.
pub async fn answer(
    app: &App,
    operator: &Operator,
    tenant_id: TenantId,
    notice: &str,
    done: Result<(), Error>,
) -> Result<Response, Failure> {
    match done {
        Ok(()) => {
            let to = format!("/admin/tenants/{tenant_id}?notice={notice}");
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => {
            let status = error.status();
            let fields = ["reason", "plan", "text", "minutes"];
            let errors = match &error {
                Error::BadRequest(message) => FormErrors::on("looking", message),
                _ => FormErrors::explain(error, &fields)?,
            };
            let again = story::render(app, operator, tenant_id, "", errors).await?;
            Ok((status, again).into_response())
        }
    }
}
