//! An engine that keeps objects in memory and records every request that reaches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

#[derive(Clone, Debug)]
pub struct Seen {
    /// Path and query as they came.
    pub uri: String,
    pub headers: HeaderMap,
    /// `None` when the body broke off.
    pub body: Option<Bytes>,
}

#[derive(Default)]
struct Inner {
    /// Requests whose heads have come.
    begun: watch::Sender<usize>,
    seen: Vec<Seen>,
    /// Of looks at what is replaced or removed: they are beside the script.
    looks: Vec<String>,
    objects: BTreeMap<String, Bytes>,
    /// Answers to give instead, the next first.
    scripted: Vec<(StatusCode, HeaderMap, String)>,
}

#[derive(Clone, Default)]
pub struct Engine(Arc<Mutex<Inner>>);

impl Engine {
    pub async fn start() -> (Engine, String) {
        let engine = Engine::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(handle).with_state(engine.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (engine, url)
    }

    /// What came since the last time that somebody asked. Looks until then are forgotten.
    pub fn take_seen(&self) -> Vec<Seen> {
        let mut inner = self.0.lock().unwrap();
        inner.looks.clear();
        std::mem::take(&mut inner.seen)
    }

    /// The paths at which the node looked on its own.
    pub fn take_looks(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().looks)
    }

    /// Returns when so many requests have come, whole or not.
    pub async fn begun(&self, count: usize) {
        let mut begun = self.0.lock().unwrap().begun.subscribe();
        begun.wait_for(|n| *n >= count).await.unwrap();
    }

    pub fn objects(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    pub fn answer_next(&self, status: StatusCode, body: &str) {
        self.answer_next_with(status, &[], body);
    }

    pub fn answer_next_with(
        &self,
        status: StatusCode,
        headers: &[(&'static str, &str)],
        body: &str,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let answer = (status, headers, body.to_owned());
        self.0.lock().unwrap().scripted.push(answer);
    }
}

async fn handle(State(engine): State<Engine>, request: Request) -> Response {
    let agent = request.headers().get("user-agent");
    if agent.is_some_and(|agent| agent == "vaultaire-usage") {
        return look(&engine, &request);
    }
    engine.0.lock().unwrap().begun.send_modify(|n| *n += 1);
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.ok();
    let uri = head
        .uri
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    let mut inner = engine.0.lock().unwrap();
    inner.seen.push(Seen {
        uri,
        headers: head.headers.clone(),
        body: body.clone(),
    });
    if !inner.scripted.is_empty() {
        return inner.scripted.remove(0).into_response();
    }
    let Some(body) = body else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or("").to_owned();
    let object = path.matches('/').count() >= 2;
    match (head.method, object) {
        (Method::PUT, true) if head.headers.contains_key("x-amz-copy-source") => xml(
            "<CopyObjectResult><ETag>\"e\"</ETag><LastModified>2026-01-01T00:00:00Z</LastModified></CopyObjectResult>",
        ),
        (Method::PUT, true) => {
            inner.objects.insert(path, body);
            (
                [
                    ("etag", "\"e\""),
                    ("server", "Engine/1"),
                    ("x-amz-request-id", "ENGINE"),
                ],
                "",
            )
                .into_response()
        }
        (Method::POST, true) if query.starts_with("uploads") => {
            xml("<R><UploadId>engine-upload</UploadId></R>")
        }
        (Method::POST, true) => {
            xml("<R><ETag>\"e-1\"</ETag><Location>http://engine/secret</Location></R>")
        }
        (Method::DELETE, true) => {
            inner.objects.remove(&path);
            StatusCode::NO_CONTENT.into_response()
        }
        (Method::POST, false) => xml("<DeleteResult></DeleteResult>"),
        (Method::GET, true) if query.contains("uploadId") => {
            xml("<R><IsTruncated>false</IsTruncated></R>")
        }
        (Method::GET | Method::HEAD, true) => match inner.objects.get(&path) {
            Some(bytes) => (
                [("etag", "\"e\""), ("server", "Engine/1")],
                Body::from(bytes.clone()),
            )
                .into_response(),
            None => (
                StatusCode::NOT_FOUND,
                "<Error><Code>NoSuchKey</Code><Message>in engine-bucket</Message></Error>",
            )
                .into_response(),
        },
        (Method::GET, false) => listing(&inner.objects, &path, &query),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn look(engine: &Engine, request: &Request) -> Response {
    assert_eq!(request.method(), Method::HEAD);
    let mut inner = engine.0.lock().unwrap();
    let path = request.uri().path().to_owned();
    inner.looks.push(path.clone());
    match inner.objects.get(&path) {
        Some(bytes) => ([("etag", "\"e\"")], Body::from(bytes.clone())).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Everything under the asked prefix, in one page that claims to be truncated, so that there is a token to seal.
fn listing(objects: &BTreeMap<String, Bytes>, bucket: &str, query: &str) -> Response {
    if query.starts_with("uploads") {
        return xml("<R><IsTruncated>false</IsTruncated></R>");
    }
    let prefix = query
        .split('&')
        .find_map(|p| p.strip_prefix("prefix="))
        .unwrap_or("")
        .replace("%2F", "/");
    let keys: String = objects
        .keys()
        .filter_map(|path| path.strip_prefix(&format!("{bucket}/")))
        .filter(|key| key.starts_with(&prefix))
        .map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size><ETag>e</ETag></Contents>"))
        .collect();
    xml(&format!(
        "<L><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>{keys}<NextContinuationToken>engine-token</NextContinuationToken></L>"
    ))
}

fn xml(text: &str) -> Response {
    ([("content-type", "application/xml")], text.to_owned()).into_response()
}
