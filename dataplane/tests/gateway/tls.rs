//! S3 over TLS, and a certificate that is exchanged under a running node.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Answer, Client, parse};
use crate::streams::Connection;
use crate::world::{KEY_A, RunningNode, SECRET_A, World};

/// Writes a new certificate for `localhost`, and gives it.
fn write_certificate(dir: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("key.pem"), signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    cert.der().clone()
}

/// Another node of that world, which speaks TLS, a client of it, and its certificate.
async fn secure(world: &World, dir: &Path) -> (RunningNode, Client, CertificateDer<'static>) {
    let certificate = write_certificate(dir);
    let tls = dataplane::Tls {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
    };
    world.control.forget();
    let node = RunningNode::start_with_tls(&world.control_url, dir, tls).await;
    world.control.acked(world.snapshot.revision).await;
    let client = node.client(KEY_A, SECRET_A);
    (node, client, certificate)
}

/// A client that trusts `certificate` alone, and speaks `protocols`.
async fn connect(
    client: &Client,
    certificate: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().into())
        .collect();
    let stream = TcpStream::connect(client.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}

async fn ask<S>(mut stream: S, request: &[u8]) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
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
    let stream = connect(client, certificate, &[]).await?;
    let answer = ask(stream, head.as_bytes()).await?;
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
    let (node, client, certificate) = secure(&world, dir.path()).await;
    let (_, head) = client.call("POST", &target).body(DOCUMENT).head();
    let request = [head.as_bytes(), DOCUMENT].concat();
    let stream = connect(&client, &certificate, &[]).await.unwrap();
    let answer = ask(stream, &request).await.unwrap();
    let expected = format!("https://{}/abkt/k", client.address);
    assert_eq!(answer.element("Location"), expected, "{}", answer.body);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_exchanged_without_a_restart() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (node, client, first) = secure(&world, dir.path()).await;
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

#[tokio::test]
async fn http_2_is_spoken_with_those_who_ask_for_it() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (node, client, certificate) = secure(&world, dir.path()).await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let stream = connect(&client, &certificate, offered).await.unwrap();
        let spoken = stream.get_ref().1.alpn_protocol();
        assert_eq!(spoken, chosen.map(str::as_bytes), "{offered:?}");
        let list = client.call("GET", "/");
        let answer = match chosen {
            Some("h2") => Connection::over(stream, "https").await.send(&list).await,
            _ => ask(stream, list.head().1.as_bytes()).await.unwrap(),
        };
        assert_eq!(answer.status, 200, "{offered:?}");
    }
    let refused = connect(&client, &certificate, &["h3"]).await;
    assert!(refused.is_err(), "nothing is spoken that is not known");
    world.assert_engine_saw_nothing("handshakes");

    let stream = connect(&client, &certificate, &["h2"]).await.unwrap();
    let connection = Connection::over(stream, "https").await;
    let object = "v".repeat(3_000_000);
    let put = client.call("PUT", "/abkt/k").body(object.as_bytes());
    let answer = connection.send(&put).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let stored = world.engine.take_seen().remove(0).body.unwrap();
    assert_eq!(stored, object);
    let got = connection.send(&client.call("GET", "/abkt/k")).await;
    assert!(got.status == 200 && got.body == object);
    world.engine.take_seen();
    let jello = client.call("PUT", "/abkt/l").payload(&"0".repeat(64));
    let answer = connection.send(&jello.body(b"jello")).await;
    let got = (answer.status, answer.code());
    assert_eq!(got, (400, "XAmzContentSHA256Mismatch"));
    world.assert_engine_saw_nothing("a body that does not match");
    node.stop().await.unwrap();
}
