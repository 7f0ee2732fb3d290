//! Ports: whether the ones asked for are free, and free ones for what only this machine's processes use.
//! A port that is free now can be taken a moment later; whoever starts a process must still watch it start.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use rand::RngExt;

/// An address, what it is for, and the argument that changes it.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub address: SocketAddr,
    pub what: String,
    pub argument: &'static str,
}

/// Every address can be listened at, and no two are the same. Waits a second for one that is just being given up.
pub async fn check(wanted: &[Wanted]) -> anyhow::Result<()> {
    for (index, this) in wanted.iter().enumerate() {
        if let Some(other) = wanted[..index]
            .iter()
            .find(|other| other.address.port() == this.address.port())
        {
            bail!(
                "Port {} would be used twice, for {} and for {}: choose others with {} or {}.",
                this.address.port(),
                other.what,
                this.what,
                other.argument,
                this.argument
            );
        }
    }
    let begun = Instant::now();
    for this in wanted {
        while let Err(error) = TcpListener::bind(this.address) {
            let in_use = error.kind() == ErrorKind::AddrInUse;
            if in_use && begun.elapsed() < Duration::from_secs(1) {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let Wanted {
                address,
                what,
                argument,
            } = this;
            match error.kind() {
                ErrorKind::AddrInUse => bail!(
                    "Port {} on {} is taken, but {what} needs it: stop what listens there, or choose another with {argument}.",
                    address.port(),
                    address.ip()
                ),
                ErrorKind::AddrNotAvailable => {
                    bail!(
                        "{} is not an address of this machine: choose another with {argument}.",
                        address.ip()
                    )
                }
                _ => bail!(
                    "{what} cannot listen at {address} ({error}): choose another with {argument}."
                ),
            }
        }
    }
    Ok(())
}

/// `count` free ports of 127.0.0.1, below the range from which the system gives ports to outgoing connections.
/// Ports whose number is still in the name of one of the engine's sockets are left out: they may be another user's.
pub fn free(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut found = Vec::new();
    for _ in 0..10_000 {
        if found.len() == count {
            return Ok(found);
        }
        let port = rand::rng().random_range(20_000..32_000);
        let left_over = super::engine::sockets(port)
            .iter()
            .any(|path| Path::new(path).exists());
        if !found.contains(&port)
            && !left_over
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            found.push(port);
        }
    }
    bail!("No {count} free ports of 127.0.0.1 between 20000 and 32000 were found.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(address: SocketAddr) -> Wanted {
        Wanted {
            address,
            what: "S3".to_owned(),
            argument: "--s3",
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_refused_and_a_free_one_is_not() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let refused = check(&[wanted(address)]).await.unwrap_err().to_string();
        let port = address.port();
        assert_eq!(
            refused,
            format!(
                "Port {port} on 127.0.0.1 is taken, but S3 needs it: stop what listens there, or choose another with --s3."
            )
        );
        drop(holder);
        check(&[wanted(address)]).await.unwrap();
    }

    #[tokio::test]
    async fn one_port_for_two_things_is_refused() {
        let ports = free(2).unwrap();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = check(&[wanted(at(ports[0])), wanted(at(ports[0]))])
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("would be used twice"), "{refused}");
        check(&[wanted(at(ports[0])), wanted(at(ports[1]))])
            .await
            .unwrap();
    }
}
