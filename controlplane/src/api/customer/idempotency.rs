//! `Idempotency-Key` on POST: a request that was answered well is not done again, and answered as the first time.
//! What is kept is sealed, for a day, and only what changed something; decision 0018 says why.
//! Source: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/07/>

use std::time::Duration as Time;

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::Duration;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::client::Client;
use crate::db::idempotent_requests::{self as kept, Which};
use crate::secrets::Purpose;
use crate::{ControlPlane, Error, db};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const MAX_KEY: usize = 255;
const KEEP: Duration = Duration::hours(24);
/// Kept of one token.
const MOST: i64 = 1000;
const SWEEP_EVERY: Time = Time::from_secs(3600);

/// A request of one token's that has a key.
struct Keyed {
    cp: ControlPlane,
    client: Client,
    key_hash: [u8; 32],
    request_hash: [u8; 32],
}

enum Begun {
    /// Nobody did this yet.
    First,
    /// It was answered.
    Done(StatusCode, Vec<u8>),
}

/// Middleware of every POST.
pub(super) async fn once(
    State(cp): State<ControlPlane>,
    client: Client,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let Some(key) = key(request.headers())? else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    // No larger than any other body; more than that is refused by the extractor below.
    let body = axum::body::to_bytes(body, super::super::MAX_BODY).await;
    let body = body.map_err(|_| Error::BadRequest("The body is too large.".to_owned()))?;
    let what = format!("{} {}", parts.method, parts.uri);
    let keyed = Keyed {
        request_hash: hash(&[what.as_bytes(), &body]),
        key_hash: hash(&[key.as_bytes()]),
        cp,
        client,
    };
    if let Begun::Done(status, answer) = keyed.begin().await? {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, json, answer).into_response();
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, yes);
        return Ok(response);
    }
    // Goes on when the caller goes away: what was done is then there to be told.
    let request = Request::from_parts(parts, Body::from(body));
    let done = async move {
        let response = next.run(request).await;
        keyed.finish(response).await
    };
    let done = tokio::spawn(done.in_current_span());
    done.await.context("a request with a key broke off")?
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut given = headers.get_all(KEY).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    let text = key.to_str().unwrap_or_default();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if given.next().is_some() || !visible || !(1..=MAX_KEY).contains(&text.len()) {
        let message = format!("An Idempotency-Key has 1 to {MAX_KEY} visible ASCII characters.");
        return Err(Error::BadRequest(message));
    }
    Ok(Some(text.to_owned()))
}

impl Keyed {
    fn which(&self) -> Which<'_> {
        Which {
            token: self.client.token.id,
            key_hash: &self.key_hash,
        }
    }

    /// What the answer is bound to when it is sealed.
    fn seal_row(&self) -> String {
        format!("{}/{}", self.client.token.id, hex::encode(self.key_hash))
    }

    async fn begin(&self) -> Result<Begun, Error> {
        let now = self.cp.clock().now();
        let (tenant, token) = (self.client.caller.tenant_id, self.client.token.id);
        let mut tx = self.cp.begin_tenant(tenant).await?;
        kept::forget_of(&mut tx, token, now - KEEP).await?;
        if kept::insert(&mut tx, self.which(), tenant, &self.request_hash, now).await? {
            let (count, oldest) = kept::kept(&mut tx, token).await?;
            if count > MOST {
                let free = oldest.map_or(KEEP, |oldest| oldest + KEEP - now);
                return Err(Error::TooManyRequests {
                    retry_after_seconds: free.num_seconds().max(1).unsigned_abs(),
                });
            }
            tx.commit().await?;
            return Ok(Begun::First);
        }
        let row = kept::get(&mut tx, self.which()).await?;
        // Given back by another request at this moment.
        let row = row.ok_or_else(in_use)?;
        if row.request_hash != self.request_hash {
            let message = "This Idempotency-Key was used for another request. Take a new one.";
            return Err(Error::validation("Idempotency-Key", message));
        }
        let (Some(status), Some(answer)) = (row.status, row.answer) else {
            return Err(in_use());
        };
        let master_key = self.cp.master_key();
        let answer = master_key.open(Purpose::ApiAnswer, &self.seal_row(), &answer)?;
        let status = StatusCode::from_u16(status.unsigned_abs());
        let status = status.context("the status of an answer that was kept")?;
        Ok(Begun::Done(status, answer.to_vec()))
    }

    /// Keeps a good answer. Whatever else it was, the same request may be tried again.
    async fn finish(self, response: Response) -> Result<Response, Error> {
        let mut tx = self.cp.begin_tenant(self.client.caller.tenant_id).await?;
        if !response.status().is_success() {
            kept::delete(&mut tx, self.which()).await?;
            tx.commit().await?;
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("an answer of our own")?;
        let body: Bytes = body.to_bytes();
        let master_key = self.cp.master_key();
        let sealed = master_key.seal(Purpose::ApiAnswer, &self.seal_row(), &body)?;
        let status = i16::try_from(parts.status.as_u16()).unwrap_or(200);
        kept::finish(&mut tx, self.which(), status, &sealed).await?;
        tx.commit().await?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

/// Also where the first one broke off with its process: nobody knows what it did, so it is not done twice.
fn in_use() -> Error {
    Error::Conflict {
        code: "idempotency_key_in_use",
        message: "A request with this Idempotency-Key is under way, or broke off. Try again; if it stays so, look what \
                  the first one did, and take a new key."
            .to_owned(),
    }
}

/// Of parts whose lengths are part of it, so that no two lists of parts are one text.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Removes what is older than a day, and what belongs to tokens that have ended.
pub(crate) async fn sweep(cp: ControlPlane) {
    loop {
        let sweeping = sweep_once(&cp).instrument(telemetry::job("api.sweep"));
        if let Err(error) = db::in_time(db::PATIENCE_OF_JOBS, sweeping).await {
            tracing::warn!(%error, "answers that were kept could not be removed");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

async fn sweep_once(cp: &ControlPlane) -> Result<(), Error> {
    let now = cp.clock().now();
    let mut tx = cp.begin_system().await?;
    let removed = kept::forget(&mut tx, now - KEEP, now).await?;
    tx.commit().await?;
    if removed > 0 {
        tracing::info!(removed, "answers that were kept are removed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_and_there_is_one() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_str(value).expect("a header"));
            }
            key(&headers).map_err(|error| error.status().as_u16())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["\"8e03\""]), Ok(Some("\"8e03\"".to_owned())));
        for bad in [
            &[""][..],
            &["a b"],
            &["é"],
            &[&"x".repeat(256)],
            &["a", "b"],
        ] {
            assert_eq!(read(bad), Err(400), "{bad:?}");
        }
    }
}
