//! A tenant's rows as JSON objects, for the export of its account. Columns are named one by one: no secret, and no hash of
//! one, is among them.

use serde_json::Value;
use sqlx::query_scalar;

use crate::export::Section;
use crate::ids::TenantId;
use crate::{Error, Tx};

/// Up to `limit` rows after the first `offset`, in an order in which new rows come last.
pub(crate) async fn page(
    tx: &mut Tx,
    section: Section,
    tenant: TenantId,
    limit: i64,
    offset: i64,
) -> Result<Vec<Value>, Error> {
    macro_rules! rows {
        ($select:literal) => {
            query_scalar!($select + " LIMIT $2 OFFSET $3", tenant.0, limit, offset)
                .fetch_all(tx.connection())
                .await?
        };
    }
    Ok(match section {
        Section::Members => rows!(
            r#"SELECT jsonb_build_object('id', m.id, 'email', m.email, 'role', m.role, 'since', m.created_at,
                      'two_step_log_in', EXISTS (SELECT FROM totp WHERE totp.member_id = m.id)
                                         OR EXISTS (SELECT FROM passkeys p WHERE p.member_id = m.id)) AS "row!"
               FROM members m WHERE m.tenant_id = $1 ORDER BY m.created_at, m.id"#
        ),
        Section::Sessions => rows!(
            r#"SELECT jsonb_build_object('member_id', member_id, 'created_at', created_at, 'last_used_at', last_used_at,
                      'expires_at', expires_at, 'address', address, 'user_agent', user_agent) AS "row!"
               FROM sessions WHERE tenant_id = $1 ORDER BY created_at, id"#
        ),
        Section::Passkeys => rows!(
            r#"SELECT jsonb_build_object('member_id', member_id, 'name', name, 'created_at', created_at,
                      'last_used_at', last_used_at) AS "row!"
               FROM passkeys WHERE tenant_id = $1 ORDER BY created_at, id"#
        ),
        Section::Invitations => rows!(
            r#"SELECT jsonb_build_object('email', email, 'role', role, 'invited_by', invited_by,
                      'created_at', created_at, 'expires_at', expires_at) AS "row!"
               FROM invitations WHERE tenant_id = $1 ORDER BY created_at, id"#
        ),
        Section::AccessKeys => rows!(
            r#"SELECT jsonb_build_object('access_key_id', access_key_id, 'name', name, 'scope', scope,
                      'created_at', created_at, 'created_by', created_by, 'expires_at', expires_at,
                      'revoked_at', revoked_at, 'replaces', replaces) AS "row!"
               FROM access_keys WHERE tenant_id = $1 AND purpose = 'customer' ORDER BY created_at, access_key_id"#
        ),
        Section::ApiTokens => rows!(
            r#"SELECT jsonb_build_object('id', id, 'member_id', member_id, 'name', name, 'ending', ending,
                      'scopes', scopes, 'made_by', made_by, 'created_at', created_at, 'expires_at', expires_at,
                      'last_used_at', last_used_at, 'revoked_at', revoked_at) AS "row!"
               FROM api_tokens WHERE tenant_id = $1 ORDER BY created_at, id"#
        ),
        Section::Buckets => rows!(
            r#"SELECT jsonb_build_object('id', id, 'name', name, 'created_at', created_at, 'public_read', public_read,
                      'cors', cors, 'object_lock', object_lock) AS "row!"
               FROM buckets WHERE tenant_id = $1 AND status <> 'creating' ORDER BY created_at, id"#
        ),
        Section::Stored => rows!(
            r#"SELECT jsonb_build_object('bucket_id', bucket_id, 'stored_bytes', stored_bytes, 'objects', objects,
                      'inventory_at', inventory_at) AS "row!"
               FROM bucket_usage WHERE tenant_id = $1 ORDER BY bucket_id"#
        ),
        Section::Usage => rows!(
            r#"SELECT jsonb_build_object('hour', hour, 'bucket_id', bucket_id, 'access_key_id', access_key_id,
                      'class', class, 'requests', requests, 'bytes_in', bytes_in, 'bytes_out', bytes_out,
                      'stored_delta', stored_delta, 'objects_delta', objects_delta) AS "row!"
               FROM usage_hours WHERE tenant_id = $1 ORDER BY hour, bucket_id, access_key_id, class"#
        ),
        Section::Egress => rows!(
            r#"SELECT jsonb_build_object('month', month, 'bytes', bytes) AS "row!"
               FROM egress_months WHERE tenant_id = $1 ORDER BY month"#
        ),
        Section::Refusals => rows!(
            r#"SELECT jsonb_build_object('request_id', request_id, 'at', at, 'operation', operation, 'bucket', bucket,
                      'access_key_id', access_key_id, 'status', status, 'code', code, 'rule', rule,
                      'more', more) AS "row!"
               FROM refusals WHERE tenant_id = $1 ORDER BY at, request_id"#
        ),
        Section::Invoices => rows!(
            r#"SELECT jsonb_build_object('id', id, 'number', number, 'company', company, 'email', email,
                      'currency', currency, 'lines', lines, 'total_cents', total_cents, 'period_from', period_from,
                      'period_to', period_to, 'issued_at', issued_at, 'paid_at', paid_at) AS "row!"
               FROM invoices WHERE tenant_id = $1 ORDER BY number"#
        ),
        Section::StripeInvoices => rows!(
            r#"SELECT jsonb_build_object('id', invoice_id, 'number', number, 'status', status, 'currency', currency,
                      'total_cents', total_cents, 'amount_paid_cents', amount_paid_cents, 'created_at', created_at,
                      'period_from', period_from, 'period_to', period_to, 'hosted_url', hosted_url,
                      'pdf_url', pdf_url) AS "row!"
               FROM stripe_invoices WHERE tenant_id = $1 ORDER BY created_at, invoice_id"#
        ),
        Section::Alerts => rows!(
            r#"SELECT jsonb_build_object('cap_cents', cap_cents, 'refuse_at_cap', refuse_at_cap,
                      'thresholds', thresholds, 'webhook_url', webhook_url) AS "row!"
               FROM spending WHERE tenant_id = $1 ORDER BY tenant_id"#
        ),
        Section::AuditLog => rows!(
            r#"SELECT jsonb_build_object('id', id, 'at', at, 'actor', actor, 'action', action, 'target', target,
                      'address', address, 'user_agent', user_agent, 'request_id', request_id,
                      'details', details) AS "row!"
               FROM audit_log WHERE tenant_id = $1 ORDER BY id"#
        ),
    })
}
