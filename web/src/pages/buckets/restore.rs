//! `POST /buckets/{bucket}/restore`: makes an old version the current one, or takes a delete marker away.
//! Neither loses anything: what was current stays as an old version.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use crate::App;
use crate::failure::Failure;
use crate::fields::{Pairs, encode};
use crate::forgery::MemberForm;
use crate::pages::buckets::{find, may_write, signer};

pub async fn submit(
    State(app): State<App>,
    Path(bucket): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let bucket = find(&app, &member, &bucket).await?;
    let (key, version) = (fields.get("key"), fields.get("version"));
    let signer = signer(&app, &member).await?;
    let versions = signer.versions(&bucket.name, key).await?;
    let wanted = versions.iter().find(|known| known.id == version);
    let Some(wanted) = wanted else {
        let sentence = "This version is gone. Go back and look again.";
        return Err(Failure::new(StatusCode::CONFLICT, sentence));
    };
    // Taking away a marker that is not the newest would change nothing that anybody sees.
    match (wanted.delete_marker, wanted.latest) {
        (true, true) => signer.delete(&bucket.name, key, Some(version)).await?,
        (true, false) | (false, true) => {}
        (false, false) => signer.restore(&bucket.name, key, version).await?,
    }
    let key = encode(key);
    let to = format!("/buckets/{}/object?key={key}&done=restored", bucket.name);
    Ok(Redirect::to(&to).into_response())
}
