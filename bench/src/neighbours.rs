//! Two tenants on one node: what one of them notices when the other asks for ten times its limit. Rounds with and without
//! take turns; who floods is a process of its own, as cheap as it can be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::load::{self, Sample};
use crate::stack::{self, Programs};
use crate::target::{Credentials, Hashes, Target, now};
use crate::workload::{Asked, Bodies, Operation};

/// Requests a second.
const LIMIT: u32 = 100;
const TIMES: u32 = 10;
const STEADY: u32 = 300;
const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_secs(4);
/// The flood's connections; each sends a few requests at once, this often.
const CONNECTIONS: u32 = 2;
const BEAT: Duration = Duration::from_millis(10);

/// The rounds of the steady tenant.
pub struct Results {
    pub alone: Vec<Sample>,
    pub beside: Vec<Sample>,
    /// What the flooding tenant got, and what it was refused, in all.
    pub admitted: u64,
    pub refused: u64,
}

pub async fn run(programs: &Programs, folder: &Path) -> anyhow::Result<Results> {
    let bodies = Bodies::new();
    let mut hashes = Hashes::default();
    let (engine, direct) = stack::synthetic(folder).await?;
    let vaultaire = stack::vaultaire(programs, folder, Some(&direct)).await?;
    let quiet = vaultaire.target.clone();
    let flooding = Target {
        credentials: stack::tenant(programs, &vaultaire.data, "flood", LIMIT).await?,
        ..quiet.clone()
    };
    crate::run::prepare(&quiet, &bodies, &mut hashes).await?;
    let bucket = Asked {
        method: http::Method::PUT,
        key: String::new(),
        query: Vec::new(),
        body: bytes::Bytes::new(),
        hashed: true,
        answer: None,
    };
    let object = Operation::Put.requests(&bodies).swap_remove(0);
    let first = [&bucket, &object].map(|asked| flooding.sign(asked, &mut hashes, now()));
    let first: Vec<_> = first.into_iter().collect::<Result<_, _>>()?;
    load::each(&flooding, &first).await?;
    let asked = Operation::Get.requests(&bodies);
    let mut results = Results {
        alone: Vec::new(),
        beside: Vec::new(),
        admitted: 0,
        refused: 0,
    };
    for round in 0..2 * ROUNDS {
        let requests: anyhow::Result<Vec<_>> = asked
            .iter()
            .map(|asked| quiet.sign(asked, &mut hashes, now()))
            .collect();
        let requests = Rc::new(requests?);
        // Of each pair either comes first.
        let noisy = round % 4 == 1 || round % 4 == 2;
        let flood = noisy.then(|| Flood::start(&flooding)).transpose()?;
        // The burst is used up, and connections are warm.
        load::steady(&quiet, requests.clone(), STEADY, Duration::from_secs(1)).await?;
        let sample = load::steady(&quiet, requests, STEADY, ROUND).await?;
        match flood {
            Some(flood) => {
                let (admitted, refused) = flood.stop().await?;
                results.admitted += admitted;
                results.refused += refused;
                results.beside.push(sample);
            }
            None => results.alone.push(sample),
        }
    }
    drop((vaultaire.running, engine));
    Ok(results)
}

struct Flood(tokio::process::Child);

impl Flood {
    fn start(target: &Target) -> anyhow::Result<Self> {
        let Credentials {
            access_key_id,
            secret_access_key,
        } = &target.credentials;
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command
            .args(["flood", &target.address.to_string(), access_key_id])
            .env("FLOOD_SECRET", secret_access_key)
            .stdout(std::process::Stdio::piped())
            .stdin(std::process::Stdio::piped())
            .kill_on_drop(true);
        Ok(Flood(
            command.spawn().context("the flood cannot be started")?,
        ))
    }

    async fn stop(self) -> anyhow::Result<(u64, u64)> {
        // Its standard input closes with this.
        let said = self.0.wait_with_output().await?;
        let said = String::from_utf8(said.stdout)?;
        let (admitted, refused) = said.trim().split_once(' ').context("the flood failed")?;
        Ok((admitted.parse()?, refused.parse()?))
    }
}

/// The process that floods until its standard input ends; says what it got and what it was refused.
pub fn flood(address: SocketAddr, access_key_id: &str) -> anyhow::Result<()> {
    let target = Target {
        address,
        credentials: Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: std::env::var("FLOOD_SECRET")?,
        },
        pid: 0,
    };
    let asked = Operation::Get.requests(&Bodies::new()).swap_remove(0);
    let signed = target.sign(&asked, &mut Hashes::default(), now())?;
    let mut request = format!("GET {} HTTP/1.1\r\n", signed.request.uri());
    for (name, value) in signed.request.headers() {
        request.push_str(&format!("{name}: {}\r\n", value.to_str()?));
    }
    request.push_str("\r\n");
    let at_once = LIMIT * TIMES / CONNECTIONS / (1000 / BEAT.as_millis() as u32);
    let batch = request.repeat(at_once as usize);
    let begun = Instant::now();
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            let batch = batch.clone();
            let first = begun + BEAT * n / CONNECTIONS;
            std::thread::spawn(move || connection(address, &batch, at_once, first))
        })
        .collect();
    let over = std::io::stdin().read(&mut [0; 1]);
    ensure!(matches!(over, Ok(0)), "nothing is said to the flood");
    STOP.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut sum = (0, 0);
    for connection in connections {
        let joined = connection.join();
        let (admitted, refused) =
            joined.map_err(|_| anyhow::anyhow!("a connection panicked"))??;
        sum = (sum.0 + admitted, sum.1 + refused);
    }
    println!("{} {}", sum.0, sum.1);
    Ok(())
}

static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn connection(
    address: SocketAddr,
    batch: &str,
    at_once: u32,
    first: Instant,
) -> anyhow::Result<(u64, u64)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut buffer = vec![0; 256 * 1024];
    let (mut admitted, mut refused) = (0, 0);
    let mut next = first;
    while !STOP.load(std::sync::atomic::Ordering::Relaxed) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += BEAT;
        stream.write_all(batch.as_bytes())?;
        // The heads of answers tell them apart; where a body ends does not matter here.
        let mut open = at_once;
        let mut kept = Vec::new();
        while open > 0 {
            let got = stream.read(&mut buffer)?;
            ensure!(got > 0, "the node closed the flood's connection");
            kept.extend_from_slice(&buffer[..got]);
            let (ok, slow) = (count(&kept, b"HTTP/1.1 200"), count(&kept, b"HTTP/1.1 503"));
            open = open.saturating_sub(ok + slow);
            admitted += u64::from(ok);
            refused += u64::from(slow);
            let tail = kept.len().saturating_sub(11);
            kept.drain(..tail);
        }
    }
    Ok((admitted, refused))
}

fn count(text: &[u8], word: &[u8]) -> u32 {
    text.windows(word.len()).filter(|at| *at == word).count() as u32
}
