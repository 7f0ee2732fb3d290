//! `/admin/engines/new`: an engine is tried out before it is kept, and can be tried without being kept.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::engines::{self, New};

use super::abilities;
use crate::App;
use crate::admin::frame::{Area, Frame, Operator, OperatorForm};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::text_fields;

const FIELDS: [&str; 8] = [
    "name",
    "endpoint",
    "region",
    "access_key_id",
    "secret_access_key",
    "placement",
    "pool_bucket",
    "capacity_bytes",
];

#[derive(Template)]
#[template(path = "admin/engine_new.html")]
struct NewPage<'a> {
    frame: Frame<'a>,
    form: &'a NewFields,
    /// What a probe has found; empty: there was none.
    able: Vec<(&'static str, bool)>,
    errors: FormErrors,
}

text_fields! {
    NewFields {
        name, endpoint, region, access_key_id, secret_access_key, placement, pool_bucket, capacity_bytes, act
    }
}

pub async fn show(operator: Operator) -> Result<Response, Failure> {
    form(
        &operator,
        &NewFields::default(),
        Vec::new(),
        FormErrors::default(),
    )
}

pub async fn submit(
    State(app): State<App>,
    OperatorForm { operator, fields }: OperatorForm<NewFields>,
) -> Result<Response, Failure> {
    let tried = match fields.act.as_str() {
        "try" => try_out(&fields).await.map(Tried::Able),
        _ => add(&app, &operator, &fields).await.map(Tried::Added),
    };
    match tried {
        Ok(Tried::Added(id)) => {
            Ok(Redirect::to(&format!("/admin/engines/{id}?notice=added")).into_response())
        }
        Ok(Tried::Able(able)) => form(&operator, &fields, able, FormErrors::default()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &FIELDS)?;
            let again = form(&operator, &fields, Vec::new(), errors)?;
            Ok((status, again).into_response())
        }
    }
}

enum Tried {
    Able(Vec<(&'static str, bool)>),
    Added(String),
}

async fn try_out(fields: &NewFields) -> Result<Vec<(&'static str, bool)>, Error> {
    let able = engines::try_out(read(fields)?).await?;
    Ok(abilities(&able).to_vec())
}

async fn add(app: &App, operator: &Operator, fields: &NewFields) -> Result<String, Error> {
    let new = read(fields)?;
    let (cp, (actor, origin)) = (app.cp.clone(), operator.acting());
    // A browser that goes away must not leave half a probe behind.
    let adding = tokio::spawn(async move { engines::add(&cp, new, actor, origin).await });
    let view = adding
        .await
        .map_err(|error| Error::Internal(error.into()))??;
    Ok(view.id)
}

fn read(fields: &NewFields) -> Result<New, Error> {
    let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(New {
        name: fields.name.clone(),
        endpoint: fields.endpoint.clone(),
        region: said(&fields.region),
        access_key_id: fields.access_key_id.clone(),
        secret_access_key: fields.secret_access_key.clone(),
        placement: said(&fields.placement),
        pool_bucket: said(&fields.pool_bucket),
        capacity_bytes: super::acts::bytes(&fields.capacity_bytes)?,
    })
}

fn form(
    operator: &Operator,
    form: &NewFields,
    able: Vec<(&'static str, bool)>,
    errors: FormErrors,
) -> Result<Response, Failure> {
    page(&NewPage {
        frame: Frame::new(operator, Area::Engines),
        form,
        able,
        errors,
    })
}
