//! S3 over TLS, and a certificate that is exchanged under a running node.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Answer, Client, parse};
use crate::world::{KEY_A, RunningNode, SECRET_A, World};

/// Writes a new certificate for `localhost`, and gives it.
fn write_certificate(dir: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("key.pem"), signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    cert.der().clone()
}

/// What a client that trusts `certificate` alone is answered.
async fn ask(
    client: &Client,
    certificate: &CertificateDer<'static>,
    request: &[u8],
) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let stream = TcpStream::connect(client.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    stream.write_all(request).await?;
    let mut out = Vec::new();
    let _ = stream.read_to_end(&mut out).await;
    Ok(parse(&out))
}

async fn list_buckets(
    client: &Client,
    certificate: &CertificateDer<'static>,
) -> std::io::Result<u16> {
    let (_, head) = client.call("GET", "/").head();
    let answer = ask(client, certificate, head.as_bytes()).await?;
    Ok(answer.status)
}

#[tokio::test]
async fn an_address_that_is_told_is_the_one_that_was_used() {
    const DOCUMENT: &[u8] = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>";
    let world = World::start().await;
    let begun = world.a.call("POST", "/abkt/k?uploads").send().await;
    let target = format!("/abkt/k?uploadId={}", begun.element("UploadId"));
    let plain = world.a.call("POST", &target).body(DOCUMENT).send().await;
    let expected = format!("http://{}/abkt/k", world.a.address);
    assert_eq!(plain.element("Location"), expected, "{}", plain.body);

    let dir = tempfile::tempdir().unwrap();
    let certificate = write_certificate(dir.path());
    let tls = dataplane::Tls {
        certificate: dir.path().join("cert.pem"),
        key: dir.path().join("key.pem"),
    };
    world.control.forget();
    let node = RunningNode::start_with_tls(&world.control_url, dir.path(), tls).await;
    world.control.acked(world.snapshot.revision).await;
    let client = node.client(KEY_A, SECRET_A);
    let (_, head) = client.call("POST", &target).body(DOCUMENT).head();
    let request = [head.as_bytes(), DOCUMENT].concat();
    let answer = ask(&client, &certificate, &request).await.unwrap();
    let expected = format!("https://{}/abkt/k", client.address);
    assert_eq!(answer.element("Location"), expected, "{}", answer.body);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_exchanged_without_a_restart() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let first = write_certificate(dir.path());
    let tls = dataplane::Tls {
        certificate: dir.path().join("cert.pem"),
        key: dir.path().join("key.pem"),
    };
    world.control.forget();
    let node = RunningNode::start_with_tls(&world.control_url, dir.path(), tls).await;
    world.control.acked(world.snapshot.revision).await;
    let client = node.client(KEY_A, SECRET_A);
    assert_eq!(list_buckets(&client, &first).await.unwrap(), 200);
    let plain = client.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!plain.starts_with(b"HTTP/1.1 200"));

    std::fs::write(dir.path().join("cert.pem"), "no certificate").unwrap();
    let second = write_certificate(dir.path());
    let exchanged = async {
        while list_buckets(&client, &second).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), exchanged)
        .await
        .expect("the new certificate is served");
    assert!(
        list_buckets(&client, &first).await.is_err(),
        "the old one is gone"
    );
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    write_certificate(dir.path());
    let key = dir.path().join("key.pem");
    let tls = dataplane::Tls {
        certificate: key.clone(),
        key,
    };
    let node = RunningNode::start_with_tls(&world.control_url, dir.path(), tls).await;
    let error = format!("{:#}", node.ended().await.unwrap_err());
    assert!(error.contains("certificate"), "{error}");
}
