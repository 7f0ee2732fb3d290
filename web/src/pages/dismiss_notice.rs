//! `POST /notices/{notice_id}/dismiss`: a notice of the operator's is put away, for this member alone.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::ids::NoticeId;
use controlplane::notices;

use crate::App;
use crate::failure::Failure;
use crate::forgery::{Button, MemberForm};

pub async fn submit(
    State(app): State<App>,
    Path(notice_id): Path<String>,
    MemberForm { member, .. }: MemberForm<Button>,
) -> Result<Response, Failure> {
    let id: NoticeId = notice_id.parse().map_err(|_| Error::NotFound("notice"))?;
    let mut tx = member.begin(&app).await?;
    notices::dismiss(&mut tx, &app.cp, member.session.member_id, id).await?;
    tx.commit().await?;
    Ok(Redirect::to("/dashboard").into_response())
}
