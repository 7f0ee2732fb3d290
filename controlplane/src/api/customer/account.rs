//! `/whoami` and `/account`: the token itself, and its tenant with plan, limits and what is stored.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use http::Method;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::client::Client;
use super::operation::Operation;
use crate::api_tokens::TokenScope;
use crate::{ControlPlane, Error, leases, plans, tenants, usage};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/whoami",
            None::<TokenScope>,
            get(whoami),
            |d| {
                d.says(
                "Account",
                "whoami",
                "Say whose token this is",
                "Any token may. `scopes` are those that count now: the token's, as far as the member's role allows them.",
            )
            .answers::<Whoami>(200, "The token.", json!({
                "account_id": "0123456789abcdef0123456789abcdef", "company": "Acme",
                "member_id": "0123456789abcdef0123456789abcdef", "email": "ann@example.com", "role": "developer",
                "token_id": "0123456789abcdef0123456789abcdef", "token_name": "deploy",
                "scopes": ["read", "access_keys"], "expires_at": "2026-06-01T12:00:00Z",
            }))
            },
        ),
        Operation::new(Method::GET, "/account", TokenScope::Read, get(show), |d| {
            d.says(
                "Account",
                "getAccount",
                "Show the account, its plan and its limits",
                "`limits` are those that hold: the plan's, or what was agreed in their place. Bytes are as far as is booked.",
            )
            .answers::<Account>(200, "The account.", json!({
                "account_id": "0123456789abcdef0123456789abcdef", "company": "Acme", "email": "ann@example.com",
                "status": "active", "created_at": "2026-03-01T12:00:00Z", "trial_ends_at": null,
                "plan": {
                    "id": "business", "name": "Business", "price_cents": 149_900, "currency": "usd",
                    "storage_bytes": 40_000_000_000_000_u64,
                },
                "limits": {
                    "requests_per_second": 100, "burst": 200, "concurrent_requests": null, "bytes_per_second": null,
                    "quota_bytes": null, "quota_objects": null, "quota_egress_bytes": null, "buckets": 100,
                    "access_keys": 500,
                },
                "stored_bytes": 1_000_000, "objects": 12, "egress_bytes": 5_000,
                "endpoint": "https://s3.example.com", "region": "us-east-1",
            }))
        }),
    ]
}

#[derive(Serialize, ToSchema)]
struct Whoami {
    account_id: String,
    company: String,
    member_id: String,
    email: String,
    /// `owner`, `admin`, `developer`, `billing` or `read_only`.
    role: String,
    token_id: String,
    token_name: String,
    scopes: Vec<TokenScope>,
    expires_at: DateTime<Utc>,
}

async fn whoami(client: Client) -> Json<Whoami> {
    let scopes = client.caller.scopes();
    Json(Whoami {
        account_id: client.caller.tenant_id.to_string(),
        company: client.caller.company,
        member_id: client.caller.member_id.to_string(),
        email: client.caller.email,
        role: client.caller.role.as_str().to_owned(),
        token_id: client.token.id.to_string(),
        token_name: client.token.name,
        scopes,
        expires_at: client.token.expires_at,
    })
}

#[derive(Serialize, ToSchema)]
struct Account {
    account_id: String,
    company: String,
    /// The owner's address.
    email: String,
    /// `active`, `read_only` (nothing is added) or `suspended` (every S3 request is refused).
    status: String,
    created_at: DateTime<Utc>,
    #[schema(required)]
    trial_ends_at: Option<DateTime<Utc>>,
    plan: Plan,
    limits: AccountLimits,
    stored_bytes: u64,
    objects: u64,
    /// In this calendar month (UTC).
    egress_bytes: u64,
    /// Where S3 clients connect.
    endpoint: String,
    region: String,
}

#[derive(Serialize, ToSchema)]
struct Plan {
    id: String,
    name: String,
    /// A month's price in the smallest unit of `currency`.
    price_cents: i64,
    /// ISO 4217, lower case.
    currency: String,
    /// Bytes stored that the price includes.
    storage_bytes: i64,
}

/// None: no limit.
#[derive(Serialize, ToSchema)]
struct AccountLimits {
    requests_per_second: u32,
    burst: u32,
    #[schema(required)]
    concurrent_requests: Option<u32>,
    #[schema(required)]
    bytes_per_second: Option<u64>,
    #[schema(required)]
    quota_bytes: Option<u64>,
    #[schema(required)]
    quota_objects: Option<u64>,
    /// Bytes of answers in a calendar month (UTC).
    #[schema(required)]
    quota_egress_bytes: Option<u64>,
    buckets: i32,
    access_keys: i32,
}

impl From<plans::Plan> for Plan {
    fn from(plan: plans::Plan) -> Self {
        Self {
            id: plan.id,
            name: plan.name,
            price_cents: plan.price_cents,
            currency: plan.currency,
            storage_bytes: plan.storage_bytes,
        }
    }
}

async fn show(State(cp): State<ControlPlane>, client: Client) -> Result<Json<Account>, Error> {
    let mut tx = client.begin(&cp).await?;
    let tenant = tenants::get(&mut tx).await?;
    let stored = usage::of_tenant(&mut tx, tenant.id).await?;
    let egress_bytes = leases::egress_bytes(&mut tx, cp.clock(), tenant.id).await?;
    let limits = AccountLimits {
        requests_per_second: tenant.limits.requests_per_second,
        burst: tenant.limits.burst,
        concurrent_requests: tenant.limits.concurrent_requests,
        bytes_per_second: tenant.limits.bytes_per_second,
        quota_bytes: tenant.limits.quota_bytes,
        quota_objects: tenant.limits.quota_objects,
        quota_egress_bytes: tenant.limits.quota_egress_bytes,
        buckets: tenant.bucket_limit,
        access_keys: tenant.access_key_limit,
    };
    Ok(Json(Account {
        account_id: tenant.id.to_string(),
        company: tenant.name,
        email: tenant.email,
        status: status_word(tenant.status).to_owned(),
        created_at: tenant.created_at,
        trial_ends_at: tenant.trial_ends_at,
        plan: tenant.plan.into(),
        limits,
        stored_bytes: stored.stored_bytes,
        objects: stored.objects,
        egress_bytes,
        endpoint: cp.config().s3_endpoint.clone(),
        region: cp.config().region.clone(),
    }))
}

fn status_word(status: wire::TenantStatus) -> &'static str {
    match status {
        wire::TenantStatus::Active => "active",
        wire::TenantStatus::ReadOnly => "read_only",
        wire::TenantStatus::Suspended => "suspended",
        wire::TenantStatus::Deleted => "deleted",
        wire::TenantStatus::Unknown => "unknown",
    }
}
