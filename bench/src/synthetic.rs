//! An S3 engine that costs next to nothing: it answers from memory, verifies nothing, and forgets it all at its end.
//! It knows just what the benchmark and the control plane's probe ask for; with it the proxy is the bottleneck.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

use crate::workload::{LARGE, LISTED, listed_key};

const ETAG: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";
const MODIFIED: &str = "Mon, 02 Jan 2006 15:04:05 GMT";
/// Larger objects are remembered by their size alone.
const KEPT: usize = 64 * 1024;

/// What is kept of an object: its bytes, or how many they were.
#[derive(Clone)]
enum Object {
    Kept(Bytes),
    Counted(usize),
}

struct Store {
    objects: BTreeMap<(String, String), Object>,
    zeros: Bytes,
}

/// Serves on this address until the process is ended.
pub async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let store = Rc::new(RefCell::new(Store {
        objects: BTreeMap::new(),
        zeros: Bytes::from(vec![0; LARGE]),
    }));
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let store = store.clone();
                tokio::task::spawn_local(async move {
                    let service = service_fn(|request| answer(&store, request));
                    // A client that went away is no matter of ours.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        })
        .await
}

async fn answer(
    store: &RefCell<Store>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let decoded = percent_decode_str(head.uri.path())
        .decode_utf8_lossy()
        .into_owned();
    let path = decoded.strip_prefix('/').unwrap_or(&decoded);
    let query = head.uri.query().unwrap_or("");
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let at = (bucket.to_owned(), key.to_owned());
    let object = !key.is_empty();
    Ok(match head.method {
        Method::PUT if object => {
            let mut kept = Vec::new();
            let mut length = 0;
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame?.into_data() else {
                    continue;
                };
                length += data.len();
                if length <= KEPT {
                    kept.extend_from_slice(&data);
                }
            }
            let mut store = store.borrow_mut();
            if refused(&head.headers, store.objects.contains_key(&at)) {
                return Ok(plain(StatusCode::PRECONDITION_FAILED));
            }
            let object = if length <= KEPT {
                Object::Kept(kept.into())
            } else {
                Object::Counted(length)
            };
            store.objects.insert(at, object);
            described(Bytes::new())
        }
        Method::GET | Method::HEAD if object => match found(&store.borrow(), &at) {
            Some(bytes) => described(bytes),
            None => plain(StatusCode::NOT_FOUND),
        },
        Method::DELETE => {
            store.borrow_mut().objects.remove(&at);
            plain(StatusCode::NO_CONTENT)
        }
        Method::GET if query.contains("list-type=2") => list(&store.borrow(), bucket, query),
        Method::GET | Method::HEAD | Method::PUT => plain(StatusCode::OK),
        _ => plain(StatusCode::NOT_IMPLEMENTED),
    })
}

fn refused(headers: &HeaderMap, exists: bool) -> bool {
    headers.contains_key("if-match") || (headers.contains_key("if-none-match") && exists)
}

fn found(store: &Store, at: &(String, String)) -> Option<Bytes> {
    Some(match store.objects.get(at)? {
        Object::Kept(bytes) => bytes.clone(),
        Object::Counted(length) => store.zeros.slice(..(*length).min(LARGE)),
    })
}

/// The list that the benchmark asks for stands whole; any other is the bucket's objects.
fn list(store: &Store, bucket: &str, query: &str) -> Response<Full<Bytes>> {
    let keys: Vec<String> = if query.contains("prefix=list") {
        (0..LISTED).map(listed_key).collect()
    } else {
        let of_bucket = |(at, _): (&(String, String), _)| (at.0 == bucket).then(|| at.1.clone());
        store.objects.iter().filter_map(of_bucket).collect()
    };
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name><Prefix></Prefix>\
         <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><KeyCount>{}</KeyCount>",
        keys.len()
    );
    let encode = query.contains("encoding-type=url");
    if encode {
        out.push_str("<EncodingType>url</EncodingType>");
    }
    for key in keys {
        let key = if encode {
            sigv4::uri_encode(key.as_bytes(), false).into_owned()
        } else {
            key
        };
        out.push_str(&format!(
            "<Contents><Key>{key}</Key><LastModified>2006-01-02T15:04:05.000Z</LastModified>\
             <ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>0</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>"
        ));
    }
    out.push_str("</ListBucketResult>");
    let mut response = Response::new(Full::new(out.into()));
    response.headers_mut().insert(
        "content-type",
        http::HeaderValue::from_static("application/xml"),
    );
    response
}

fn described(bytes: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(bytes));
    let headers = response.headers_mut();
    for (name, value) in [
        ("etag", ETAG),
        ("last-modified", MODIFIED),
        ("accept-ranges", "bytes"),
        ("content-type", "application/octet-stream"),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    response
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
