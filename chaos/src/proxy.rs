//! Proxies that stand in the connections and do to them what networks and engines do. They read nothing of what they
//! carry, but for the beginnings of requests to the engine where a fault answers in its place.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::plan::{Answer, Harm};

/// After this nobody waits any more for a connection that is half open.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1200);
const PIECE: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    Harm(Harm),
    Answer(Answer),
}

/// The thread that all proxies run on. Dropping it ends them.
pub struct Proxies {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One that stands before one port of this machine's.
pub struct Proxy {
    pub port: u16,
    mode: watch::Sender<Mode>,
}

impl Proxies {
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // An error: the sender is gone, and that is the end as well.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// One before this port.
    pub fn before(&self, target: u16) -> io::Result<Proxy> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (mode, modes) = watch::channel(Mode::Pass);
        self.handle.spawn(listen(listener, target, modes));
        Ok(Proxy { port, mode })
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Proxy {
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

async fn listen(listener: std::net::TcpListener, target: u16, modes: watch::Receiver<Mode>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let asked = Arc::new(AtomicU64::new(0));
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(carry(client, target, modes.clone(), asked.clone()));
            }
            // No file descriptor is free for the moment.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

fn reset(stream: &TcpStream) {
    // Where it cannot be reset it is closed, and that is as good.
    let _ = stream.set_zero_linger();
}

/// What both directions of one connection share.
struct Carried {
    client: Mutex<OwnedWriteHalf>,
    server: Mutex<OwnedWriteHalf>,
    /// The answer that comes is not to be believed.
    lie: AtomicBool,
    /// Requests so far, over all connections of the proxy.
    asked: Arc<AtomicU64>,
}

#[derive(PartialEq)]
enum End {
    /// One side has said all that it had to say.
    Said,
    Broken,
}

async fn carry(
    client: TcpStream,
    target: u16,
    mut modes: watch::Receiver<Mode>,
    asked: Arc<AtomicU64>,
) {
    let stalled = |mode: &Mode| *mode == Mode::Harm(Harm::Stall);
    if modes.wait_for(|mode| !stalled(mode)).await.is_err() {
        return;
    }
    let is_cut = *modes.borrow() == Mode::Harm(Harm::Cut);
    let server = match is_cut {
        false => TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await,
        true => Err(io::ErrorKind::ConnectionReset.into()),
    };
    let Ok(server) = server else {
        return reset(&client);
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let carried = Carried {
        client: Mutex::new(to_client),
        server: Mutex::new(to_server),
        lie: AtomicBool::new(false),
        asked,
    };
    let up = up(&carried, from_client, modes.clone());
    let down = down(&carried, from_server, modes);
    tokio::pin!(up, down);
    let broken = tokio::select! {
        end = &mut up => end == End::Broken || down.await == End::Broken,
        end = &mut down => end == End::Broken || up.await == End::Broken,
    };
    if broken {
        for half in [&carried.client, &carried.server] {
            if let Ok(half) = half.try_lock() {
                reset((*half).as_ref());
            }
        }
    }
}

/// What is in force for a connection: one that was made while others were made half open is whole.
struct InForce {
    modes: watch::Receiver<Mode>,
    mode: Mode,
}

impl InForce {
    fn new(mut modes: watch::Receiver<Mode>) -> Self {
        let mode = *modes.borrow_and_update();
        let mode = match mode {
            Mode::Harm(Harm::HalfOpen) => Mode::Pass,
            mode => mode,
        };
        Self { modes, mode }
    }

    /// Reads a piece, when the connection lets it through. `None`: it is over.
    async fn read(
        &mut self,
        from: &mut OwnedReadHalf,
        buffer: &mut [u8],
    ) -> Option<io::Result<usize>> {
        loop {
            let open = !matches!(
                self.mode,
                Mode::Harm(Harm::Cut | Harm::HalfOpen | Harm::Stall)
            );
            tokio::select! {
                biased;
                changed = self.modes.changed() => {
                    changed.ok()?;
                    self.mode = *self.modes.borrow_and_update();
                    match self.mode {
                        Mode::Harm(Harm::Cut) => return None,
                        Mode::Harm(Harm::HalfOpen) => {
                            let cut = |mode: &Mode| *mode == Mode::Harm(Harm::Cut);
                            let _ = timeout(FORGOTTEN_AFTER, self.modes.wait_for(cut)).await;
                            return None;
                        }
                        _ => {}
                    }
                }
                read = from.read(buffer), if open => return Some(read),
            }
        }
    }

    /// How much is read at once.
    fn piece(&self) -> usize {
        match self.mode {
            Mode::Harm(Harm::Slow(rate)) => {
                usize::try_from(rate / 10).map_or(PIECE, |at_once| at_once.clamp(1, PIECE))
            }
            _ => PIECE,
        }
    }

    async fn linger(&self, bytes: usize) {
        match self.mode {
            Mode::Harm(Harm::Slow(rate)) => {
                sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
            }
            Mode::Harm(Harm::Delay(millis)) => sleep(Duration::from_millis(millis)).await,
            _ => {}
        }
    }
}

/// From whoever asks to whoever answers.
async fn up(carried: &Carried, mut from: OwnedReadHalf, modes: watch::Receiver<Mode>) -> End {
    let mut force = InForce::new(modes);
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = force.piece();
        let read = match force.read(&mut from, &mut buffer[..piece]).await {
            Some(Ok(0)) => {
                let _ = carried.server.lock().await.shutdown().await;
                return End::Said;
            }
            Some(Ok(read)) => read,
            Some(Err(_)) | None => return End::Broken,
        };
        let piece = &buffer[..read];
        if let Mode::Answer(answer) = force.mode
            && begins_request(piece)
            && carried
                .asked
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(2)
        {
            match answer {
                Answer::Refused(status) => return speak(carried, &mut from, &error(status)).await,
                Answer::Garbage => {
                    return speak(carried, &mut from, b"\x16\x03\x01 no HTTP at all\r\n\0\0").await;
                }
                Answer::Lied => carried.lie.store(true, Ordering::Relaxed),
                Answer::Late(millis) => sleep(Duration::from_millis(millis)).await,
            }
        }
        force.linger(read).await;
        if carried.server.lock().await.write_all(piece).await.is_err() {
            return End::Broken;
        }
    }
}

/// From whoever answers to whoever asked.
async fn down(carried: &Carried, mut from: OwnedReadHalf, modes: watch::Receiver<Mode>) -> End {
    let mut force = InForce::new(modes);
    let mut buffer = vec![0; PIECE];
    let mut gone = 0;
    loop {
        let piece = force.piece();
        let mut read = match force.read(&mut from, &mut buffer[..piece]).await {
            Some(Ok(0)) => {
                let _ = carried.client.lock().await.shutdown().await;
                return End::Said;
            }
            Some(Ok(read)) => read,
            Some(Err(_)) | None => return End::Broken,
        };
        if carried.lie.load(Ordering::Relaxed) {
            let _ = carried.client.lock().await.write_all(&error(500)).await;
            let _ = carried.client.lock().await.shutdown().await;
            return End::Broken;
        }
        let mut is_last = false;
        if let Mode::Harm(Harm::Reset(after)) = force.mode {
            let left = usize::try_from(after.saturating_sub(gone)).unwrap_or(read);
            is_last = left <= read;
            read = read.min(left);
        }
        gone += read as u64;
        force.linger(read).await;
        let mut client = carried.client.lock().await;
        if client.write_all(&buffer[..read]).await.is_err() {
            return End::Broken;
        }
        if is_last {
            // What was sent before the reset should arrive: the rest of the answer is what is missing.
            sleep(Duration::from_millis(20)).await;
            return End::Broken;
        }
    }
}

fn begins_request(piece: &[u8]) -> bool {
    let methods: [&[u8]; 5] = [b"GET /", b"PUT /", b"POST /", b"HEAD /", b"DELETE /"];
    methods.iter().any(|method| piece.starts_with(method))
}

fn error(status: u16) -> Vec<u8> {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalError</Code><Message>We encountered an internal error, please try again.</Message></Error>";
    format!(
        "HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Answers in the engine's place. The rest of the request is read for a moment, so that the answer is not lost in a reset.
async fn speak(carried: &Carried, from: &mut OwnedReadHalf, answer: &[u8]) -> End {
    let mut client = carried.client.lock().await;
    let _ = client.write_all(answer).await;
    let _ = client.shutdown().await;
    drop(client);
    let mut rest = [0; 4096];
    let drained = async { while from.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
    let _ = timeout(Duration::from_millis(500), drained).await;
    End::Broken
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;

    use super::*;

    /// Says everything back.
    fn echo() -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut other = client.try_clone().unwrap();
                    let _ = io::copy(&mut client, &mut other);
                });
            }
        });
        port
    }

