//! `/buckets/{bucket}/deleted`: objects that are hidden by a delete marker, and can be had back.
//! They are asked of the data plane, as versions; a bucket without versioning has none.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use controlplane::console::{self, Deleted, Versioning};
use serde::Deserialize;

use crate::App;
use crate::failure::{Failure, page};
use crate::fields::encode;
use crate::figures::Moment;
use crate::pages::buckets::objects::reason;
use crate::pages::buckets::{Head, Tab, find, signer};
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/buckets/deleted.html")]
struct DeletedPage<'a> {
    shell: Shell<'a>,
    head: Head<'a>,
    search: &'a str,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    /// Nothing is kept of what is deleted here.
    unversioned: bool,
    /// Why there is no list.
    unavailable: Option<String>,
    may_write: bool,
}

struct Row {
    key: String,
    marker: String,
    href: String,
    deleted: Option<Moment>,
}

#[derive(Deserialize)]
pub struct DeletedQuery {
    /// What keys begin with.
    #[serde(default)]
    search: String,
    after: Option<String>,
    #[serde(default)]
    after_version: String,
}

pub async fn show(
    State(app): State<App>,
    Path(bucket): Path<String>,
    Query(query): Query<DeletedQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let bucket = find(&app, &member, &bucket).await?;
    let signer = signer(&app, &member).await?;
    let is_first = query.after.is_none();
    let after = query.after.map(|key| (key, query.after_version));
    let versioning = signer.versioning(&bucket.name).await;
    let unversioned = matches!(versioning, Ok(Versioning::Never));
    let looked = match (versioning, unversioned) {
        (Err(error), _) => Err(error),
        (Ok(_), true) => Ok(Deleted::default()),
        (Ok(_), false) => signer.deleted(&bucket.name, &query.search, after).await,
    };
    let (found, unavailable) = match looked {
        Ok(found) => (found, None),
        Err(error) => (Deleted::default(), Some(reason(error)?)),
    };
    let rows = found.objects.into_iter().map(|object| Row {
        href: format!(
            "/buckets/{}/object?key={}",
            bucket.name,
            encode(&object.key)
        ),
        key: object.key,
        marker: object.marker,
        deleted: object.deleted.map(Moment),
    });
    page(&DeletedPage {
        shell: Shell::new(&member.session, Here::Buckets),
        head: Head::new(&bucket, Tab::Deleted),
        rows: rows.collect(),
        next: found.next.map(|(key, version)| {
            format!(
                "/buckets/{}/deleted?search={}&after={}&after_version={}",
                bucket.name,
                encode(&query.search),
                encode(&key),
                encode(&version)
            )
        }),
        is_first,
        unversioned,
        unavailable,
        may_write: console::may_write(member.session.role),
        search: &query.search,
    })
}
