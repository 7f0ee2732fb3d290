//! The operator's hands on the master key: `/api/v1/admin/master-key`. No key ever passes through here.

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use http::Method;

use super::admin::Route;
use super::json::Body;
use crate::master_key::{self, Status, Wish};
use crate::{Actor, ControlPlane, Error, Origin};

pub(super) fn routes() -> Vec<Route> {
    vec![
        (Method::GET, "/master-key", get(show)),
        (Method::POST, "/master-key/rotate", post(rotate)),
        (Method::POST, "/master-key/finish", post(finish)),
    ]
}

async fn show(State(cp): State<ControlPlane>) -> Result<Json<Status>, Error> {
    let mut tx = cp.begin_system().await?;
    Ok(Json(master_key::status(&mut tx, &cp).await?))
}

async fn rotate(
    State(cp): State<ControlPlane>,
    origin: Origin,
    Body(wish): Body<Wish>,
) -> Result<Json<Status>, Error> {
    let rotated = master_key::rotate(&cp, wish, Actor::Operator, origin).await?;
    Ok(Json(rotated))
}

async fn finish(State(cp): State<ControlPlane>, origin: Origin) -> Result<Json<Status>, Error> {
    Ok(Json(
        master_key::finish(&cp, Actor::Operator, origin).await?,
    ))
}
