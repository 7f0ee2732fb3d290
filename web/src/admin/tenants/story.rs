//! `/admin/tenants/{tenant_id}`: the whole story of one tenant, and the forms that change it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use controlplane::ids::TenantId;
use controlplane::limits::{self, Counted};
use controlplane::operators::{self, Note};
use controlplane::tenants::Tenant;
use controlplane::{
    access_keys, audit, billing, buckets, deletion, members, plans, refusals, tenants, usage,
};
use serde::Deserialize;
use wire::TenantStatus;

use super::{id, list};
use crate::App;
use crate::admin::frame::{Area, Frame, Operator};
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, count, money};
use crate::pages::audit_log::details;

/// Of each log, the newest.
const REFUSALS: u32 = 10;
const ENTRIES: u32 = 20;

#[derive(Template)]
#[template(path = "admin/tenant.html")]
struct TenantPage<'a> {
    frame: Frame<'a>,
    notice: &'static str,
    tenant: &'a Tenant,
    id: String,
    status: (&'static str, &'static str),
    since: Moment,
    trial_ends: Option<Moment>,
    suspended: bool,
    /// Until when it can be had back.
    deleted: Option<Moment>,
    plans: Vec<String>,
    quotas: Vec<Quota>,
    paces: Vec<(&'static str, String)>,
    members: Vec<Member>,
    keys: Vec<Key>,
    buckets: Vec<Bucket>,
    billing: Billing,
    invoices: Vec<Invoice>,
    refusals: Vec<Refusal>,
    entries: Vec<Entry>,
    notes: Vec<Written>,
    errors: FormErrors,
}

struct Quota {
    what: &'static str,
    used: String,
    limit: String,
}

struct Member {
    email: String,
    role: &'static str,
    second_step: bool,
    last_log_in: Option<Moment>,
}

struct Key {
    id: String,
    name: String,
    state: &'static str,
    last_use: Option<Moment>,
}

struct Bucket {
    name: String,
    since: Moment,
    public: bool,
    stored: Size,
    objects: String,
}

struct Billing {
    rung: String,
    reason: String,
    due: Option<Moment>,
    paid_until: Option<Moment>,
    subscribed: bool,
    beyond: String,
}

struct Invoice {
    number: String,
    at: Moment,
    total: String,
    state: String,
}

struct Refusal {
    at: Moment,
    request_id: String,
    code: String,
    operation: String,
    explanation: String,
}

struct Entry {
    at: Moment,
    actor: String,
    action: String,
    target: String,
    details: String,
}

struct Written {
    at: Moment,
    author: String,
    text: String,
}

#[derive(Deserialize, Default)]
pub struct StoryQuery {
    #[serde(default)]
    notice: String,
}

pub async fn show(
    State(app): State<App>,
    Path(tenant_id): Path<String>,
    Query(query): Query<StoryQuery>,
    operator: Operator,
) -> Result<Response, Failure> {
    let id = id(&tenant_id)?;
    render(&app, &operator, id, &query.notice, FormErrors::default()).await
}

fn said(notice: &str) -> &'static str {
    match notice {
        "suspended" => "It is suspended: every request is refused.",
        "resumed" => "It is resumed.",
        "plan" => "It is on that plan's terms now.",
        "noted" => "The note is kept.",
        "restored" => "It is restored. Its access keys stay revoked.",
        "limits" => "The limits hold from now on.",
        "looked" => "Your look at the dashboard is ended.",
        _ => "",
    }
}

