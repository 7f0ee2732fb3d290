//! `POST /buckets/{bucket}/folders`: an empty object whose key ends in a slash.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use crate::App;
use crate::failure::Failure;
use crate::fields::{Pairs, encode};
use crate::forgery::MemberForm;
use crate::pages::buckets::{find, may_write, signer};

/// S3's limit for a key, in bytes.
const MAX_KEY: usize = 1024;

pub async fn submit(
    State(app): State<App>,
    Path(bucket): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let bucket = find(&app, &member, &bucket).await?;
    let name = fields.get("name").trim().trim_matches('/');
    let key = format!("{}{name}/", fields.get("prefix"));
    let walks = name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if walks || key.len() > MAX_KEY || name.chars().any(char::is_control) {
        return Err(Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Give the folder a name: no more than 1,024 bytes with those above it, and neither “.” nor “..”.",
        ));
    }
    let signer = signer(&app, &member).await?;
    signer.create_folder(&bucket.name, &key).await?;
    let to = format!(
        "/buckets/{}?prefix={}&created=folder",
        bucket.name,
        encode(&key)
    );
    Ok(Redirect::to(&to).into_response())
}
