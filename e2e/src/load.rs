//! Clients that ask for one presigned URL at a steady pace, over connections that they keep, and write down what they got and
//! when. They do not slow down when they are refused.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(20);
/// Connections of one pace: more than one, so that a slow answer does not hold up the next request.
const CONNECTIONS: u32 = 2;

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub sent: Instant,
    pub answered: Instant,
    pub status: u16,
    /// Of the body.
    pub bytes: usize,
}

pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Asked>>>,
}

impl Load {
    /// Begins to ask for `url` so many times a second.
    pub fn start(url: &str, a_second: f64) -> Self {
        let pace = Duration::from_secs_f64(f64::from(CONNECTIONS) / a_second);
        Self::clients(url, CONNECTIONS, pace)
    }

    /// Begins to ask for `url` on so many connections, again as soon as it was answered.
    pub fn eager(url: &str, connections: u32) -> Self {
        Self::clients(url, connections, Duration::ZERO)
    }

    fn clients(url: &str, connections: u32, pace: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let clients = (0..connections)
            .map(|n| {
                let (url, stop) = (url.to_owned(), stop.clone());
                let first = begun + pace * n / connections;
                std::thread::spawn(move || ask(&url, first, pace, &stop))
            })
            .collect();
        Self { stop, clients }
    }

    /// Ends it, and gives all that was asked, in no order.
    pub fn stop(self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let done = self.clients.into_iter();
        done.flat_map(|client| client.join().expect("a client does not fail"))
            .collect()
    }
}

fn ask(url: &str, first: Instant, pace: Duration, stop: &AtomicBool) -> Vec<Asked> {
    let rest = url.strip_prefix("http://").expect("it is plain HTTP");
    let (host, path) = rest.split_once('/').expect("it has a path");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut connection = connect(host);
    let mut asked = Vec::new();
    let mut next = first;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += pace;
        let sent = Instant::now();
        match exchange(&mut connection, &request, stop) {
            Some((status, bytes)) => asked.push(Asked {
                sent,
                answered: Instant::now(),
                status,
                bytes,
            }),
            None => {
                asked.push(Asked {
                    sent,
                    answered: Instant::now(),
                    status: 0,
                    bytes: 0,
                });
                connection = connect(host);
            }
        }
    }
    asked
}

fn connect(host: &str) -> Option<BufReader<TcpStream>> {
    let stream = TcpStream::connect(host).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(WITHIN)).ok()?;
    Some(BufReader::new(stream))
}

/// Status and length of the answer. A long body is read as far as the end is not asked for.
fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
    request: &str,
    stop: &AtomicBool,
) -> Option<(u16, usize)> {
    let connection = connection.as_mut()?;
    connection.get_mut().write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    connection.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
    }
    let mut buffer = [0; 64 * 1024];
    let mut got = 0;
    while got < length && !(stop.load(Ordering::Relaxed) && length > 1 << 20) {
        let most = buffer.len().min(length - got);
        match connection.read(&mut buffer[..most]).ok()? {
            0 => return None,
            more => got += more,
        }
    }
    Some((status, got))
}

/// How many of them succeeded, asked and answered between these two moments.
pub fn admitted(asked: &[Asked], from: Instant, to: Instant) -> usize {
    asked
        .iter()
        .filter(|asked| asked.status == 200 && asked.sent >= from && asked.answered <= to)
        .count()
}

/// How many were sent between these two moments.
pub fn offered(asked: &[Asked], from: Instant, to: Instant) -> usize {
    asked
        .iter()
        .filter(|asked| asked.sent >= from && asked.sent < to)
        .count()
}

/// The most that succeeded in any such stretch of time, asked and answered in it.
pub fn most_within(asked: &[Asked], stretch: Duration) -> usize {
    let mut good: Vec<&Asked> = asked.iter().filter(|asked| asked.status == 200).collect();
    good.sort_by_key(|asked| asked.sent);
    let within = |n: usize| {
        let end = good[n].sent + stretch;
        good[n..]
            .iter()
            .take_while(|asked| asked.sent < end)
            .filter(|asked| asked.answered <= end)
            .count()
    };
    (0..good.len()).map(within).max().unwrap_or(0)
}
