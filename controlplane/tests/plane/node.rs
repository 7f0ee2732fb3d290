//! A node, as the control plane sees it: its key, and its stream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::{FromNode, NodeClaims, ToNode};

use super::{PATIENCE, in_time};

pub struct Node {
    pub id: String,
    pub key: SigningKey,
}

impl Node {
    pub fn join_body(&self, join_token: &str) -> Value {
        json!({
            "join_token": join_token,
            "public_key": STANDARD.encode(self.key.verifying_key().as_bytes()),
            "s3_address": "127.0.0.1:9000",
        })
    }

    /// A good node token for that time.
    pub fn token(&self, now: DateTime<Utc>) -> String {
        self.sign(&NodeClaims {
            sub: self.id.clone(),
            aud: wire::NODE_AUDIENCE.to_owned(),
            iat: now.timestamp(),
            exp: now.timestamp() + 300,
        })
    }

    pub fn sign(&self, claims: &NodeClaims) -> String {
        let der = self.key.to_pkcs8_der().unwrap();
        let key = EncodingKey::from_ed_der(der.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).unwrap()
    }
}

pub fn hello(revision: i64) -> FromNode {
    FromNode::Hello {
        protocol: wire::PROTOCOL_VERSION,
        version: "0.1.0".to_owned(),
        s3_address: "127.0.0.1:9000".to_owned(),
        boot_id: "boot".to_owned(),
        revision,
        epoch: String::new(),
        whole: true,
        at: None,
    }
}

pub struct Stream(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Stream {
    pub async fn open(
        address: &str,
        token: &str,
    ) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let url = format!("ws://{address}{}", wire::STREAM_PATH);
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self(socket))
    }

    pub async fn say(&mut self, message: &FromNode) {
        let text = serde_json::to_string(message).unwrap();
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    pub async fn ack(&mut self, revision: i64) {
        self.say(&FromNode::Ack { revision }).await;
    }

    /// The next message, heartbeats included; `None` when the control plane has closed the stream.
    pub async fn hear_any(&mut self) -> Option<ToNode> {
        let message = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Some(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, message)
            .await
            .expect("the control plane says nothing")
    }

    /// The next message that is neither a heartbeat nor about shares.
    pub async fn hear(&mut self) -> ToNode {
        let message = async {
            loop {
                match self.hear_any().await.expect("the stream is closed") {
                    ToNode::Heartbeat { .. } | ToNode::Allotment(_) => {}
                    other => return other,
                }
            }
        };
        in_time(message).await
    }

    /// The next message that is no word of shares, heartbeats included.
    pub async fn hear_beat(&mut self) -> Option<ToNode> {
        let message = async {
            loop {
                match self.hear_any().await {
                    Some(ToNode::Allotment(_)) => {}
                    other => return other,
                }
            }
        };
        in_time(message).await
    }

    pub async fn snapshot(&mut self) -> wire::Snapshot {
        match self.hear().await {
            ToNode::SnapshotBegin(begin) => self.rest(begin).await,
            other => panic!("no snapshot but {other:?}"),
        }
    }

    /// The pages of a snapshot that has begun, up to its end.
    pub async fn rest(&mut self, begin: wire::SnapshotBegin) -> wire::Snapshot {
        let mut tenants = Vec::new();
        loop {
            match self.hear().await {
                ToNode::SnapshotPage {
                    revision,
                    tenants: page,
                } => {
                    assert_eq!(revision, begin.revision);
                    tenants.extend(page);
                }
                ToNode::SnapshotEnd { revision } => {
                    assert_eq!(revision, begin.revision);
                    assert_eq!(tenants.len() as u64, begin.tenants);
                    break;
                }
                other => panic!("{other:?} in the middle of a snapshot"),
            }
        }
        wire::Snapshot {
            revision: begin.revision,
            settings: begin.settings,
            tenants,
        }
    }

    pub async fn tenant(&mut self) -> wire::TenantDocument {
        match self.hear().await {
            ToNode::Tenant(document) => document,
            other => panic!("no tenant document but {other:?}"),
        }
    }

    /// Acknowledges everything from now on, and hands the messages on.
    pub fn obey(mut self) -> tokio::sync::mpsc::UnboundedReceiver<ToNode> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = self.hear_any().await {
                let revision = match &message {
                    ToNode::SnapshotEnd { revision } | ToNode::Refresh { revision, .. } => {
                        *revision
                    }
                    ToNode::Tenant(document) => document.revision,
                    ToNode::Settings(settings) => settings.revision,
                    _ => continue,
                };
                self.ack(revision).await;
                let _ = sender.send(message);
            }
        });
        receiver
    }
}
