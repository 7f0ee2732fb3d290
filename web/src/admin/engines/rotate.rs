//! `/admin/engines/{id}/rotate`: other credentials while requests run. The secret that is typed is never shown again.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::engines::{self, Credentials};

use super::show::answer;
use crate::App;
use crate::admin::forms::FormPage;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::forgery::{Button, text_fields};
use crate::pages::forms::{Field, Words};

text_fields! {
    CredentialsFields { access_key_id, secret_access_key }
}

pub async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
    operator: Operator,
) -> Result<Response, Failure> {
    form(&app, &operator, &id, "", FormErrors::default()).await
}

pub async fn submit(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<CredentialsFields>,
) -> Result<Response, Failure> {
    let new = Credentials {
        access_key_id: fields.access_key_id.clone(),
        secret_access_key: fields.secret_access_key,
    };
    let (cp, (actor, origin)) = (app.cp.clone(), operator.acting());
    let engine = id.clone();
    // A browser that goes away must not end it half-way.
    let rotating =
        tokio::spawn(async move { engines::rotate(&cp, &engine, new, actor, origin).await });
    let done = rotating
        .await
        .map_err(|error| Error::Internal(error.into()))?;
    match done {
        Ok(_) => Ok(Redirect::to(&format!("/admin/engines/{id}?notice=rotated")).into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["access_key_id", "secret_access_key"])?;
            let again = form(&app, &operator, &id, &fields.access_key_id, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

/// Refused while a node that may serve has not said that it has the new ones.
pub async fn finish(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let (actor, origin) = operator.acting();
    let done = engines::finish(&app.cp, &id, actor, origin).await;
    answer(&app, &operator, &id, "finished", done.map(|_| ())).await
}

pub async fn go_back(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let (cp, (actor, origin)) = (app.cp.clone(), operator.acting());
    let engine = id.clone();
    let going = tokio::spawn(async move { engines::go_back(&cp, &engine, actor, origin).await });
    let done = going.await.map_err(|error| Error::Internal(error.into()))?;
    answer(&app, &operator, &id, "back", done.map(|_| ())).await
}

async fn form(
    app: &App,
    operator: &Operator,
    id: &str,
    access_key_id: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let view = engines::get(&mut tx, &app.cp, id).await?;
    drop(tx);
    let address = format!("/admin/engines/{id}");
    let field = |kind, name, label, value: &str, hint| Field {
        kind,
        name,
        label,
        value: value.to_owned(),
        autocomplete: "off",
        maxlength: "512",
        hint,
    };
    FormPage {
        frame: Frame::new(operator, Area::Engines),
        above: (&address, &view.id),
        words: Words {
            title: &format!("Rotate the credentials of {}", view.id),
            lead: "Make new ones at the engine first. They are tried, and every node is told; the old ones must work until you finish.",
            action: &format!("{address}/rotate"),
            submit: "Try and use them",
        },
        danger: false,
        hidden: Vec::new(),
        fields: vec![
            field("text", "access_key_id", "New access key id", access_key_id, ""),
            field("password", "secret_access_key", "New secret access key", "", "It is sealed, and never shown again."),
        ],
        errors,
    }
    .show()
}
