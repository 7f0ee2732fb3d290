//! A client that signs correctly, or exactly as wrongly as it is told, and writes to the socket what no SDK writes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sigv4::{CanonicalRequest, CredentialScope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Answer {
    pub status: u16,
    /// Lower-case names.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    /// S3's error code.
    pub fn code(&self) -> &str {
        self.element("Code")
    }

    pub fn element(&self, name: &str) -> &str {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        self.body
            .split(&open)
            .nth(1)
            .and_then(|rest| rest.split(&close).next())
            .unwrap_or("")
    }

    /// The body with its request id taken out.
    pub fn body_without_id(&self) -> String {
        self.body.replace(self.element("RequestId"), "ID")
    }
}

#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub access_key_id: &'static str,
    pub secret: &'static str,
    pub now: DateTime<Utc>,
}

/// One request in the making.
pub struct Call<'a> {
    client: &'a Client,
    method: &'a str,
    /// As it is written on the wire.
    target: String,
    headers: Vec<(String, String)>,
    payload_hash: Option<String>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection is closed.
    cut: Option<usize>,
    content_length: Option<String>,
    host: Option<String>,
}

impl Client {
    pub fn call<'a>(&'a self, method: &'a str, target: &str) -> Call<'a> {
        Call {
            client: self,
            method,
            target: target.to_owned(),
            headers: Vec::new(),
            payload_hash: None,
            body: Vec::new(),
            cut: None,
            content_length: None,
            host: None,
        }
    }

    pub fn scope(&self) -> CredentialScope<'_> {
        CredentialScope {
            date: self.now.format("%Y%m%d").to_string().into(),
            region: "us-east-1".into(),
            service: "s3".into(),
        }
    }

    pub fn signing_key(&self) -> [u8; 32] {
        sigv4::derive_signing_key(self.secret, &self.scope().date, "us-east-1", "s3")
    }

    pub fn timestamp(&self) -> String {
        self.now.format("%Y%m%dT%H%M%SZ").to_string()
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.call("GET", target).send().await
    }

    pub async fn put(&self, target: &str, body: &str) -> Answer {
        self.call("PUT", target).body(body.as_bytes()).send().await
    }

    /// Bytes to the socket, as they are; what comes back until the connection closes.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut out = Vec::new();
        let read = stream.read_to_end(&mut out);
        let closed = tokio::time::timeout(std::time::Duration::from_secs(15), read).await;
        assert!(
            closed.is_ok(),
            "still open after {:?}",
            String::from_utf8_lossy(bytes)
        );
        out
    }
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub fn content(&self) -> &[u8] {
        &self.body
    }

    /// What is said of the body, instead of its hash.
    pub fn payload(mut self, hash: &str) -> Self {
        self.payload_hash = Some(hash.to_owned());
        self
    }

    pub fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub fn content_length(mut self, length: &str) -> Self {
        self.content_length = Some(length.to_owned());
        self
    }

    /// The signature that the head will bear, for those who chain on it; and the bytes of the head.
    pub fn head(&self) -> (String, String) {
        let client = self.client;
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let query: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(n, v)| (decode(n), decode(v)))
            .collect();
        let hash = self
            .payload_hash
            .clone()
            .unwrap_or_else(|| hex::encode(Sha256::digest(&self.body)));
        let mut headers = self.headers.clone();
        headers.push((
            "host".into(),
            self.host
                .clone()
                .unwrap_or_else(|| client.address.to_string()),
        ));
        headers.push(("x-amz-date".into(), client.timestamp()));
        headers.push(("x-amz-content-sha256".into(), hash.clone()));
        let borrowed: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_bytes()))
            .collect();
        let mut names: Vec<&str> = headers.iter().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let canonical = CanonicalRequest {
            method: self.method,
            path,
            query: &query,
            headers: &borrowed,
            signed_headers: &names,
            payload_hash: &hash,
        };
        let text = sigv4::string_to_sign(&client.timestamp(), &client.scope(), &canonical.hash());
        let signature = sigv4::signature(&client.signing_key(), &text);
        let length = self
            .content_length
            .clone()
            .unwrap_or_else(|| self.body.len().to_string());
        let lines: String = headers
            .iter()
            .map(|(n, v)| format!("{n}: {v}\r\n"))
            .collect();
        let head = format!(
            "{} {} HTTP/1.1\r\n{lines}authorization: AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
            self.method,
            self.target,
            client.access_key_id,
            client.scope(),
            names.join(";"),
        );
        (signature, head)
    }

    pub async fn send(self) -> Answer {
        let (_, head) = self.head();
        let body = self.cut.map_or(&self.body[..], |n| &self.body[..n]);
        let bytes = [head.as_bytes(), body].concat();
        if self.cut.is_some() {
            let mut stream = TcpStream::connect(self.client.address).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut out = Vec::new();
            let _ = stream.read_to_end(&mut out).await;
            return parse(&out);
        }
        parse(&self.client.raw(&bytes).await)
    }

    /// Sends the body once the node says to go on, and not before. Whether it said so, and its answer.
    pub async fn send_when_told(self) -> (bool, Answer) {
        let call = self.header("expect", "100-continue");
        let mut stream = TcpStream::connect(call.client.address).await.unwrap();
        stream.write_all(call.head().1.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") && stream.read_buf(&mut said).await.unwrap() > 0 {}
        let told = said.starts_with(b"HTTP/1.1 100 ");
        if told {
            said.clear();
            stream.write_all(&call.body).await.unwrap();
        }
        stream.read_to_end(&mut said).await.unwrap();
        (told, parse(&said))
    }
}

pub fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

pub fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: body.to_owned(),
    }
}
