//! Objects of the engine: their versions, and what a version bears.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::{Asked, Bucket, Lack, refuse};

const CUSTOMER_KEY: &str = "x-amz-server-side-encryption-customer-key-md5";
/// Of what a probe writes; nobody else sends any.
const CHECKSUMS: [(&str, &str); 10] = [
    ("x-amz-checksum-crc32", "UIiWHA=="),
    ("x-amz-checksum-crc32c", "QkyOyA=="),
    ("x-amz-checksum-sha1", "HZayQNx220emnGk//QXPHHfWYPs="),
    (
        "x-amz-checksum-sha256",
        "AP6dtzeZ6I4UdMjVcOc7BKYx7SuuWOpfSSpnxmoRxjs=",
    ),
    ("x-amz-checksum-crc64nvme", "Y94s1aBkMkk="),
    (
        "x-amz-checksum-sha512",
        "rrxBU3A2XuDHJK248ETyCwbiw+BQtuJlbY2QTHphGGOe4TFXvrHfgKMb/X/KXspoMQ1J8M3DmC+JejF1vtxGEw==",
    ),
    ("x-amz-checksum-md5", "TzgAOwNBoPZYDfEbG/YEwA=="),
    ("x-amz-checksum-xxhash64", "tEz7eDn8BiE="),
    ("x-amz-checksum-xxhash3", "Xjuskv+MJFw="),
    ("x-amz-checksum-xxhash128", "mBVUESIwjWJhafT8JIYsng=="),
];

#[derive(Default, Clone)]
pub(super) struct Version {
    pub id: String,
    pub marker: bool,
    body: Bytes,
    /// The document that `?tagging` answers.
    tagging: Bytes,
    encrypted: bool,
    customer_key: Option<String>,
    checksum: Option<(&'static str, &'static str)>,
    held: bool,
}

impl Version {
    pub(super) fn marker() -> Self {
        Self {
            marker: true,
            ..Self::default()
        }
    }

    fn of(asked: &Asked) -> Self {
        let able = asked.abilities;
        let customer_key = asked.header(CUSTOMER_KEY).filter(|_| able.sse_c);
        Self {
            body: asked.body.clone(),
            tagging: tagging(
                asked
                    .header("x-amz-tagging")
                    .filter(|_| able.object_tagging),
            ),
            encrypted: able.sse_s3 && asked.header("x-amz-server-side-encryption").is_some(),
            customer_key: customer_key.map(str::to_owned),
            checksum: checksum(asked).filter(|(name, value)| asked.header(name) == Some(value)),
            held: able.object_lock && asked.header("x-amz-object-lock-legal-hold") == Some("ON"),
            ..Self::default()
        }
    }
}

/// What the checksum that was sent should be, if this engine knows it.
fn checksum(asked: &Asked) -> Option<(&'static str, &'static str)> {
    let able = asked.abilities;
    let known = CHECKSUMS.into_iter().enumerate().filter(|(n, _)| match n {
        0..4 => able.checksums,
        4 => able.keeps_crc64nvme(),
        _ => able.newer_checksums,
    });
    let mut known = known.map(|(_, checksum)| checksum);
    known.find(|(name, _)| asked.header(name).is_some())
}

fn tagging(header: Option<&str>) -> Bytes {
    let tags: String = header
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| format!("<Tag><Key>{name}</Key><Value>{value}</Value></Tag>"))
        .collect();
    format!("<Tagging><TagSet>{tags}</TagSet></Tagging>").into()
}

impl Bucket {
    pub(super) fn answer_object(&mut self, asked: &Asked) -> Response {
        let key = &asked.key;
        let ignored = asked.lack == Lack::Ignored && !asked.is_able();
        match asked.method {
            Method::DELETE if asked.has("uploadId") => {
                self.uploads.remove(key);
                StatusCode::NO_CONTENT.into_response()
            }
            Method::DELETE if asked.has("versionId") => self.delete_version(asked),
            Method::DELETE if !asked.has("tagging") => {
                self.remove(key);
                StatusCode::NO_CONTENT.into_response()
            }
            Method::PUT if !asked.has("tagging") && !asked.has("legal-hold") => {
                let asked_for = asked.header("x-amz-server-side-encryption").is_some();
                let encrypted = asked_for || self.encrypts();
                if encrypted && !asked.abilities.sse_s3 && asked.lack == Lack::InternalError {
                    return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
                }
                let version = Version::of(asked);
                if checksum(asked) != version.checksum {
                    return refuse(StatusCode::BAD_REQUEST, "BadDigest");
                }
                if version.held && !self.locked {
                    return refuse(StatusCode::BAD_REQUEST, "InvalidRequest");
                }
                let id = self.add(key, version);
                ([("x-amz-version-id", id)], "").into_response()
            }
            _ => match self.find(asked) {
                Some(version) if !version.marker => version.answer(asked, ignored),
                _ => refuse(StatusCode::NOT_FOUND, "NoSuchKey"),
            },
        }
    }

    fn find(&mut self, asked: &Asked) -> Option<&mut Version> {
        let versions = self.objects.get_mut(&asked.key)?;
        match asked.value("versionId") {
            "" => versions.last_mut(),
            id => versions.iter_mut().find(|version| version.id == id),
        }
    }

    fn delete_version(&mut self, asked: &Asked) -> Response {
        if self.find(asked).is_some_and(|version| version.held) {
            return refuse(StatusCode::FORBIDDEN, "AccessDenied");
        }
        if let Some(versions) = self.objects.get_mut(&asked.key) {
            versions.retain(|version| version.id != asked.value("versionId"));
            if versions.is_empty() {
                self.objects.remove(&asked.key);
            }
        }
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Version {
    fn answer(&mut self, asked: &Asked, ignored: bool) -> Response {
        if asked.has("tagging") && !ignored {
            return match asked.method {
                Method::PUT => {
                    self.tagging = asked.body.clone();
                    StatusCode::OK.into_response()
                }
                Method::DELETE => {
                    self.tagging = tagging(None);
                    StatusCode::NO_CONTENT.into_response()
                }
                _ => self.tagging.clone().into_response(),
            };
        }
        if asked.has("legal-hold") {
            self.held = asked.says("<Status>ON</Status>");
            return StatusCode::OK.into_response();
        }
        if asked.has("attributes") && !ignored {
            let size = self.body.len();
            return format!("<GetObjectAttributesResponse><ETag>e</ETag><ObjectSize>{size}</ObjectSize></GetObjectAttributesResponse>")
                .into_response();
        }
        if self.customer_key.as_deref() != asked.header(CUSTOMER_KEY) && self.customer_key.is_some()
        {
            return refuse(StatusCode::BAD_REQUEST, "InvalidRequest");
        }
        let mut response = match asked.method {
            Method::HEAD => StatusCode::OK.into_response(),
            _ => self.body.clone().into_response(),
        };
        if let Some(md5) = &self.customer_key {
            // Twice, as SeaweedFS does.
            let value: http::HeaderValue = md5.parse().unwrap();
            response.headers_mut().append(CUSTOMER_KEY, value.clone());
            response.headers_mut().append(CUSTOMER_KEY, value);
        }
        if let Some((name, value)) = self.checksum
            && asked.header("x-amz-checksum-mode") == Some("ENABLED")
        {
            let value = http::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        if self.encrypted {
            let name = "x-amz-server-side-encryption";
            let value = http::HeaderValue::from_static("AES256");
            response.headers_mut().insert(name, value);
        }
        response
    }
}
