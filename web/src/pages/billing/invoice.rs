//! `GET /billing/invoices/{id}`: an invoice of our own as a PDF.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use controlplane::billing;
use http::header;

use crate::App;
use crate::failure::Failure;
use crate::session::Member;

pub async fn file(
    State(app): State<App>,
    Path(invoice_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let invoice = billing::invoice(&mut tx, &invoice_id).await?;
    tx.commit().await?;
    let name = format!("attachment; filename=\"invoice-{}.pdf\"", invoice.number);
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, billing::pdf(&invoice)).into_response())
}
