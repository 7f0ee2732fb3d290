//! An S3 engine in this process: what the control plane asks of one, with more or fewer abilities.
//! It is as careless as real ones: a bucket that holds nothing but old versions is removed with them.

mod bucket;
mod object;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use tokio::sync::Notify;
use wire::EngineCapabilities;

pub use bucket::Bucket;

#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    broken: AtomicBool,
    heard_while_broken: Notify,
    abilities: Mutex<(EngineCapabilities, Lack)>,
    refusing: Mutex<Option<(Method, String)>>,
    /// Access key ids that are let in; empty: every one.
    accounts: Mutex<Vec<String>>,
}

/// What it does about what it is not able to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// 501
    NotImplemented,
    /// 400
    BadRequest,
    /// 500
    InternalError,
    /// It passes over headers and subresources that it does not know.
    Ignored,
}

/// Everything that this engine knows how to do.
pub const ALL: EngineCapabilities = EngineCapabilities {
    exact_keys: true,
    byte_order: true,
    checksums: true,
    crc64nvme: Some(true),
    newer_checksums: true,
    trailers: false,
    conditional_writes: false,
    versioning: true,
    object_lock: true,
    object_tagging: true,
    bucket_tagging: true,
    lifecycle: true,
    bucket_encryption: true,
    sse_s3: true,
    sse_c: true,
    object_attributes: true,
};

/// A request, taken apart.
struct Asked {
    method: Method,
    key: String,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
    abilities: EngineCapabilities,
    lack: Lack,
}

impl Asked {
    fn has(&self, parameter: &str) -> bool {
        self.query.contains_key(parameter)
    }

