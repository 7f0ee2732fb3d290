//! A client that signs, by the data plane's own crate: `sigv4` is held to AWS's signer in its own tests.

use chrono::{DateTime, Utc};
use sigv4::{CanonicalRequest, CredentialScope};

use super::{HASH, KEY, now};
use crate::request::S3Request;
use crate::request::tests::request;
use crate::tenants::tests::SECRET;
use crate::timestamp;

/// Signs what it is told, wrongly if it is told so.
pub struct Client {
    pub access_key_id: &'static str,
    pub secret: &'static str,
    pub at: DateTime<Utc>,
    pub region: &'static str,
    pub service: &'static str,
    pub headers: Vec<(&'static str, String)>,
    /// Sent, but left out of the signature.
    pub unsigned: Vec<&'static str>,
}

impl Default for Client {
    fn default() -> Self {
        Client {
            access_key_id: KEY,
            secret: SECRET,
            at: now(),
            region: "us-east-1",
            service: "s3",
            headers: vec![
                ("host", "s3.test:9000".into()),
                ("x-amz-content-sha256", HASH.into()),
            ],
            unsigned: vec![],
        }
    }
}

impl Client {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value.into()));
        self
    }

    pub fn timestamp(&self) -> String {
        timestamp::write(self.at)
    }

    pub fn scope(&self) -> CredentialScope<'_> {
        CredentialScope {
            date: self.at.format("%Y%m%d").to_string().into(),
            region: self.region.into(),
            service: self.service.into(),
        }
    }

    pub fn signing_key(&self) -> [u8; 32] {
        sigv4::derive_signing_key(self.secret, &self.scope().date, self.region, self.service)
    }

    pub fn signed_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .headers
            .iter()
            .map(|(n, _)| *n)
            .filter(|n| !self.unsigned.contains(n))
            .collect();
        names.sort_unstable();
        names
    }

    pub fn signature(
        &self,
        method: &str,
        uri: &str,
        query: &[(String, String)],
        payload: &str,
    ) -> String {
        let parsed = request(method, uri, &[]).unwrap();
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(n, v)| (*n, v.as_bytes()))
            .collect();
        let canonical = CanonicalRequest {
            method,
            path: &sigv4::uri_encode(parsed.path.as_bytes(), false),
            query,
            headers: &headers,
            signed_headers: &self.signed_names(),
            payload_hash: payload,
        };
        let text = sigv4::string_to_sign(&self.timestamp(), &self.scope(), &canonical.hash());
        sigv4::signature(&self.signing_key(), &text)
    }

    /// A request signed in its header.
    pub fn sign(mut self, method: &str, uri: &str) -> S3Request {
        let timestamp = self.timestamp();
        self = self.header("x-amz-date", &timestamp);
        let payload = self
            .headers
            .iter()
            .find(|(n, _)| *n == "x-amz-content-sha256")
            .map(|(_, v)| v.clone());
        let query = request(method, uri, &[]).unwrap().query.pairs().to_vec();
        let signature = self.signature(method, uri, &query, payload.as_deref().unwrap_or(""));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.access_key_id,
            self.scope(),
            self.signed_names().join(";"),
        );
        self.headers.push(("authorization", authorization));
        self.request(method, uri)
    }

    /// A presigned request.
    pub fn presign(mut self, method: &str, path: &str, expires: &str) -> S3Request {
        self.headers.retain(|(n, _)| *n != "x-amz-content-sha256");
        let mut query = vec![
            ("X-Amz-Algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
            (
                "X-Amz-Credential".to_owned(),
                format!("{}/{}", self.access_key_id, self.scope()),
            ),
            ("X-Amz-Date".to_owned(), self.timestamp()),
            ("X-Amz-Expires".to_owned(), expires.to_owned()),
            (
                "X-Amz-SignedHeaders".to_owned(),
                self.signed_names().join(";"),
            ),
        ];
        let signature = self.signature(method, path, &query, "UNSIGNED-PAYLOAD");
        query.push(("X-Amz-Signature".to_owned(), signature));
        let query: Vec<String> = query
            .iter()
            .map(|(n, v)| format!("{n}={}", sigv4::uri_encode(v.as_bytes(), true)))
            .collect();
        self.request(method, &format!("{path}?{}", query.join("&")))
    }

    pub fn request(&self, method: &str, uri: &str) -> S3Request {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        request(method, uri, &headers).unwrap()
    }
}
