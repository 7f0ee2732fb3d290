//! One candidate as its clients see it: address, bucket, credentials; and the signing of requests for it.
//! Requests are signed before the clock starts, so that signing costs the client nothing while it measures.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use sha2::{Digest, Sha256};
use sigv4::{CanonicalRequest, CredentialScope};

use crate::workload::Asked;

pub const REGION: &str = "us-east-1";
pub const BUCKET: &str = "bench";

#[derive(Clone)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub credentials: Credentials,
    /// The processes whose CPU time is the candidate's; with all their children.
    pub pid: u32,
}

/// A signed request, and what must come back.
#[derive(Clone)]
pub struct Signed {
    pub request: Request<Full<Bytes>>,
    pub answer: Option<usize>,
}

/// Hashes of bodies, each made once.
#[derive(Default)]
pub struct Hashes(HashMap<(usize, usize), String>);

impl Hashes {
    fn of(&mut self, body: &Bytes) -> String {
        let at = (body.as_ptr() as usize, body.len());
        self.0
            .entry(at)
            .or_insert_with(|| hex::encode(Sha256::digest(body)))
            .clone()
    }
}

impl Target {
    /// Signed with the header, as of `now`; good for 15 minutes.
    pub fn sign(
        &self,
        asked: &Asked,
        hashes: &mut Hashes,
        now: chrono::DateTime<chrono::Utc>,
    ) -> anyhow::Result<Signed> {
        let path = match asked.key.as_str() {
            "" => format!("/{BUCKET}"),
            key => format!("/{BUCKET}/{key}"),
        };
        let timestamp = now.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = CredentialScope {
            date: now.format("%Y%m%d").to_string().into(),
            region: REGION.into(),
            service: "s3".into(),
        };
        let payload_hash = match asked.hashed {
            true if asked.body.is_empty() => sigv4::EMPTY_SHA256.to_owned(),
            true => hashes.of(&asked.body),
            false => "UNSIGNED-PAYLOAD".to_owned(),
        };
        let host = self.address.to_string();
        let headers: [(&str, &[u8]); 3] = [
            ("host", host.as_bytes()),
            ("x-amz-content-sha256", payload_hash.as_bytes()),
            ("x-amz-date", timestamp.as_bytes()),
        ];
        let key = sigv4::derive_signing_key(
            &self.credentials.secret_access_key,
            &scope.date,
            REGION,
            "s3",
        );
        let canonical = CanonicalRequest {
            method: asked.method.as_str(),
            path: &path,
            query: &asked.query,
            headers: &headers,
            signed_headers: &[],
            payload_hash: &payload_hash,
        };
        let authorization = sigv4::authorization_header(
            &self.credentials.access_key_id,
            &key,
            &timestamp,
            &scope,
            &canonical,
        );
        let mut uri = path.clone();
        for (i, (name, value)) in asked.query.iter().enumerate() {
            uri.push(if i == 0 { '?' } else { '&' });
            uri.push_str(&sigv4::uri_encode(name.as_bytes(), true));
            uri.push('=');
            uri.push_str(&sigv4::uri_encode(value.as_bytes(), true));
        }
        let mut request = Request::builder()
            .method(asked.method.clone())
            .uri(uri)
            .header("host", &host)
            .header("x-amz-content-sha256", &payload_hash)
            .header("x-amz-date", &timestamp)
            .header("authorization", authorization)
            .body(Full::new(asked.body.clone()))
            .context("a request of ours cannot be built")?;
        if asked.method == http::Method::PUT {
            // S3 wants it of an empty body too.
            let length = asked.body.len().into();
            request.headers_mut().insert("content-length", length);
        }
        Ok(Signed {
            request,
            answer: asked.answer,
        })
    }
}

/// The one place that asks what time it is.
#[allow(
    clippy::disallowed_methods,
    reason = "signatures must be of now; nothing here is tested against a clock"
)]
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
