//! `/buckets`: all buckets of the tenant.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use controlplane::{buckets, console, usage};
use serde::Deserialize;

use crate::App;
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, count};
use crate::pages::buckets::may_read;
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/buckets/list.html")]
struct BucketsPage<'a> {
    shell: Shell<'a>,
    buckets: Vec<Row>,
    may_write: bool,
    deleted: Option<String>,
    endpoint: &'a str,
}

struct Row {
    name: String,
    stored: Size,
    objects: String,
    created: Moment,
    public: bool,
    object_lock: bool,
}

#[derive(Deserialize)]
pub struct ListQuery {
    deleted: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
    member: Member,
) -> Result<Response, Failure> {
    may_read(&member)?;
    let mut tx = member.begin(&app).await?;
    let all = buckets::list(&mut tx).await?;
    let stored = usage::of_buckets(&mut tx).await?;
    tx.commit().await?;
    let gone = |name: &String| all.iter().all(|bucket| &bucket.name != name);
    page(&BucketsPage {
        shell: Shell::new(&member.session, Here::Buckets),
        may_write: console::may_write(member.session.role),
        deleted: query
            .deleted
            .filter(|name| buckets::is_valid_name(name) && gone(name)),
        endpoint: &app.cp.config().s3_endpoint,
        buckets: all
            .into_iter()
            .map(|bucket| {
                let stored = stored.get(&bucket.id).copied().unwrap_or_default();
                Row {
                    name: bucket.name,
                    stored: Size::of(stored.stored_bytes),
                    objects: count(stored.objects),
                    created: Moment(bucket.created_at),
                    public: bucket.public_read,
                    object_lock: bucket.object_lock,
                }
            })
            .collect(),
    })
}
