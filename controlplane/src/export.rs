//! Everything that the control plane holds of an account, as one JSON document, for its owner to take along.
//! It is written page by page, so that neither memory nor a transaction grows with the account. No secret is in it.

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::accounts::{Act, Session};
use crate::{ControlPlane, Error, Origin, audit, db, tenants};

/// Records read in one transaction.
const PAGE: i64 = 1000;
/// Pages that wait for a reader who is slow.
const AHEAD: usize = 2;

/// A list of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Members,
    Sessions,
    Passkeys,
    Invitations,
    AccessKeys,
    ApiTokens,
    Buckets,
    Stored,
    Usage,
    Egress,
    Refusals,
    Invoices,
    StripeInvoices,
    Alerts,
    AuditLog,
}

impl Section {
    const ALL: [Self; 15] = [
        Self::Members,
        Self::Sessions,
        Self::Passkeys,
        Self::Invitations,
        Self::AccessKeys,
        Self::ApiTokens,
        Self::Buckets,
        Self::Stored,
        Self::Usage,
        Self::Egress,
        Self::Refusals,
        Self::Invoices,
        Self::StripeInvoices,
        Self::Alerts,
        Self::AuditLog,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Sessions => "sessions",
            Self::Passkeys => "passkeys",
            Self::Invitations => "invitations",
            Self::AccessKeys => "access_keys",
            Self::ApiTokens => "api_tokens",
            Self::Buckets => "buckets",
            Self::Stored => "stored",
            Self::Usage => "usage_by_hour",
            Self::Egress => "egress_by_month",
            Self::Refusals => "refusals",
            Self::Invoices => "invoices",
            Self::StripeInvoices => "stripe_invoices",
            Self::Alerts => "alerts",
            Self::AuditLog => "audit_log",
        }
    }
}

/// The document, as it is read. An error in its midst ends it without its end, so that no part passes for the whole.
pub async fn export(
    cp: &ControlPlane,
    by: &Session,
    origin: &Origin,
) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
    if !by.may(Act::DeleteAccount) {
        return Err(Error::Forbidden("Your role does not allow this."));
    }
    let mut tx = cp.begin_tenant(by.tenant_id).await?;
    tx = tx.acting(by.actor(), origin.clone());
    let tenant = Some(by.tenant_id);
    audit::record(&mut tx, cp, tenant, "tenant.export", "", json!({})).await?;
    tx.commit().await?;
    let (pages, reader) = mpsc::channel(AHEAD);
    let (plane, session) = (cp.clone(), by.clone());
    cp.spawn(async move {
        if let Err(error) = write(&plane, &session, &pages).await {
            // Nobody to tell where the reader has gone away.
            let _ = pages.send(Err(error)).await;
        }
    });
    Ok(stream::unfold(reader, |mut reader| async move {
        reader.recv().await.map(|page| (page, reader))
    }))
}

async fn write(
    cp: &ControlPlane,
    session: &Session,
    pages: &mpsc::Sender<Result<Bytes, Error>>,
) -> Result<(), Error> {
    let mut text = format!("{{\n\"account\": {}", account(cp, session).await?);
    for section in Section::ALL {
        text.push_str(&format!(",\n\"{}\": [", section.name()));
        let mut read = 0;
        loop {
            let mut tx = cp.begin_tenant(session.tenant_id).await?;
            let rows = db::export::page(&mut tx, section, session.tenant_id, PAGE, read).await?;
            tx.commit().await?;
            for row in &rows {
                let comma = if read == 0 { "" } else { "," };
                text.push_str(&format!("{comma}\n{row}"));
                read += 1;
            }
            let page = Bytes::from(std::mem::take(&mut text));
            if pages.send(Ok(page)).await.is_err() {
                return Ok(());
            }
            if i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE {
                break;
            }
        }
        text.push(']');
    }
    text.push_str("\n}\n");
    let _ = pages.send(Ok(Bytes::from(text))).await;
    Ok(())
}

async fn account(cp: &ControlPlane, session: &Session) -> Result<Value, Error> {
    let mut tx = cp.begin_tenant(session.tenant_id).await?;
    let tenant = tenants::get(&mut tx).await?;
    tx.commit().await?;
    Ok(json!({
        "exported_at": cp.clock().now(),
        "id": tenant.id,
        "company": tenant.name,
        "email": tenant.email,
        "status": tenant.status,
        "plan": tenant.plan,
        "limits": tenant.limits,
        "bucket_limit": tenant.bucket_limit,
        "access_key_limit": tenant.access_key_limit,
        "created_at": tenant.created_at,
        "trial_ends_at": tenant.trial_ends_at,
        "region": cp.config().region,
        "endpoint": cp.config().s3_endpoint,
    }))
}