    fn open(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        let patience = Some(Duration::from_millis(300));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    fn says_back(mut stream: &TcpStream, text: &[u8]) -> io::Result<bool> {
        stream.write_all(text)?;
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard)?;
        Ok(heard == text)
    }

    #[test]
    fn what_is_cut_is_reset_and_what_is_mended_works() {
        let proxies = Proxies::start().unwrap();
        let proxy = proxies.before(echo()).unwrap();
        let old = open(&proxy);
        assert!(says_back(&old, b"a").unwrap());
        proxy.set(Mode::Harm(Harm::Cut));
        assert!(says_back(&old, b"b").is_err());
        assert!(says_back(&open(&proxy), b"c").is_err());
        proxy.set(Mode::Pass);
        assert!(says_back(&open(&proxy), b"d").unwrap());
    }

    #[test]
    fn what_is_half_open_stays_so_and_what_is_new_works() {
        let proxies = Proxies::start().unwrap();
        let proxy = proxies.before(echo()).unwrap();
        let old = open(&proxy);
        assert!(says_back(&old, b"a").unwrap());
        proxy.set(Mode::Harm(Harm::HalfOpen));
        assert!(says_back(&old, b"b").is_err());
        assert!(says_back(&open(&proxy), b"c").unwrap());
        proxy.set(Mode::Pass);
        assert!(says_back(&old, b"d").is_err());
    }

