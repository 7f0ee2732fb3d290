//! `/buckets/{bucket}/settings`: versioning, lifecycle rules, CORS, public access, links and object lock.
//! What nodes act upon is changed in the control plane, what the engine keeps through the data plane.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::Error;
use controlplane::buckets::{self, Bucket};
use controlplane::console::{self, Expiry, Lock, LockMode, Signer, Versioning};
use serde::Deserialize;
use serde_json::json;
use wire::{BucketSetting, CorsRule};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::fields::Pairs;
use crate::forgery::MemberForm;
use crate::pages::buckets::objects::reason;
use crate::pages::buckets::{Head, Tab, find, may_write, signer};
use crate::pages::{Here, Shell};
use crate::session::Member;

/// Those that say beside themselves what was wrong with them.
const FIELDS: [&str; 10] = [
    "id",
    "prefix",
    "expire",
    "expire_noncurrent",
    "abort_uploads",
    "origins",
    "max_age",
    "days",
    "mode",
    "typed",
];
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

#[derive(Template)]
#[template(path = "pages/buckets/settings.html")]
struct SettingsPage<'a> {
    shell: Shell<'a>,
    head: Head<'a>,
    may_write: bool,
    /// Where anybody finds the bucket's objects while it is public.
    public_url: String,
    versioning: Known<Versioning>,
    lifecycle: Known<Vec<Expiry>>,
    lock: Known<Option<Lock>>,
    /// In the form of the default lock: what was typed, or else what holds.
    shown_days: String,
    cors: &'a [CorsRule],
    methods: &'a [&'a str],
    done: Option<&'static str>,
    /// What was sent and refused: its form is open, and says again what was typed.
    sent: &'a Pairs,
    errors: FormErrors,
}

/// A setting, or why it cannot be had: the engine or the placement lacks it, or does not answer.
enum Known<T> {
    Is(T),
    Not(String),
}

impl<T> Known<T> {
    fn from(result: Result<T, Error>) -> Result<Self, Failure> {
        Ok(match result {
            Ok(value) => Self::Is(value),
            Err(error) => Self::Not(reason(error)?),
        })
    }
}

#[derive(Deserialize)]
pub struct SettingsQuery {
    #[serde(default)]
    done: String,
}

pub async fn show(
    State(app): State<App>,
    Path(bucket): Path<String>,
    Query(query): Query<SettingsQuery>,
    member: Member,
) -> Result<Response, Failure> {
    let bucket = find(&app, &member, &bucket).await?;
    let done = match query.done.as_str() {
        "saved" => Some("Saved. Every node that is connected knows it."),
        "links" => Some("Every link that was handed out is refused from now on."),
        "no-links" => Some("There was no link that still worked."),
        _ => None,
    };
    let nothing = Pairs::default();
    form(
        &app,
        &member,
        &bucket,
        done,
        &nothing,
        FormErrors::default(),
    )
    .await
}

pub async fn submit(
    State(app): State<App>,
    Path(bucket): Path<String>,
    MemberForm { member, fields }: MemberForm<Pairs>,
) -> Result<Response, Failure> {
    may_write(&member)?;
    let bucket = find(&app, &member, &bucket).await?;
    let done = match change(&app, &member, &bucket, &fields).await {
        Ok(done) => done,
        Err(error) => {
            let status = error.status();
            let errors = match error {
                Error::BadRequest(message) => FormErrors::on("", &message),
                Error::S3 { message, .. } => FormErrors::on("", &message),
                error => FormErrors::explain(error, &FIELDS)?,
            };
            let again = form(&app, &member, &bucket, None, &fields, errors).await?;
            return Ok((status, again).into_response());
        }
    };
    let to = format!("/buckets/{}/settings?done={done}", bucket.name);
    Ok(Redirect::to(&to).into_response())
}

