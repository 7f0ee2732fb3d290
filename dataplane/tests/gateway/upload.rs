//! Browsers' forms: correct, or exactly as wrong as a test makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::{Answer, Client, parse};

/// A form in the making: correct, but for what a test makes of it.
#[derive(Clone)]
pub struct Upload<'a> {
    pub client: &'a Client,
    pub target: &'a str,
    pub host: String,
    pub boundary: &'a str,
    pub fields: Vec<(String, String)>,
    pub conditions: Vec<String>,
    pub expiration: &'a str,
    pub credential: String,
    pub date: String,
    pub file: Vec<u8>,
    pub filename: Option<&'a str>,
    pub headers: String,
}

const LATER: &str = "2026-03-04T06:00:00.000Z";

pub fn upload<'a>(client: &'a Client, key: &str) -> Upload<'a> {
    Upload {
        client,
        target: "/abkt",
        host: client.address.to_string(),
        boundary: "----B7",
        fields: vec![("key".into(), key.into())],
        conditions: vec![
            r#"{"bucket": "abkt"}"#.into(),
            r#"["starts-with", "$key", ""]"#.into(),
            r#"["starts-with", "$x-amz-algorithm", ""]"#.into(),
            r#"["starts-with", "$x-amz-credential", ""]"#.into(),
            r#"["starts-with", "$x-amz-date", ""]"#.into(),
        ],
        expiration: LATER,
        credential: format!("{}/{}", client.access_key_id, client.scope()),
        date: client.timestamp(),
        file: b"hello".to_vec(),
        filename: Some("a.txt"),
        headers: String::new(),
    }
}

pub fn part(boundary: &str, name: &str, value: &str) -> String {
    format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

impl<'a> Upload<'a> {
    /// With a condition that it meets.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.conditions
            .push(format!("[\"starts-with\", \"${name}\", \"\"]"));
        self.extra(name, value)
    }

    /// Without a condition.
    pub fn extra(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub fn condition(mut self, condition: &str) -> Self {
        self.conditions.push(condition.into());
        self
    }

    pub fn file(mut self, file: &[u8]) -> Self {
        self.file = file.to_vec();
        self
    }

    pub fn policy(&self) -> String {
        STANDARD.encode(format!(
            "{{\"expiration\": \"{}\", \"conditions\": [{}]}}",
            self.expiration,
            self.conditions.join(", ")
        ))
    }

    /// All fields before the file, signed.
    pub fn signed_fields(&self) -> Vec<(String, String)> {
        let policy = self.policy();
        let signature = sigv4::signature(&self.client.signing_key(), &policy);
        let mut fields = self.fields.clone();
        for (name, value) in [
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", &self.credential),
            ("x-amz-date", &self.date),
            ("policy", &policy),
            ("x-amz-signature", &signature),
        ] {
            fields.push((name.into(), value.into()));
        }
        fields
    }

    /// The form up to the file's content.
    pub fn preamble(&self, fields: &[(String, String)]) -> String {
        let parts: String = fields
            .iter()
            .map(|(name, value)| part(self.boundary, name, value))
            .collect();
        let filename = self
            .filename
            .map_or(String::new(), |name| format!("; filename=\"{name}\""));
        format!(
            "{parts}--{}\r\nContent-Disposition: form-data; name=\"file\"{filename}\r\nContent-Type: text/html\r\n\r\n",
            self.boundary
        )
    }

    pub fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }

    pub fn body(&self) -> Vec<u8> {
        self.body_with(&self.signed_fields())
    }

    pub fn body_with(&self, fields: &[(String, String)]) -> Vec<u8> {
        [
            self.preamble(fields).as_bytes(),
            &self.file,
            self.end().as_bytes(),
        ]
        .concat()
    }

    pub fn head(&self, content_length: usize) -> String {
        format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: multipart/form-data; boundary={}\r\ncontent-length: {content_length}\r\n{}connection: close\r\n\r\n",
            self.target, self.host, self.boundary, self.headers
        )
    }

    pub async fn send(&self) -> Answer {
        self.send_body(&self.body()).await
    }

    pub async fn send_body(&self, body: &[u8]) -> Answer {
        let head = self.head(body.len());
        parse(&self.client.raw(&[head.as_bytes(), body].concat()).await)
    }

    /// With some fields replaced (`None`: left out) after all was signed.
    pub async fn send_changed(&self, changes: &[(&str, Option<&str>)]) -> Answer {
        let mut fields = self.signed_fields();
        for (name, value) in changes {
            fields.retain(|(n, _)| n != name);
            fields.extend(value.map(|value| ((*name).to_owned(), value.to_owned())));
        }
        self.send_body(&self.body_with(&fields)).await
    }
}

pub fn said(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}