    fn value(&self, parameter: &str) -> &str {
        self.query.get(parameter).map_or("", String::as_str)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn says(&self, text: &str) -> bool {
        std::str::from_utf8(&self.body).unwrap().contains(text)
    }

    /// The ability that the request needs, by the subresource in its query.
    fn is_able(&self) -> bool {
        let able = self.abilities;
        let needs = [
            ("versioning", able.versioning),
            ("versions", able.versioning),
            ("lifecycle", able.lifecycle),
            ("encryption", able.bucket_encryption),
            ("legal-hold", able.object_lock),
            ("attributes", able.object_attributes),
            (
                "tagging",
                if self.key.is_empty() {
                    able.bucket_tagging
                } else {
                    able.object_tagging
                },
            ),
        ];
        needs
            .iter()
            .all(|(parameter, able)| *able || !self.has(parameter))
    }
}

impl Engine {
    pub async fn start() -> (Self, String) {
        let engine = Self(Arc::new(Inner {
            buckets: Mutex::default(),
            broken: AtomicBool::new(false),
            heard_while_broken: Notify::new(),
            abilities: Mutex::new((ALL, Lack::NotImplemented)),
            refusing: Mutex::default(),
            accounts: Mutex::default(),
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(engine.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (engine, endpoint)
    }

    /// Answers 500 to everything from now on, or no longer.
    pub fn set_broken(&self, broken: bool) {
        self.0.broken.store(broken, Ordering::SeqCst);
    }

    /// Waits until it has answered 500 to somebody.
    pub async fn heard_while_broken(&self) {
        let heard = self.0.heard_while_broken.notified();
        tokio::time::timeout(std::time::Duration::from_secs(20), heard)
            .await
            .expect("nobody asks the engine");
    }

    /// What it is able to do from now on, and how it treats the rest.
    pub fn set_abilities(&self, abilities: EngineCapabilities, lack: Lack) {
        *self.0.abilities.lock().unwrap() = (abilities, lack);
    }

    /// Answers 403 to requests with that method and query parameter from now on.
    pub fn deny(&self, method: Method, parameter: &str) {
        *self.0.refusing.lock().unwrap() = Some((method, parameter.to_owned()));
    }

    /// Lets only these access key ids in from now on.
    pub fn admit(&self, accounts: &[&str]) {
        *self.0.accounts.lock().unwrap() = accounts.iter().map(ToString::to_string).collect();
    }

    /// A bucket that was made past the control plane, at that time.
    pub fn make(&self, name: &str, created_at: &str, keys: &[&str]) {
        let mut bucket = Bucket::default();
        bucket.created_at = created_at.to_owned();
        keys.iter().for_each(|key| bucket.put(key));
        let mut buckets = self.0.buckets.lock().unwrap();
        buckets.insert(name.to_owned(), bucket);
    }

    pub fn lose(&self, name: &str) {
        self.0.buckets.lock().unwrap().remove(name).unwrap();
    }

    /// Those of tenants, without the probe's.
    pub fn buckets(&self) -> Vec<String> {
        let mut buckets = self.all_buckets();
        buckets.retain(|name| !name.starts_with("vaultaire-probe-"));
        buckets
    }

    pub fn all_buckets(&self) -> Vec<String> {
        self.0.buckets.lock().unwrap().keys().cloned().collect()
    }

    pub fn bucket(&self, name: &str) -> Option<Bucket> {
        self.0.buckets.lock().unwrap().get(name).cloned()
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Bucket)) {
        change(self.0.buckets.lock().unwrap().get_mut(name).unwrap());
    }
}

async fn answer(State(engine): State<Engine>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    if engine.0.broken.load(Ordering::SeqCst) {
        engine.0.heard_while_broken.notify_one();
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    }
    let account = account(&head.headers);
    let accounts = engine.0.accounts.lock().unwrap().clone();
    if !accounts.is_empty() && !accounts.contains(&account) {
        return refuse(StatusCode::FORBIDDEN, "InvalidAccessKeyId");
    }
    let path = decoded(&head.uri.path()[1..]);
    let (name, key) = path.split_once('/').unwrap_or((&path, ""));
    let pairs = head.uri.query().unwrap_or_default().split('&');
    let (abilities, lack) = *engine.0.abilities.lock().unwrap();
    let asked = Asked {
        method: head.method,
        key: key.to_owned(),
        query: pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect(),
        headers: head.headers,
        body,
        abilities,
        lack,
    };
    if let Some((method, parameter)) = &*engine.0.refusing.lock().unwrap()
        && *method == asked.method
        && asked.has(parameter)
    {
        return refuse(StatusCode::FORBIDDEN, "AccessDenied");
    }
    if !asked.is_able() {
        match asked.lack {
            Lack::NotImplemented => return refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Lack::BadRequest => return refuse(StatusCode::BAD_REQUEST, "InvalidArgument"),
            Lack::InternalError => {
                return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
            }
            Lack::Ignored if asked.method != Method::GET => return StatusCode::OK.into_response(),
            Lack::Ignored => {}
        }
    }
    let mut buckets = engine.0.buckets.lock().unwrap();
    if name.is_empty() {
        return list_buckets(&buckets);
    }
    let is_plain = asked.key.is_empty() && asked.query.keys().all(|p| p.is_empty() || p == "x-id");
    match buckets.get_mut(name) {
        Some(_) if asked.method == Method::PUT && is_plain => {
            refuse(StatusCode::CONFLICT, "BucketAlreadyOwnedByYou")
        }
        None if asked.method == Method::PUT && is_plain => {
            buckets.insert(name.to_owned(), Bucket::made(&asked));
            StatusCode::OK.into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, "NoSuchBucket"),
        Some(bucket) if asked.method == Method::DELETE && is_plain => {
            if !bucket.keys().is_empty() || !bucket.uploads.is_empty() {
                return refuse(StatusCode::CONFLICT, "BucketNotEmpty");
            }
            buckets.remove(name);
            StatusCode::NO_CONTENT.into_response()
        }
        Some(bucket) if asked.key.is_empty() => bucket.answer(&asked),
        Some(bucket) => bucket.answer_object(&asked),
    }
}

/// The access key id that signed.
fn account(headers: &HeaderMap) -> String {
    let text = headers
        .get("authorization")
        .map_or("", |v| v.to_str().unwrap());
    let (_, rest) = text.split_once("Credential=").unwrap_or_default();
    rest.split('/').next().unwrap_or_default().to_owned()
}

fn list_buckets(buckets: &BTreeMap<String, Bucket>) -> Response {
    let listed = buckets.iter().map(|(name, bucket)| {
        let at = &bucket.created_at;
        format!("<Bucket><Name>{name}</Name><CreationDate>{at}</CreationDate></Bucket>")
    });
    let listed: String = listed.collect();
    format!("<ListAllMyBucketsResult><Buckets>{listed}</Buckets></ListAllMyBucketsResult>")
        .into_response()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn refuse(status: StatusCode, code: &str) -> Response {
    (
        status,
        format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
    )
        .into_response()
}
