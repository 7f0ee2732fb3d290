//! `/buckets`: all buckets of the tenant, a page at a time, or those with a word in their names.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use controlplane::buckets::Bucket;
use controlplane::{buckets, console, usage};
use serde::Deserialize;

use crate::App;
use crate::failure::{Failure, page};
use crate::fields::encode;
use crate::figures::{Moment, Size, count};
use crate::pages::buckets::may_read;
use crate::pages::{Here, Shell};
use crate::session::Member;

/// On one page.
const PAGE: usize = 100;
/// From so many on they can be searched.
const MANY: usize = 10;

#[derive(Template)]
#[template(path = "pages/buckets/list.html")]
struct BucketsPage<'a> {
    shell: Shell<'a>,
    buckets: Vec<Row>,
    /// Of the tenant, whatever the page shows.
    total: usize,
    search: &'a str,
    searchable: bool,
    next: Option<String>,
    is_first: bool,
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
    #[serde(default)]
    search: String,
    after: Option<String>,
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
    let search = query.search.trim();
    let after = query.after.as_deref().unwrap_or_default();
    let mut shown = all
        .iter()
        .filter(|bucket| bucket.name.contains(search) && bucket.name.as_str() > after);
    let rows: Vec<Row> = shown
        .by_ref()
        .take(PAGE)
        .map(|bucket| row(bucket, stored.get(&bucket.id).copied()))
        .collect();
    let more = shown.next().is_some();
    let last = rows.last().filter(|_| more).map(|row| row.name.clone());
    page(&BucketsPage {
        shell: Shell::new(&member.session, Here::Buckets),
        may_write: console::may_write(member.session.role),
        deleted: query
            .deleted
            .filter(|name| buckets::is_valid_name(name) && gone(name)),
        endpoint: &app.cp.config().s3_endpoint,
        total: all.len(),
        search,
        searchable: all.len() >= MANY || !search.is_empty(),
        next: last.map(|last| format!("/buckets?search={}&after={last}", encode(search))),
        is_first: query.after.is_none(),
        buckets: rows,
    })
}

/// `stored`: what is booked of it; nothing yet of a new one.
fn row(bucket: &Bucket, stored: Option<usage::Stored>) -> Row {
    let stored = stored.unwrap_or_default();
    Row {
        name: bucket.name.clone(),
        stored: Size::of(stored.stored_bytes),
        objects: count(stored.objects),
        created: Moment(bucket.created_at),
        public: bucket.public_read,
        object_lock: bucket.object_lock,
    }
}
