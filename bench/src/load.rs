//! The load: a fixed number of keep-alive connections, each asking again as soon as it was answered.
//! Any answer that is not the right one ends the run: a figure for refused requests is no figure.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::process;
use crate::target::{Signed, Target};
use crate::workload::{Until, Workload};

/// What one round of one candidate at one workload came to.
#[derive(Clone, Debug)]
pub struct Sample {
    pub requests_per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// User and kernel time of a request.
    pub cpu_micros: f64,
    pub kernel_micros: f64,
}

/// Must run inside a [`LocalSet`].
pub async fn measure(
    target: &Target,
    requests: Rc<Vec<Signed>>,
    workload: &Workload,
) -> anyhow::Result<Sample> {
    let mut connections = Vec::new();
    for i in 0..workload.connections {
        let mut connection = connect(target).await?;
        // Until the first answer is there, the way to the engine is not warm.
        if !workload.operation.is_large() {
            for j in 0..10 {
                ask(&mut connection, &requests[(i + j) % requests.len()]).await?;
            }
        }
        connections.push(connection);
    }
    let cpu = process::cpu(target.pid)?;
    let begun = Instant::now();
    let asked = Rc::new(Cell::new(0));
    let mut tasks = JoinSet::new();
    for (i, mut connection) in connections.into_iter().enumerate() {
        let (requests, asked, until) = (requests.clone(), asked.clone(), workload.until);
        tasks.spawn_local(async move {
            let mut took = Vec::with_capacity(16 * 1024);
            let mut at = i;
            loop {
                let go_on = match until {
                    Until::Elapsed(most) => begun.elapsed() < most,
                    Until::Answered(most) => asked.get() < most,
                };
                if !go_on {
                    return Ok::<_, anyhow::Error>(took);
                }
                asked.set(asked.get() + 1);
                let sent = Instant::now();
                ask(&mut connection, &requests[at % requests.len()]).await?;
                took.push(sent.elapsed());
                at += 1;
            }
        });
    }
    let mut took = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        took.append(&mut joined??);
    }
    let elapsed = begun.elapsed();
    let cpu = process::cpu(target.pid)?.since(cpu);
    ensure!(!took.is_empty(), "nothing was answered in time");
    took.sort_unstable();
    let count = took.len() as f64;
    Ok(Sample {
        requests_per_second: count / elapsed.as_secs_f64(),
        p50: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
        cpu_micros: cpu.whole().as_secs_f64() * 1e6 / count,
        kernel_micros: cpu.kernel.as_secs_f64() * 1e6 / count,
    })
}

/// Sends each once, for setting up.
pub async fn each(target: &Target, requests: &[Signed]) -> anyhow::Result<()> {
    let mut connection = connect(target).await?;
    for request in requests {
        ask(&mut connection, request).await?;
    }
    Ok(())
}

/// Many connections, each with one small request a second, evenly spread, for `seconds`.
pub async fn idle(
    target: &Target,
    requests: Rc<Vec<Signed>>,
    connections: usize,
    seconds: u32,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let begun = tokio::time::Instant::now();
    for i in 0..connections {
        let (target, requests) = (target.clone(), requests.clone());
        let first = begun + Duration::from_secs(1).mul_f64(i as f64 / connections as f64);
        tasks.spawn_local(async move {
            tokio::time::sleep_until(first).await;
            let mut connection = connect(&target).await?;
            for second in 0..seconds {
                tokio::time::sleep_until(first + Duration::from_secs(second.into())).await;
                ask(&mut connection, &requests[i % requests.len()]).await?;
            }
            Ok::<_, anyhow::Error>(connection)
        });
    }
    let mut open = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        open.push(joined??);
    }
    Ok(())
}

/// So many requests a second for `time`, however slowly they are answered: each waits from when it should have been sent.
pub async fn steady(
    target: &Target,
    requests: Rc<Vec<Signed>>,
    a_second: u32,
    time: Duration,
) -> anyhow::Result<Sample> {
    const CONNECTIONS: u32 = 8;
    let mut tasks = JoinSet::new();
    let cpu = process::cpu(target.pid)?;
    let begun = tokio::time::Instant::now() + Duration::from_millis(50);
    let pace = Duration::from_secs(1) * CONNECTIONS / a_second;
    for i in 0..CONNECTIONS {
        let (target, requests) = (target.clone(), requests.clone());
        let mut due = begun + pace * i / CONNECTIONS;
        tasks.spawn_local(async move {
            let mut connection = connect(&target).await?;
            let (mut took, mut at) = (Vec::new(), i as usize);
            while due < begun + time {
                tokio::time::sleep_until(due).await;
                ask(&mut connection, &requests[at % requests.len()]).await?;
                took.push(due.elapsed());
                due += pace;
                at += 1;
            }
            Ok::<_, anyhow::Error>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        took.append(&mut joined??);
    }
    let cpu = process::cpu(target.pid)?.since(cpu);
    ensure!(!took.is_empty(), "nothing was answered in time");
    took.sort_unstable();
    Ok(Sample {
        requests_per_second: took.len() as f64 / time.as_secs_f64(),
        p50: took[took.len() / 2],
        p99: took[took.len() * 99 / 100],
        cpu_micros: cpu.whole().as_secs_f64() * 1e6 / took.len() as f64,
        kernel_micros: cpu.kernel.as_secs_f64() * 1e6 / took.len() as f64,
    })
}

/// Runs what [`measure`] and [`idle`] need around them.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(work).await
}

type Connection = SendRequest<Full<Bytes>>;

async fn connect(target: &Target) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(target.address)
        .await
        .with_context(|| format!("{} cannot be reached", target.address))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

async fn ask(connection: &mut Connection, signed: &Signed) -> anyhow::Result<()> {
    connection.ready().await?;
    let response = connection.send_request(signed.request.clone()).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut received = 0;
    let mut refusal = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            received += data.len();
            if !status.is_success() {
                refusal.extend_from_slice(&data);
            }
        }
    }
    let what = || format!("{} {}", signed.request.method(), signed.request.uri());
    ensure!(
        status.is_success(),
        "{} was answered {status}: {}",
        what(),
        String::from_utf8_lossy(&refusal)
    );
    ensure!(
        signed.answer.is_none_or(|expected| expected == received),
        "{} was answered with {received} bytes",
        what()
    );
    Ok(())
}
