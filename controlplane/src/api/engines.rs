//! The operator's hands on engines: `/api/v1/admin/engines`, and `/api/v1/admin/drift`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::{delete, get, patch, post};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::admin::{Route, begin};
use super::json::Body;
use crate::drift::{self, Wish};
use crate::engines::{self, Change, Credentials, New, View};
use crate::plane::APPLY_TIMEOUT;
use crate::{Actor, ControlPlane, Error, Origin};

pub(super) fn routes() -> Vec<Route> {
    vec![
        (Method::GET, "/engines", get(list)),
        (Method::POST, "/engines", post(add)),
        (Method::GET, "/engines/{id}", get(show)),
        (Method::PATCH, "/engines/{id}", patch(set)),
        (Method::DELETE, "/engines/{id}", delete(remove)),
        (Method::POST, "/engines/{id}/probe", post(probe)),
        (Method::POST, "/engines/{id}/disable", post(disable)),
        (Method::POST, "/engines/{id}/enable", post(enable)),
        (Method::POST, "/engines/{id}/rotate", post(rotate)),
        (Method::POST, "/engines/{id}/rotate/finish", post(finish)),
        (Method::POST, "/engines/{id}/rotate/back", post(go_back)),
        (Method::GET, "/drift", get(last_drift)),
        (Method::POST, "/drift", post(look_for_drift)),
    ]
}

async fn list(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let engines = engines::list(&mut tx, &cp).await?;
    Ok(Json(json!({ "engines": engines })))
}

async fn show(State(cp): State<ControlPlane>, Path(id): Path<String>) -> Result<Json<View>, Error> {
    shown(&cp, &id).await
}

async fn shown(cp: &ControlPlane, id: &str) -> Result<Json<View>, Error> {
    let mut tx = cp.begin_system().await?;
    Ok(Json(engines::get(&mut tx, cp, id).await?))
}

async fn add(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(new): Body<New>,
) -> Result<impl IntoResponse, Error> {
    // A caller that goes away must not leave half a probe behind.
    let adding = async move { engines::add(&cp, new, Actor::Operator, origin).await };
    Ok((StatusCode::CREATED, Json(to_the_end(adding).await?)))
}

async fn set(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(change): Body<Change>,
) -> Result<Json<View>, Error> {
    let mut tx = begin(&cp, origin).await?;
    engines::set(&mut tx, &cp, &id, change).await?;
    tx.commit().await?;
    shown(&cp, &id).await
}

async fn remove(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<impl IntoResponse, Error> {
    let mut tx = begin(&cp, origin).await?;
    let revision = engines::remove(&mut tx, &cp, &id).await?;
    tx.commit().await?;
    cp.wait_applied(revision, APPLY_TIMEOUT).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn probe(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<Json<View>, Error> {
    let probing = async move { engines::probe(&cp, &id, Actor::Operator, origin).await };
    Ok(Json(to_the_end(probing).await?))
}

async fn disable(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<Json<View>, Error> {
    let mut tx = begin(&cp, origin).await?;
    engines::disable(&mut tx, &cp, &id).await?;
    tx.commit().await?;
    shown(&cp, &id).await
}

async fn enable(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<Json<View>, Error> {
    let mut tx = begin(&cp, origin).await?;
    engines::enable(&mut tx, &cp, &id).await?;
    tx.commit().await?;
    shown(&cp, &id).await
}

async fn rotate(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
    Body(new): Body<Credentials>,
) -> Result<Json<View>, Error> {
    let rotating = async move { engines::rotate(&cp, &id, new, Actor::Operator, origin).await };
    Ok(Json(to_the_end(rotating).await?))
}

async fn finish(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<Json<View>, Error> {
    Ok(Json(
        engines::finish(&cp, &id, Actor::Operator, origin).await?,
    ))
}

async fn go_back(
    State(cp): State<ControlPlane>,
    Path(id): Path<String>,
    origin: Origin,
) -> Result<Json<View>, Error> {
    let going = async move { engines::go_back(&cp, &id, Actor::Operator, origin).await };
    Ok(Json(to_the_end(going).await?))
}

async fn last_drift(State(cp): State<ControlPlane>) -> Result<impl IntoResponse, Error> {
    let mut tx = cp.begin_system().await?;
    let last = drift::last(&mut tx).await?;
    Ok(Json(last.ok_or(Error::NotFound("report"))?))
}

/// What is to be done about what is found; nothing unless it is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WishBody {
    #[serde(default)]
    usage: bool,
    #[serde(default)]
    repair: bool,
    #[serde(default)]
    delete_orphans: bool,
    #[serde(default)]
    confirm: Option<usize>,
    #[serde(default)]
    remake: Option<usize>,
    #[serde(default)]
    tenants: Option<usize>,
}

/// Answered when it is done, which may take long.
async fn look_for_drift(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(body): Body<WishBody>,
) -> Result<impl IntoResponse, Error> {
    let wish = Wish {
        usage: body.usage,
        repair: body.repair,
        delete_orphans: body.delete_orphans,
        confirm: body.confirm,
        remake: body.remake,
        tenants: body.tenants,
    };
    let looking = async move { drift::run(&cp, wish, Actor::Operator, origin).await };
    Ok(Json(to_the_end(looking).await?))
}

/// Goes on when the caller goes away.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::spawn(work).await;
    done.map_err(|error| Error::Internal(error.into()))?
}
