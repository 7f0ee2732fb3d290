//! `GET /billing/usage.csv`: the hours that the page's sum is made of, so that whoever doubts it can add them up.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use controlplane::billing;
use http::header;

use crate::App;
use crate::failure::Failure;
use crate::figures::Moment;
use crate::session::Member;

pub async fn file(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let seen = billing::overview(&mut tx, &app.cp).await?;
    let now = app.cp.clock().now();
    let hours = billing::hours(&mut tx, &seen.tenant, seen.period, now).await?;
    tx.commit().await?;
    let plan = &seen.tenant.plan;
    let mut text = "hour,stored_bytes,included_bytes,byte_hours_beyond,egress_bytes\r\n".to_owned();
    for hour in hours {
        let beyond = (hour.stored_bytes - plan.storage_bytes).max(0);
        let row = format!(
            "{},{},{},{beyond},{}\r\n",
            Moment(hour.hour).machine(),
            hour.stored_bytes,
            plan.storage_bytes,
            hour.egress_bytes
        );
        text.push_str(&row);
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"usage.csv\"",
        ),
    ];
    Ok((headers, text).into_response())
}