async fn change(
    app: &App,
    member: &Member,
    bucket: &Bucket,
    fields: &Pairs,
) -> Result<&'static str, Error> {
    let name = &bucket.name;
    let on_engine = async || -> Result<Signer, Error> {
        let tx = member.begin_plain(app).await?;
        console::signer(tx, &app.cp, &member.session, &member.token).await
    };
    let note = async |action: &str, details| -> Result<(), Error> {
        let tx = member.begin_plain(app).await?;
        console::record(tx, &app.cp, action, name, details).await
    };
    match fields.get("setting") {
        "public" => {
            let public = fields.get("public_read") == "on";
            if public && fields.get("typed").trim() != name {
                let message = "That is not this bucket’s name.";
                return Err(Error::validation("typed", message));
            }
            set(app, member, name, BucketSetting::PublicRead(public)).await?;
        }
        "cors-add" => {
            let mut rules = bucket.cors.clone();
            rules.push(cors_rule(fields)?);
            set(app, member, name, BucketSetting::Cors(rules)).await?;
        }
        "cors-remove" => {
            let at: Option<usize> = fields.get("rule").parse().ok();
            let kept = bucket.cors.iter().enumerate();
            let kept = kept.filter(|(index, _)| Some(*index) != at);
            let rules = kept.map(|(_, rule)| rule.clone()).collect();
            set(app, member, name, BucketSetting::Cors(rules)).await?;
        }
        "links" => {
            let tx = member.begin_plain(app).await?;
            return Ok(match console::revoke_links(tx, &app.cp, name).await? {
                true => "links",
                false => "no-links",
            });
        }
        "versioning" => {
            let on = fields.get("versioning") == "on";
            on_engine().await?.set_versioning(name, on).await?;
            note("bucket.set_versioning", json!({ "on": on })).await?;
        }
        "lifecycle-add" => {
            let rule = expiry(fields)?;
            on_engine().await?.add_lifecycle(name, &rule).await?;
            note("bucket.add_lifecycle_rule", json!({ "rule": rule.id })).await?;
        }
        "lifecycle-remove" => {
            let rule = fields.get("rule");
            on_engine().await?.remove_lifecycle(name, rule).await?;
            note("bucket.remove_lifecycle_rule", json!({ "rule": rule })).await?;
        }
        "lock" => {
            let lock = lock(fields)?;
            on_engine().await?.set_lock(name, lock).await?;
            let days = lock.map(|lock| lock.days);
            note(
                "bucket.set_object_lock",
                json!({ "mode": fields.get("mode"), "days": days }),
            )
            .await?;
        }
        _ => return Err(Error::BadRequest("There is no such setting.".to_owned())),
    }
    Ok("saved")
}

async fn set(app: &App, member: &Member, name: &str, wanted: BucketSetting) -> Result<(), Error> {
    let (actor, origin) = member.acting();
    let tenant = member.session.tenant_id;
    buckets::set(&app.cp, tenant, name, wanted, actor, origin).await?;
    Ok(())
}

fn cors_rule(fields: &Pairs) -> Result<CorsRule, Error> {
    let seconds = match fields.get("max_age").trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            Error::validation("max_age", "Seconds to remember are a whole number.")
        })?),
    };
    Ok(CorsRule {
        id: None,
        allowed_origins: fields.words("origins"),
        allowed_methods: fields.all("method"),
        allowed_headers: fields.words("headers"),
        expose_headers: fields.words("expose"),
        max_age_seconds: seconds,
    })
}

fn days(fields: &Pairs, name: &str) -> Result<Option<i32>, Error> {
    match fields.get(name).trim() {
        "" => Ok(None),
        text => {
            let days = text.parse().ok().filter(|days| (1..=36_500).contains(days));
            let message = "Days are a whole number from 1 to 36,500, or nothing.";
            days.map(Some)
                .ok_or_else(|| Error::validation(name, message))
        }
    }
}

fn expiry(fields: &Pairs) -> Result<Expiry, Error> {
    let rule = Expiry {
        id: fields.get("id").trim().to_owned(),
        prefix: fields.get("prefix").to_owned(),
        expire: days(fields, "expire")?,
        expire_noncurrent: days(fields, "expire_noncurrent")?,
        abort_uploads: days(fields, "abort_uploads")?,
        enabled: true,
        more: false,
    };
    if rule.id.is_empty() || rule.id.len() > 255 {
        return Err(Error::validation("id", "Give the rule a name of its own."));
    }
    if rule.expire.is_none() && rule.expire_noncurrent.is_none() && rule.abort_uploads.is_none() {
        let message = "Say after how many days something is to happen: at least one of the three.";
        return Err(Error::validation("expire", message));
    }
    Ok(rule)
}

fn lock(fields: &Pairs) -> Result<Option<Lock>, Error> {
    let mode = match fields.get("mode") {
        "none" => return Ok(None),
        "governance" => LockMode::Governance,
        "compliance" => LockMode::Compliance,
        _ => return Err(Error::validation("mode", "Choose one of the three.")),
    };
    let days =
        days(fields, "days")?.ok_or_else(|| Error::validation("days", "Say for how many days."))?;
    Ok(Some(Lock { mode, days }))
}

async fn form(
    app: &App,
    member: &Member,
    bucket: &Bucket,
    done: Option<&'static str>,
    sent: &Pairs,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let signer = signer(app, member).await?;
    let (versioning, lifecycle) = tokio::join!(
        signer.versioning(&bucket.name),
        signer.lifecycle(&bucket.name)
    );
    let lock = match bucket.object_lock {
        true => signer.lock(&bucket.name).await,
        false => Ok(None),
    };
    let shown_days = match (sent.get("days"), &lock) {
        ("", Ok(Some(lock))) => lock.days.to_string(),
        (typed, _) => typed.to_owned(),
    };
    page(&SettingsPage {
        shell: Shell::new(&member.session, Here::Buckets),
        head: Head::new(bucket, Tab::Settings),
        may_write: console::may_write(member.session.role),
        public_url: format!("{}/{}/", app.cp.config().s3_endpoint, bucket.name),
        versioning: Known::from(versioning)?,
        lifecycle: Known::from(lifecycle)?,
        lock: Known::from(lock)?,
        shown_days,
        cors: &bucket.cors,
        methods: &METHODS,
        done,
        sent,
        errors,
    })
}
