//! A host that shows certificates, and what the gate makes of them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::*;

/// Shows one certificate and signs with a key, which may be another one's.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

struct Made {
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pin: Pin,
}

fn made() -> Made {
    let made = rcgen::generate_simple_self_signed(vec!["host".to_owned()]).unwrap();
    let der = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let pin = Sha256::digest(der.as_ref()).into();
    Made { der, key, pin }
}

/// What comes of a host with this certificate and this key, where this pin is expected. Also how many bytes of
/// the gate's the host could read inside TLS.
async fn meet(shown: &Made, key: &Made, pin: Option<Pin>) -> (Result<(), Ended>, usize) {
    let provider = Arc::new(ring::default_provider());
    let key = provider.key_provider.load_private_key(key.key.clone_key()).unwrap();
    let shows = Shows(Arc::new(CertifiedKey::new(vec![shown.der.clone()], key)));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shows));
    let (near, far) = tokio::io::duplex(64 * 1024);
    let host = tokio::spawn(async move {
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(far).await else { return 0 };
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.ok();
        all.len()
    });
    let target = Target { place: Place::Unix("/run/host".into()), pin };
    let mut secured = match secure(Box::new(near), &target).await {
        Ok(secured) => secured,
        Err(ended) => return (Err(ended), host.await.unwrap()),
    };
    secured.write_all(b"a password").await.unwrap();
    secured.shutdown().await.unwrap();
    (Ok(()), host.await.unwrap())
}

#[tokio::test]
async fn the_pinned_certificate_is_taken_and_any_where_the_socket_is_proof() {
    let host = made();
    for pin in [Some(host.pin), None] {
        let (done, heard) = meet(&host, &host, pin).await;
        done.unwrap();
        assert_eq!(heard, 10);
    }
}

#[tokio::test]
async fn another_certificate_is_told_nothing_and_both_are_named() {
    let (host, other) = (made(), made());
    let (done, heard) = meet(&other, &other, Some(host.pin)).await;
    match done {
        Err(Ended::WrongPin { expected, seen, .. }) => assert_eq!((expected, seen), (host.pin, other.pin)),
        ended => panic!("{ended:?}"),
    }
    assert_eq!(heard, 0);
}

#[tokio::test]
async fn a_copied_certificate_is_not_enough() {
    let (host, thief) = (made(), made());
    // With a pin and without: whoever shows a certificate must hold its key.
    for pin in [Some(host.pin), None] {
        let (done, heard) = meet(&host, &thief, pin).await;
        assert!(matches!(done, Err(Ended::HostTls { .. })), "{done:?}");
        assert_eq!(heard, 0);
    }
}