pub async fn render(
    app: &App,
    operator: &Operator,
    id: TenantId,
    notice: &str,
    errors: FormErrors,
) -> Result<Response, Failure> {
    let cp = &app.cp;
    let now = cp.clock().now();
    let mut tx = operator.begin(app).await?;
    let tenant = tenants::by_id(&mut tx, id).await?;
    let notes = operators::notes(&mut tx, id).await?;
    let plans = plans::list(&mut tx).await?;
    let gone = deletion::list(&mut tx).await?;
    drop(tx);
    let deleted = gone.into_iter().find(|one| one.tenant_id == id);

    // Everything else is read as the tenant itself would: another's cannot come in.
    let (actor, origin) = operator.acting();
    let mut tx = cp.begin_tenant(id).await?.acting(actor, origin);
    let standing = limits::standing(&mut tx, cp).await?;
    let overview = billing::overview(&mut tx, cp).await?;
    let mut invoices: Vec<Invoice> = Vec::new();
    for own in billing::invoices(&mut tx).await? {
        invoices.push(Invoice {
            number: own.number.to_string(),
            at: Moment(own.issued_at),
            total: money(own.total_cents, &own.currency),
            state: if own.paid_at.is_some() {
                "paid"
            } else {
                "open"
            }
            .to_owned(),
        });
    }
    for stripes in billing::stripe_invoices(&mut tx, cp).await? {
        invoices.push(Invoice {
            number: stripes.number.unwrap_or(stripes.invoice_id),
            at: Moment(stripes.created_at),
            total: money(stripes.total_cents, &stripes.currency),
            state: stripes.status,
        });
    }
    let log_ins = operators::last_log_ins(&mut tx).await?;
    let team = members::list(&mut tx).await?;
    let mut uses = access_keys::last_uses(&mut tx).await?;
    let keys = access_keys::list(&mut tx).await?;
    let stored = usage::of_buckets(&mut tx).await?;
    let owned = buckets::list(&mut tx).await?;
    let filter = refusals::Filter {
        limit: REFUSALS,
        ..refusals::Filter::default()
    };
    let refused = refusals::page(&mut tx, &filter).await?;
    let entries = audit::list(&mut tx, ENTRIES).await?;
    drop(tx);

    let figure = |what, amount: u64| match what {
        Counted::StoredBytes | Counted::EgressBytes => Size::of(amount).to_string(),
        _ => count(amount),
    };
    page(&TenantPage {
        frame: Frame::new(operator, Area::Tenants),
        notice: said(notice),
        id: id.to_string(),
        status: list::status(tenant.status),
        since: Moment(tenant.created_at),
        trial_ends: tenant.trial_ends_at.map(Moment),
        suspended: tenant.operator_status == TenantStatus::Suspended,
        deleted: deleted.map(|one| Moment(one.remove_after)),
        plans: plans.into_iter().map(|offer| offer.plan.id).collect(),
        quotas: standing
            .quotas
            .into_iter()
            .map(|quota| Quota {
                what: counted(quota.what),
                used: figure(quota.what, quota.used),
                limit: match quota.limit {
                    Some(limit) => figure(quota.what, limit),
                    None => "no limit".to_owned(),
                },
            })
            .collect(),
        paces: paces(&tenant),
        members: team
            .into_iter()
            .map(|member| Member {
                role: member.role.map_or("unknown", |role| role.word()),
                second_step: member.second_step,
                last_log_in: log_ins.get(&member.email).copied().map(Moment),
                email: member.email,
            })
            .collect(),
        keys: keys
            .into_iter()
            .map(|key| Key {
                state: key_state(&key, now),
                last_use: uses.remove(&key.access_key_id).map(|last| Moment(last.at)),
                id: key.access_key_id,
                name: key.name,
            })
            .collect(),
        buckets: owned
            .into_iter()
            .map(|bucket| {
                let held = stored.get(&bucket.id);
                Bucket {
                    name: bucket.name,
                    since: Moment(bucket.created_at),
                    public: bucket.public_read,
                    stored: Size::of(held.map_or(0, |held| held.stored_bytes)),
                    objects: count(held.map_or(0, |held| held.objects)),
                }
            })
            .collect(),
        billing: billing_of(&overview),
        invoices,
        refusals: refused
            .into_iter()
            .map(|refusal| Refusal {
                at: Moment(refusal.at),
                request_id: refusal.request_id,
                code: refusal.code,
                operation: refusal.operation,
                explanation: refusal.explanation,
            })
            .collect(),
        entries: entries
            .into_iter()
            .map(|entry| Entry {
                at: Moment(entry.at),
                actor: entry.actor,
                action: entry.action,
                target: entry.target,
                details: details(&entry.details),
            })
            .collect(),
        notes: notes.into_iter().map(written).collect(),
        tenant: &tenant,
        errors,
    })
}

fn written(note: Note) -> Written {
    Written {
        at: Moment(note.at),
        author: note.author,
        text: note.text,
    }
}

fn counted(what: Counted) -> &'static str {
    match what {
        Counted::StoredBytes => "Bytes stored",
        Counted::Objects => "Objects",
        Counted::EgressBytes => "Downloaded this month",
        Counted::Buckets => "Buckets",
        Counted::AccessKeys => "Usable access keys",
    }
}

fn paces(tenant: &Tenant) -> Vec<(&'static str, String)> {
    let limits = &tenant.limits;
    let some = |figure: Option<String>| figure.unwrap_or_else(|| "no limit".to_owned());
    let requests = u64::from(limits.requests_per_second);
    let at_once = limits.concurrent_requests.map(|n| count(n.into()));
    let bytes = limits.bytes_per_second;
    let bytes = bytes.map(|n| format!("{} a second", Size::of(n)));
    vec![
        ("Requests a second", count(requests)),
        ("In one burst", count(limits.burst.into())),
        ("Under way at once", some(at_once)),
        ("Bandwidth", some(bytes)),
    ]
}

fn key_state(key: &access_keys::AccessKey, now: DateTime<Utc>) -> &'static str {
    match (key.revoked_at.is_some(), key.is_usable(now)) {
        (true, _) => "revoked",
        (false, true) => "active",
        (false, false) => "expired",
    }
}

fn billing_of(seen: &billing::Overview) -> Billing {
    let standing = &seen.standing;
    let cents = seen.beyond.storage_cents + seen.beyond.egress_cents;
    let reason = serde_json::to_value(standing.reason).unwrap_or_default();
    Billing {
        rung: standing.rung.as_str().replace('_', " "),
        reason: reason.as_str().unwrap_or_default().replace('_', " "),
        due: standing.due_at.map(Moment),
        paid_until: seen.paid_until.map(Moment),
        subscribed: seen.subscribed,
        beyond: money(cents, &seen.tenant.plan.currency),
    }
}
