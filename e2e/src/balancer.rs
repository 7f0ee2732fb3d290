//! One address for several nodes, as any balancer of connections is: each new connection goes to a node whose `/readyz`
//! says that it is ready.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::http;

struct Node {
    s3: String,
    health: String,
    sent: AtomicU64,
}

pub struct Balancer {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    nodes: Vec<Node>,
    preferred: AtomicUsize,
}

impl Balancer {
    /// Starts one; it ends with the test's process. `nodes`: S3 address (`host:port`) and `/readyz` URL of each.
    pub fn start(nodes: Vec<(String, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let node = |(s3, health)| Node {
            s3,
            health,
            sent: AtomicU64::new(0),
        };
        let shared = Arc::new(Shared {
            nodes: nodes.into_iter().map(node).collect(),
            preferred: AtomicUsize::new(0),
        });
        let balancing = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let balancing = balancing.clone();
                // A client that finds no node sees its connection close.
                thread::spawn(move || balancing.serve(client));
            }
        });
        Self {
            url: format!("http://{address}"),
            shared,
        }
    }

    /// New connections go to this node for as long as it is ready.
    pub fn prefer(&self, node: usize) {
        self.shared.preferred.store(node, Ordering::Relaxed);
    }

    /// Bytes that went to this node so far.
    pub fn sent(&self, node: usize) -> u64 {
        self.shared.nodes[node].sent.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) {
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.nodes.len();
        let chosen = (0..count).find_map(|next| {
            let node = &self.nodes[(first + next) % count];
            http::get(&node.health).filter(|answer| answer.status == 200)?;
            Some((node, TcpStream::connect(&node.s3).ok()?))
        });
        let Some((node, stream)) = chosen else {
            return;
        };
        let nothing = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| copy(&client, &stream, &node.sent));
            copy(&stream, &client, &nothing);
        });
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, count: &AtomicU64) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
        count.fetch_add(length as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Write);
}