    #[test]
    fn what_is_stalled_goes_on_where_it_was() {
        let proxies = Proxies::start().unwrap();
        let proxy = proxies.before(echo()).unwrap();
        let mut old = open(&proxy);
        assert!(says_back(&old, b"a").unwrap());
        proxy.set(Mode::Harm(Harm::Stall));
        assert!(says_back(&old, b"late").is_err());
        proxy.set(Mode::Pass);
        let mut heard = [0; 4];
        old.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"late");
    }

    #[test]
    fn an_answer_breaks_off_after_so_many_bytes() {
        let proxies = Proxies::start().unwrap();
        let proxy = proxies.before(echo()).unwrap();
        proxy.set(Mode::Harm(Harm::Reset(3)));
        let mut stream = open(&proxy);
        stream.write_all(b"abcdef").unwrap();
        let mut heard = Vec::new();
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte) {
            heard.push(byte[0]);
        }
        assert_eq!(heard, b"abc");
    }

    #[test]
    fn every_other_request_is_answered_in_the_engines_place() {
        let proxies = Proxies::start().unwrap();
        let proxy = proxies.before(echo()).unwrap();
        let ask = || {
            let mut stream = open(&proxy);
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let mut heard = [0; 12];
            stream.read_exact(&mut heard).unwrap();
            String::from_utf8_lossy(&heard).into_owned()
        };
        proxy.set(Mode::Answer(Answer::Refused(503)));
        assert_eq!([ask(), ask()], ["HTTP/1.1 503", "GET / HTTP/1"]);
        proxy.set(Mode::Answer(Answer::Lied));
        assert_eq!([ask(), ask()], ["HTTP/1.1 500", "GET / HTTP/1"]);
    }
}
