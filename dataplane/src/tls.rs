//! TLS for the S3 port: a certificate and its key from two files, read again when they change. A pair that cannot be
//! used is said in the log, and the last good one stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// PEM files: the certificate with its chain, and its private key.
#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug)]
pub struct Certificate {
    files: Tls,
    current: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Fails if the files cannot be read, or the key is not the certificate's.
    pub fn load(files: Tls) -> anyhow::Result<Arc<Certificate>> {
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Arc::new(Certificate { files, current }))
    }

    /// HTTP/2 and HTTP/1.1, TLS 1.2 and 1.3.
    pub fn acceptor(self: &Arc<Self>) -> anyhow::Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Never returns.
    pub async fn follow(self: Arc<Self>) {
        let mut known = self.changed_at();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.changed_at();
            if now != known {
                known = now;
                self.reload();
            }
        }
    }

    pub fn reload(&self) {
        match read(&self.files) {
            Ok(key) => {
                self.current.store(Arc::new(key));
                tracing::info!("the certificate was read again");
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the new certificate cannot be used; the old one stays"
                );
            }
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.files.certificate, &self.files.key]
            .map(|path| path.metadata().and_then(|meta| meta.modified()).ok())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(files: &Tls) -> anyhow::Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| {
            format!(
                "no certificate can be read from {}",
                files.certificate.display()
            )
        })?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .with_context(|| format!("no private key can be read from {}", files.key.display()))?;
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider())
        .context("the certificate and the key do not belong together")?;
    Ok(certified)
}
