//! `/settings/delete`: says what will go, asks for the company's name and for who is asking, and shows the receipt.
//! The figures on the receipt are the nodes' own acknowledgements.

use std::time::Instant;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use controlplane::deletion::{self, Deleted, GRACE};
use controlplane::{NodeAck, PendingNode, accounts};
use wire::Revision;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, count};
use crate::forgery::{MemberForm, text_fields};
use crate::pages::forms::Field;
use crate::pages::passkeys::second_step_field;
use crate::pages::revoke_access_key::{PATIENCE, headline};
use crate::pages::{Here, Shell};
use crate::session::{self, Member};

#[derive(Template)]
#[template(path = "pages/delete_account.html")]
struct DeletePage<'a> {
    shell: Shell<'a>,
    access_keys: i64,
    members: usize,
    buckets: i64,
    objects: u64,
    objects_counted: String,
    stored: Size,
    days: i64,
    until: Moment,
    fields: Vec<Field>,
    errors: FormErrors,
}

#[derive(Template)]
#[template(path = "pages/account_deleted.html")]
struct DeletedPage<'a> {
    company: &'a str,
    account_id: String,
    until: Moment,
    revision: Revision,
    headline: String,
    nodes: &'a [NodeAck],
    pending: &'a [PendingNode],
}

text_fields! {
    DeleteFields { company, password, code }
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    form(&app, &member, "", FormErrors::default()).await
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<DeleteFields>,
) -> Result<Response, Failure> {
    let start = Instant::now();
    let (session, origin) = (&member.session, &member.origin);
    let (company, password, code) = (&fields.company, &fields.password, fields.code.trim());
    match deletion::delete(&app.cp, session, company, password, code, origin).await {
        Ok(deleted) => receipt(&app, &member, deleted, start).await,
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["company", "password", "code"])?;
            let again = form(&app, &member, company, errors).await?;
            Ok((status, again).into_response())
        }
    }
}

/// The session is over, and with it the page's frame.
async fn receipt(
    app: &App,
    member: &Member,
    deleted: Deleted,
    start: Instant,
) -> Result<Response, Failure> {
    let before = start.elapsed();
    let mut receipt = app.cp.wait_applied(deleted.revision, PATIENCE).await;
    // A node may acknowledge before the wait begins: the receipt counts from the click.
    for node in &mut receipt.nodes {
        node.millis += u64::try_from(before.as_millis()).unwrap_or_default();
    }
    let shown = page(&DeletedPage {
        company: &member.session.company,
        account_id: member.session.tenant_id.to_string(),
        until: Moment(deleted.remove_after),
        revision: receipt.revision,
        headline: headline(&receipt),
        nodes: &receipt.nodes,
        pending: &receipt.pending,
    })?;
    Ok(session::forget(app, shown))
}

async fn form(
    app: &App,
    member: &Member,
    company: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let session = &member.session;
    let mut tx = member.begin(app).await?;
    let extent = deletion::extent(&mut tx, &app.cp).await?;
    let asked = accounts::second_step(&mut tx, session).await?.is_some();
    tx.commit().await?;
    let mut fields = vec![
        Field {
            kind: "text",
            name: "company",
            label: "The company’s name, as it stands above",
            value: company.to_owned(),
            autocomplete: "off",
            maxlength: "200",
            hint: "",
        },
        Field::present_password("Your password"),
    ];
    if asked {
        fields.push(second_step_field());
    }
    page(&DeletePage {
        shell: Shell::new(session, Here::Settings),
        access_keys: extent.access_keys,
        members: extent.members,
        buckets: extent.buckets,
        objects: extent.stored.objects,
        objects_counted: count(extent.stored.objects),
        stored: Size::of(extent.stored.stored_bytes),
        days: GRACE.num_days(),
        until: Moment(app.cp.clock().now() + GRACE),
        fields,
        errors,
    })
}
