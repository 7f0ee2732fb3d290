//! An S3 engine in this process: buckets, keys and unfinished uploads, as far as the control plane asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

#[derive(Clone, Default)]
pub struct Engine(Arc<Inner>);

#[derive(Default)]
struct Inner {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    broken: AtomicBool,
}

#[derive(Default, Clone)]
pub struct Bucket {
    pub keys: BTreeSet<String>,
    pub uploads: BTreeSet<String>,
}

impl Engine {
    pub async fn start() -> (Self, String) {
        let engine = Self::default();
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

    /// Those of tenants, without the probe's.
    pub fn buckets(&self) -> Vec<String> {
        let buckets = self.0.buckets.lock().unwrap();
        let names = buckets
            .keys()
            .filter(|name| !name.starts_with("vaultaire-probe-"));
        names.cloned().collect()
    }

    pub fn bucket(&self, name: &str) -> Option<Bucket> {
        self.0.buckets.lock().unwrap().get(name).cloned()
    }

    pub fn change(&self, name: &str, change: impl FnOnce(&mut Bucket)) {
        change(self.0.buckets.lock().unwrap().get_mut(name).unwrap());
    }
}

async fn answer(State(engine): State<Engine>, request: Request) -> Response {
    if engine.0.broken.load(Ordering::SeqCst) {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    }
    let path = percent_decode_str(&request.uri().path()[1..])
        .decode_utf8()
        .unwrap()
        .into_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (name, key) = path.split_once('/').unwrap_or((&path, ""));
    let mut buckets = engine.0.buckets.lock().unwrap();
    let method = request.method();
    if key.is_empty() && method == Method::PUT {
        if buckets.contains_key(name) {
            return refuse(StatusCode::CONFLICT, "BucketAlreadyOwnedByYou");
        }
        buckets.insert(name.to_owned(), Bucket::default());
        return StatusCode::OK.into_response();
    }
    let Some(bucket) = buckets.get_mut(name) else {
        return refuse(StatusCode::NOT_FOUND, "NoSuchBucket");
    };
    match (method.clone(), key) {
        (Method::GET, "") if query.contains("uploads") => list_uploads(bucket, &prefix(&query)),
        (Method::GET, "") => list_keys(bucket, &prefix(&query)),
        (Method::DELETE, "") if bucket.keys.is_empty() && bucket.uploads.is_empty() => {
            buckets.remove(name);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::DELETE, "") => refuse(StatusCode::CONFLICT, "BucketNotEmpty"),
        (Method::PUT, key) => {
            bucket.keys.insert(key.to_owned());
            StatusCode::OK.into_response()
        }
        (Method::HEAD, key) if bucket.keys.contains(key) => StatusCode::OK.into_response(),
        (Method::DELETE, key) if query.contains("uploadId") => {
            bucket.uploads.remove(key);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::DELETE, key) => {
            bucket.keys.remove(key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => refuse(StatusCode::NOT_FOUND, "NoSuchKey"),
    }
}

fn prefix(query: &str) -> String {
    let raw = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("prefix="))
        .unwrap_or_default();
    percent_decode_str(raw).decode_utf8().unwrap().into_owned()
}

fn list_keys(bucket: &Bucket, prefix: &str) -> Response {
    let keys = bucket.keys.iter().filter(|k| k.starts_with(prefix));
    let contents: String = keys
        .map(|k| format!("<Contents><Key>{k}</Key></Contents>"))
        .collect();
    format!("<ListBucketResult>{contents}<IsTruncated>false</IsTruncated></ListBucketResult>")
        .into_response()
}

fn list_uploads(bucket: &Bucket, prefix: &str) -> Response {
    let keys = bucket.uploads.iter().filter(|k| k.starts_with(prefix));
    let uploads: String = keys
        .map(|k| format!("<Upload><Key>{k}</Key><UploadId>u</UploadId></Upload>"))
        .collect();
    format!("<ListMultipartUploadsResult>{uploads}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
        .into_response()
}

fn refuse(status: StatusCode, code: &str) -> Response {
    (
        status,
        format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
    )
        .into_response()
}
