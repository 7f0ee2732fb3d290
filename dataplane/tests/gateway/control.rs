//! A control plane of a test's own: it lets a node in, sends it what the test says, and keeps what the node answers.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{broadcast, watch};
use wire::{
    Allotment, BUCKETS_PATH, FromNode, JOIN_PATH, Join, Joined, STREAM_PATH, ToNode, WHOLE,
};

#[derive(Clone)]
pub struct Control {
    /// Sent at once to every node that says hello.
    first: Arc<Mutex<Vec<String>>>,
    pushes: broadcast::Sender<String>,
    said: watch::Sender<Vec<FromNode>>,
    cut: broadcast::Sender<()>,
    token: Arc<Mutex<String>>,
}

/// The first word of every stream: all of everybody's limits are this node's, unless it was told otherwise before.
fn whole_share() -> ToNode {
    ToNode::Allotment(Allotment {
        number: 0,
        floor: WHOLE,
        hold_seconds: 600,
        whole: false,
        draining: false,
        tenants: vec![],
    })
}

impl Control {
    pub async fn start(first: Vec<ToNode>) -> (Control, String, tokio::task::JoinHandle<()>) {
        let control = Control {
            first: Arc::new(Mutex::new(first.iter().map(encode).collect())),
            pushes: broadcast::Sender::new(64),
            said: watch::Sender::new(Vec::new()),
            cut: broadcast::Sender::new(8),
            token: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route(JOIN_PATH, post(join))
            .route(STREAM_PATH, get(stream))
            .route(BUCKETS_PATH, post(refuse).patch(refuse).delete(refuse))
            .with_state(control.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (control, url, serving)
    }

    pub fn push(&self, message: &ToNode) {
        self.push_text(encode(message));
    }

    pub fn push_text(&self, text: String) {
        self.pushes.send(text).expect("a node is connected");
    }

    /// What the next node that connects is told first.
    pub fn set_first(&self, first: &[ToNode]) {
        *self.first.lock().unwrap() = first.iter().map(encode).collect();
    }

    /// Breaks every stream.
    pub fn cut(&self) {
        let _ = self.cut.send(());
    }

    /// Waits until a node has said something that `matches`.
    pub async fn heard(&self, matches: impl Fn(&FromNode) -> bool) -> FromNode {
        let mut said = self.said.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = said
                    .borrow_and_update()
                    .iter()
                    .find(|message| matches(message))
                {
                    return found.clone();
                }
                said.changed().await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), waiting)
            .await
            .expect("the node never said it")
    }

    /// Waits until all that nodes have said `matches`.
    pub async fn heard_all(&self, matches: impl Fn(&[FromNode]) -> bool) {
        let mut said = self.said.subscribe();
        let waiting = said.wait_for(|said| matches(said));
        tokio::time::timeout(std::time::Duration::from_secs(10), waiting)
            .await
            .expect("the node never said it")
            .unwrap();
    }

    /// As [`heard`](Self::heard), however long it takes.
    pub async fn heard_at_last(&self, matches: impl Fn(&FromNode) -> bool) -> FromNode {
        let mut said = self.said.subscribe();
        loop {
            let found = said
                .borrow_and_update()
                .iter()
                .find(|m| matches(m))
                .cloned();
            if let Some(found) = found {
                return found;
            }
            said.changed().await.unwrap();
        }
    }

    pub async fn acked(&self, revision: i64) {
        self.heard(|message| *message == FromNode::Ack { revision })
            .await;
    }

    pub fn forget(&self) {
        self.said.send_modify(Vec::clear);
    }

    /// The bearer token of the last stream.
    pub fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }
}

fn encode(message: &ToNode) -> String {
    serde_json::to_string(message).unwrap()
}

async fn join(Json(join): Json<Join>) -> Response {
    if join.join_token == "good" {
        return (
            StatusCode::CREATED,
            Json(Joined {
                node_id: "node-1".into(),
            }),
        )
            .into_response();
    }
    let problem = serde_json::json!({"type": "about:blank", "title": "no", "status": 401, "code": "x", "detail": "a bad token"});
    (StatusCode::UNAUTHORIZED, Json(problem)).into_response()
}

async fn refuse(Json(body): Json<serde_json::Value>) -> Response {
    let name = body["name"].as_str().unwrap_or("").to_owned();
    let problem = serde_json::json!({"title": "no", "status": 409, "code": name, "detail": "as the test says"});
    (StatusCode::CONFLICT, Json(problem)).into_response()
}

async fn stream(
    State(control): State<Control>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let bearer = headers["authorization"]
        .to_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap()
        .to_owned();
    *control.token.lock().unwrap() = bearer;
    upgrade.on_upgrade(|socket| serve(control, socket))
}

async fn serve(control: Control, mut socket: WebSocket) {
    let mut pushes = control.pushes.subscribe();
    let mut cut = control.cut.subscribe();
    loop {
        let text = tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => {
                    let message: FromNode = serde_json::from_str(&text).unwrap();
                    let hello = matches!(message, FromNode::Hello { .. });
                    control.said.send_modify(|said| said.push(message));
                    if hello {
                        let first = control.first.lock().unwrap().clone();
                        for text in std::iter::once(encode(&whole_share())).chain(first) {
                            socket.send(Message::text(text)).await.unwrap();
                        }
                    }
                    continue;
                }
                Some(Ok(_)) => continue,
                _ => return,
            },
            text = pushes.recv() => text.unwrap(),
            _ = cut.recv() => return,
        };
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}
