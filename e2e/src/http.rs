//! The simplest of HTTP requests, for health pages, presigned URLs and stand-ins on this machine: a connection for each.
//! What does not answer at once is no answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(10);

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = named.filter(|(its, _)| its.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }
}

/// `http://HOST:PORT/…` by GET; `None` when nothing answers.
pub fn get(url: &str) -> Option<Answer> {
    ask("GET", url, "")
}

/// `headers` are whole lines, each ended by CRLF.
pub fn ask(method: &str, url: &str, headers: &str) -> Option<Answer> {
    send(method, url, headers, "")
}

pub fn post_json(url: &str, body: &str) -> Option<Answer> {
    send("POST", url, "Content-Type: application/json\r\n", body)
}

/// As [`ask`], with a body.
pub fn send(method: &str, url: &str, headers: &str, body: &str) -> Option<Answer> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(WITHIN)).ok()?;
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
