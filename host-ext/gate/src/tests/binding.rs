//! A session belongs to one TLS session: whoever ends TLS in between has two, even with the gate's own key.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::ends::{Client, Host, Stage, exporter_of};
use crate::host::any_certificate;
use crate::identity::Identity;

#[tokio::test]
async fn both_ends_know_the_same_of_their_tls_session() {
    let run = async {
        let stage = Stage::new().await;
        let (client, _host, _served) = stage.connect().await;
        assert_eq!(stage.guard.exporter(), exporter_of(&client.tls));
        let first = stage.guard.exporter();
        let (client, _host, _served) = stage.connect().await;
        assert_eq!(stage.guard.exporter(), exporter_of(&client.tls));
        assert_ne!(stage.guard.exporter(), first, "each session has its own");
    };
    LocalSet::new().run_until(run).await;
}

/// Passes the X.224 exchange, ends TLS on both sides with the gate's own certificate and key, and then all bytes.
async fn split(mut client: TcpStream, mut gate: TcpStream, stolen: Identity) {
    forward(&mut client, &mut gate).await;
    forward(&mut gate, &mut client).await;
    let name = ServerName::try_from("gate").unwrap();
    let connector = TlsConnector::from(std::sync::Arc::new(any_certificate().unwrap()));
    let (client, gate) = tokio::join!(stolen.acceptor.accept(client), connector.connect(name, gate));
    copy_bidirectional(&mut client.unwrap(), &mut gate.unwrap()).await.ok();
}

/// One frame.
async fn forward(from: &mut TcpStream, to: &mut TcpStream) {
    let mut header = [0; 4];
    from.read_exact(&mut header).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 4];
    from.read_exact(&mut rest).await.unwrap();
    to.write_all(&[&header[..], &rest].concat()).await.unwrap();
}

#[tokio::test]
async fn a_relay_with_the_gate_s_own_key_is_seen() {
    let run = async {
        let stage = Stage::new().await;
        let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stolen) = (between.local_addr().unwrap(), stage.gate_identity());
        let to_gate = stage.address;
        spawn_local(async move {
            let (client, _) = between.accept().await.unwrap();
            split(client, TcpStream::connect(to_gate).await.unwrap(), stolen).await;
        });
        let client = spawn_local(Client::connect(address));
        let _served = stage.serve().await;
        let (tcp, _) = stage.host.accept().await.unwrap();
        let _host = Host::accept(tcp, &stage.host_identity).await.unwrap();
        let client = client.await.unwrap().unwrap();
        // The certificate is the gate's, so that a pin would be content. The exporter is what tells.
        let seen = client.tls.get_ref().1.peer_certificates().unwrap().first().unwrap();
        assert_eq!(stage.gate_identity().cert_sha256, <[u8; 32]>::from(Sha256::digest(seen.as_ref())));
        assert_ne!(stage.guard.exporter(), exporter_of(&client.tls));
    };
    LocalSet::new().run_until(run).await;
}
