//! The plainest S3 client: it signs, sends once, tries nothing again, and tells what was answered from what broke off.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const REGION: &str = "us-east-1";
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A node closes what is idle for twenty seconds.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

#[derive(Debug, Default)]
pub struct Request<'a> {
    pub method: &'a str,
    pub bucket: &'a str,
    /// Empty: the bucket itself.
    pub key: &'a str,
    pub query: Vec<(&'a str, String)>,
    pub headers: Vec<(&'a str, String)>,
    pub body: &'a [u8],
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(its, _)| its == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The text of the first such element of an XML body.
    pub fn element(&self, name: &str) -> Option<String> {
        element(&String::from_utf8_lossy(&self.body), name).map(str::to_owned)
    }

    pub fn code(&self) -> String {
        self.element("Code").unwrap_or_default()
    }

    /// For a message.
    pub fn told(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().take(300).collect();
        format!("{} {text}", self.status)
    }
}

pub fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// No answer, or none to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Nobody was reached.
    Unsent,
    /// It may have been done.
    Sent,
}

/// One connection at a time to one address; kept while it works.
pub struct Connection {
    pub host: String,
    open: Option<(BufReader<TcpStream>, Instant)>,
}

impl Connection {
    pub fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            open: None,
        }
    }

    pub fn ask(
        &mut self,
        key: &Key,
        request: &Request<'_>,
        within: Duration,
    ) -> Result<Answer, Broken> {
        let until = Instant::now() + within;
        let mut stream = self.stream().ok_or(Broken::Unsent)?;
        let head = head(&self.host, key, request, now());
        let mut sent = || {
            stream.get_ref().set_write_timeout(left(until)).ok()?;
            stream.get_mut().write_all(head.as_bytes()).ok()?;
            stream.get_mut().write_all(request.body).ok()
        };
        // Who refuses a request may answer before all of it was sent.
        let _ = sent();
        let answer = receive(&mut stream, request.method == "HEAD", until).ok_or(Broken::Sent)?;
        if answer.header("connection") != Some("close") {
            self.open = Some((stream, Instant::now()));
        }
        Ok(answer)
    }

    fn stream(&mut self) -> Option<BufReader<TcpStream>> {
        if let Some((stream, since)) = self.open.take()
            && since.elapsed() < IDLE
            && is_quiet(stream.get_ref())
        {
            return Some(stream);
        }
        let address = self.host.parse().ok()?;
        let stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(BufReader::new(stream))
    }
}

/// Nothing came unasked, not even the end.
fn is_quiet(stream: &TcpStream) -> bool {
    let quiet = stream.set_nonblocking(true).is_ok()
        && stream
            .peek(&mut [0])
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    quiet && stream.set_nonblocking(false).is_ok()
}

fn left(until: Instant) -> Option<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    Some(left.max(Duration::from_millis(1)))
}

struct Timed<'a> {
    stream: &'a mut BufReader<TcpStream>,
    until: Instant,
}

impl Timed<'_> {
    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        loop {
            self.wait()?;
            let buffer = self.stream.fill_buf().ok()?;
            if buffer.is_empty() {
                return None;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            line.extend_from_slice(&buffer[..used]);
            self.stream.consume(used);
            if end.is_some() {
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut got = 0;
        while got < count {
            self.wait()?;
            match self.stream.read(&mut bytes[got..]).ok()? {
                0 => return None,
                more => got += more,
            }
        }
        Some(bytes)
    }

    fn wait(&self) -> Option<()> {
        if Instant::now() >= self.until {
            return None;
        }
        let stream = self.stream.get_ref();
        stream.set_read_timeout(left(self.until)).ok()
    }
}

fn receive(stream: &mut BufReader<TcpStream>, head_only: bool, until: Instant) -> Option<Answer> {
    let mut timed = Timed { stream, until };
    let first = timed.line()?;
    let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let line = timed.line()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    if head_only || status == 204 || status == 304 {
        return Some(answer);
    }
    if let Some(length) = answer.header("content-length") {
        answer.body = timed.bytes(length.parse().ok()?)?;
        return Some(answer);
    }
    // In pieces, each with its length before it.
    loop {
        let length = usize::from_str_radix(&timed.line()?, 16).ok()?;
        let piece = timed.bytes(length)?;
        timed.line()?;
        if piece.is_empty() {
            return Some(answer);
        }
        answer.body.extend(piece);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client signs with the machine's clock"
)]
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// `YYYYMMDD` and `THHMMSSZ`, by the proleptic Gregorian calendar.
/// Source: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn stamp(since_1970: Duration) -> (String, String) {
    let seconds = since_1970.as_secs();
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    (
        format!("{year:04}{month:02}{day:02}"),
        format!("T{hour:02}{minute:02}{second:02}Z"),
    )
}

fn encode(text: &str, keep_slash: bool) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            b'/' if keep_slash => "/".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The head of a signed request.
fn head(host: &str, key: &Key, request: &Request<'_>, now: Duration) -> String {
    let (day, time) = stamp(now);
    let path = match request.key {
        "" => format!("/{}", request.bucket),
        key => format!("/{}/{}", request.bucket, encode(key, true)),
    };
    let mut query: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
        .collect();
    query.sort();
    let query = query.join("&");
    let payload = hex::encode(Sha256::digest(request.body));
    let mut headers: Vec<(&str, String)> = request.headers.clone();
    headers.push(("host", host.to_owned()));
    headers.push(("x-amz-content-sha256", payload.clone()));
    headers.push(("x-amz-date", format!("{day}{time}")));
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let method = request.method;
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let hashed = hex::encode(Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{day}{time}\n{scope}\n{hashed}");
    let secret = format!("AWS4{}", key.secret).into_bytes();
    let signing = [&day, REGION, "s3", "aws4_request"]
        .into_iter()
        .fold(secret, |key, part| keyed(&key, part));
    let signature = hex::encode(keyed(&signing, &to_sign));
    let separator = if query.is_empty() { "" } else { "?" };
    let sent: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "{method} {path}{separator}{query} HTTP/1.1\r\n{sent}content-length: {}\r\nauthorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}\r\n\r\n",
        request.body.len(),
        key.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_in_amazons_example() {
        // <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>, "GET Object", but in path style and without its range.
        let key = Key {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        };
        // Amazon's example is of the bucket's own host, whose path is that of the object: "examplebucket" is in the host.
        let request = Request {
            method: "GET",
            bucket: "test.txt",
            headers: vec![("range", "bytes=0-9".to_owned())],
            ..Request::default()
        };
        let at = Duration::from_secs(1_369_353_600);
        let head = head("examplebucket.s3.amazonaws.com", &key, &request, at);
        assert!(
            head.contains(
                "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            ),
            "{head}"
        );
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let at = |seconds| stamp(Duration::from_secs(seconds));
        assert_eq!(at(0), ("19700101".to_owned(), "T000000Z".to_owned()));
        assert_eq!(
            at(951_782_399),
            ("20000228".to_owned(), "T235959Z".to_owned())
        );
        assert_eq!(
            at(951_782_400),
            ("20000229".to_owned(), "T000000Z".to_owned())
        );
        assert_eq!(
            at(1_735_689_599),
            ("20241231".to_owned(), "T235959Z".to_owned())
        );
    }
}
