//! The small forms of an engine's page. What changes where several tenants' new buckets go asks first, naming how many.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::engines::{self, Change};
use controlplane::operators::{self, Search};
use controlplane::{Error, Tx};

use super::of;
use super::show::answer;
use crate::App;
use crate::admin::forms::FormPage;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::Failure;
use crate::fields::term;
use crate::forgery::{Button, text_fields};
use crate::pages::forms::{Field, Words};

text_fields! {
    CapacityFields { capacity_bytes }
}

text_fields! {
    TenantFields { tenant, to }
}

text_fields! {
    ConfirmFields { confirm }
}

/// `2,000,000` → bytes; empty: not known.
pub fn bytes(text: &str) -> Result<Option<u64>, Error> {
    let digits: String = text
        .chars()
        .filter(|letter| !matches!(letter, ',' | ' ' | '_'))
        .collect();
    if digits.is_empty() {
        return Ok(None);
    }
    let read = digits.parse();
    read.map(Some).map_err(|_| {
        Error::validation(
            "capacity_bytes",
            "It is a number of bytes, or nothing where it is not known.",
        )
    })
}

pub async fn probe(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let (cp, (actor, origin)) = (app.cp.clone(), operator.acting());
    let engine = id.clone();
    // A browser that goes away must not leave half a probe behind.
    let probing = tokio::spawn(async move { engines::probe(&cp, &engine, actor, origin).await });
    let done = probing
        .await
        .map_err(|error| Error::Internal(error.into()))?;
    answer(&app, &operator, &id, "probed", done.map(|_| ())).await
}

pub async fn capacity(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<CapacityFields>,
) -> Result<Response, Failure> {
    let done = async {
        let change = Change {
            capacity_bytes: Some(bytes(&fields.capacity_bytes)?),
            default: false,
        };
        let mut tx = operator.begin_plain(&app).await?;
        engines::set(&mut tx, &app.cp, &id, change).await?;
        tx.commit().await
    };
    answer(&app, &operator, &id, "capacity", done.await).await
}

/// One tenant's new buckets, there or to the default engine.
pub async fn tenant(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<TenantFields>,
) -> Result<Response, Failure> {
    let away = fields.to == "default";
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        let tenant = find(&mut tx, &fields.tenant).await?;
        let engine = if away { None } else { Some(id.as_str()) };
        engines::set_of_tenant(&mut tx, &app.cp, tenant, engine)
            .await
            .map_err(beside_the_tenant)?;
        tx.commit().await
    };
    let notice = if away { "away" } else { "here" };
    answer(&app, &operator, &id, notice, done.await).await
}

/// The form has no field for the engine: it is the page's.
fn beside_the_tenant(error: Error) -> Error {
    match error.field() {
        Some("engine") => Error::validation("tenant", error.message()),
        _ => error,
    }
}

/// By its id or its whole address.
async fn find(tx: &mut Tx, text: &str) -> Result<controlplane::ids::TenantId, Error> {
    let text = term(text);
    let search = Search {
        text: text.clone(),
        limit: 50,
        ..Search::default()
    };
    let found = match text.is_empty() {
        true => Vec::new(),
        false => operators::search(tx, &search).await?,
    };
    let found = found
        .iter()
        .find(|one| one.id.to_string() == text || one.email.eq_ignore_ascii_case(&text));
    found.map(|one| one.id).ok_or_else(|| {
        Error::validation("tenant", "No tenant has that id or that owner’s address.")
    })
}

pub async fn disable(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        engines::disable(&mut tx, &app.cp, &id).await?;
        tx.commit().await
    };
    answer(&app, &operator, &id, "disabled", done.await).await
}

pub async fn enable(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        engines::enable(&mut tx, &app.cp, &id).await?;
        tx.commit().await
    };
    answer(&app, &operator, &id, "enabled", done.await).await
}

pub async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, .. }: OperatorForm<Button>,
) -> Result<Response, Failure> {
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        engines::remove(&mut tx, &app.cp, &id).await?;
        tx.commit().await
    };
    match done.await {
        Ok(()) => Ok(Redirect::to("/admin/engines?notice=removed").into_response()),
        refused => answer(&app, &operator, &id, "", refused).await,
    }
}

pub async fn ask_default(
    State(app): State<App>,
    Path(id): Path<String>,
    operator: Operator,
) -> Result<Response, Failure> {
    default_form(&app, &operator, &id, FormErrors::default()).await
}

pub async fn make_default(
    State(app): State<App>,
    Path(id): Path<String>,
    OperatorForm { operator, fields }: OperatorForm<ConfirmFields>,
) -> Result<Response, Failure> {
    let done = async {
        let mut tx = operator.begin_plain(&app).await?;
        let tenants = engines::tenants_of_default(&mut tx).await?;
        // What is no number confirms none.
        if fields.confirm.trim().parse() != Ok(tenants) {
            let message = format!("Type {tenants}, the number of tenants.");
            return Err(Error::validation("confirm", message));
        }
        let change = Change {
            capacity_bytes: None,
            default: true,
        };
        engines::set(&mut tx, &app.cp, &id, change).await?;
        tx.commit().await
    };
    match done.await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/engines/{id}?notice=default")).into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["confirm"])?;
            let again = default_form(&app, &operator, &id, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

async fn default_form(
    app: &App,
    operator: &Operator,
    id: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let view = engines::get(&mut tx, &app.cp, id).await?;
    let tenants = engines::tenants_of_default(&mut tx).await?;
    drop(tx);
    let address = format!("/admin/engines/{id}");
    FormPage {
        frame: Frame::new(operator, Area::Engines),
        above: (&address, &view.id),
        words: Words {
            title: &format!("Make {} the default engine", view.id),
            lead: &format!(
                "The new buckets of {} that have no engine of their own go there from then on. What they have stays where it is.",
                of(tenants, "tenant")
            ),
            action: &format!("{address}/default"),
            submit: "Make it the default",
        },
        danger: false,
        hidden: Vec::new(),
        fields: vec![Field {
            kind: "text",
            name: "confirm",
            label: "How many tenants are these?",
            value: String::new(),
            autocomplete: "off",
            maxlength: "9",
            hint: "Type the number above.",
        }],
        errors,
    }
    .show()
}
