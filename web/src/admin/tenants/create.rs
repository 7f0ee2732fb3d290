//! `/admin/tenants/new`: a tenant with its first access key, whose secret is shown this once.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use controlplane::plans;
use controlplane::tenants::{self, NewTenant};

use crate::App;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::text_fields;

#[derive(Template)]
#[template(path = "admin/tenant_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    plans: Vec<String>,
    form: &'a NewFields,
    errors: FormErrors,
}

#[derive(Template)]
#[template(path = "admin/tenant_created.html")]
struct CreatedPage<'a> {
    frame: Frame<'a>,
    id: String,
    name: &'a str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    endpoint: &'a str,
}

text_fields! {
    NewFields { name, email, plan }
}

pub async fn show(State(app): State<App>, operator: Operator) -> Result<Response, Failure> {
    let fields = NewFields {
        plan: "trial".to_owned(),
        ..NewFields::default()
    };
    form(&app, &operator, &fields, FormErrors::default()).await
}

pub async fn submit(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<NewFields>,
) -> Result<Response, Failure> {
    let new = NewTenant {
        name: fields.name.clone(),
        email: fields.email.clone(),
        plan: Some(fields.plan.clone()).filter(|plan| !plan.is_empty()),
    };
    let mut tx = operator.begin(&app).await?;
    match tenants::create(&mut tx, &app.cp, new).await {
        Ok(made) => {
            tx.commit().await?;
            page(&CreatedPage {
                frame: Frame::new(&operator, Area::Tenants),
                id: made.tenant_id.to_string(),
                name: fields.name.trim(),
                access_key_id: &made.access_key.access_key_id,
                secret_access_key: &made.access_key.secret_access_key,
                endpoint: &app.cp.config().s3_endpoint,
            })
        }
        Err(error) => {
            drop(tx);
            let status = error.status();
            let errors = FormErrors::explain(error, &["name", "email", "plan"])?;
            let again = form(&app, &operator, &fields, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

async fn form(
    app: &App,
    operator: &Operator,
    form: &NewFields,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let mut tx = operator.begin(app).await?;
    let plans = plans::list(&mut tx).await?;
    page(&NewPage {
        frame: Frame::new(operator, Area::Tenants),
        plans: plans.into_iter().map(|offer| offer.plan.id).collect(),
        form,
        errors,
    })
}
