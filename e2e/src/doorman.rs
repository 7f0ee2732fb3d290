//! Stands before an engine and notes by which access keys it is asked, as an engine's own log would. It changes nothing.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

const BEFORE_KEY: &[u8] = b"Credential=";
const LONGEST_KEY: usize = 128;

pub struct Doorman {
    /// Where to go instead of to the engine.
    pub endpoint: String,
    /// By access key id: how many requests.
    seen: Arc<Mutex<HashMap<String, u64>>>,
}

impl Doorman {
    /// Before the engine at `http://HOST:PORT`. It ends with the test's process.
    pub fn start(engine: &str) -> Self {
        let engine = engine.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let seen: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
        let doorman = Self {
            endpoint: format!("http://{address}"),
            seen: seen.clone(),
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(&engine) {
                    pass(client, server, &seen);
                }
            }
        });
        doorman
    }

    /// Requests by this key since the last time that somebody asked about it.
    pub fn take(&self, access_key_id: &str) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remove(access_key_id).unwrap_or(0)
    }
}

fn pass(client: TcpStream, server: TcpStream, seen: &Arc<Mutex<HashMap<String, u64>>>) {
    let (Ok(from_client), Ok(to_client)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let seen = seen.clone();
    thread::spawn(move || {
        let mut tail = Vec::new();
        copy(from_client, server, |bytes| {
            tail.extend_from_slice(bytes);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            for key in keys(&mut tail) {
                *seen.entry(key).or_default() += 1;
            }
        });
    });
    thread::spawn(move || copy(to_client, client, |_| {}));
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        look(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
}

/// Whole ones, which are taken out with all that stands before them; what may be the beginning of one stays.
fn keys(tail: &mut Vec<u8>) -> Vec<String> {
    let mut found = Vec::new();
    let mut read = 0;
    while let Some(at) = find(&tail[read..], BEFORE_KEY) {
        let begin = read + at + BEFORE_KEY.len();
        let Some(end) = tail[begin..].iter().position(|byte| *byte == b'/') else {
            tail.drain(..read + at);
            return found;
        };
        found.push(String::from_utf8_lossy(&tail[begin..begin + end]).into_owned());
        read = begin + end;
    }
    let keep = (BEFORE_KEY.len() + LONGEST_KEY).min(tail.len() - read);
    tail.drain(..tail.len() - keep);
    found
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_seen_once_however_the_bytes_come() {
        let text = b"GET / HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 Credential=ONE/x, y\r\n\r\nPUT Credential=TWO/";
        for size in 1..text.len() {
            let (mut tail, mut found) = (Vec::new(), Vec::new());
            for part in text.chunks(size) {
                tail.extend_from_slice(part);
                found.extend(keys(&mut tail));
            }
            assert_eq!(found, ["ONE", "TWO"], "in pieces of {size}");
        }
    }
}
