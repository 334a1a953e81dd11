use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};
use zeroize::Zeroizing;

use super::*;
use crate::tls::TlsError;

fn events() -> Vec<String> {
    vec!["one".into(), "two".into()]
}

/// A receiver that handles one connection.
fn serve<T: Send + 'static>(
    handle: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Address, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || handle(listener.accept().unwrap().0));
    (Address { host: "localhost".into(), port }, thread)
}

fn read_all(stream: &mut impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_file_gets_lines_and_a_torn_one_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let receiver = Receiver::File(path.clone());
    receiver.deliver(&events()).unwrap();
    fs::write(&path, "one\ntw").unwrap();
    receiver.deliver(&events()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\none\ntwo\n");
    let away = Receiver::File(dir.path().join("none/out"));
    assert!(matches!(away.deliver(&events()), Err(DeliveryError::File { .. })));
}

#[test]
fn syslog_is_accepted_when_the_receiver_closes_after_reading() {
    let (address, receiver) = serve(|mut stream| read_all(&mut stream));
    Receiver::Syslog { address, tls: None, framing: Framing::Octet }.deliver(&events()).unwrap();
    assert_eq!(receiver.join().unwrap(), "3 one3 two");
}

#[test]
fn a_receiver_that_reads_lines_gets_one_for_each_event() {
    let (address, receiver) = serve(|mut stream| read_all(&mut stream));
    Receiver::Syslog { address, tls: None, framing: Framing::Newline }.deliver(&events()).unwrap();
    assert_eq!(receiver.join().unwrap(), "one\ntwo\n");
}

#[test]
fn a_receiver_that_dies_with_unread_events_has_not_accepted_them() {
    let (address, receiver) = serve(|mut stream| {
        let mut first = [0; 4];
        stream.read_exact(&mut first).unwrap();
        // Closing a socket with unread bytes in it resets the connection.
    });
    let many = vec!["x".repeat(8_000); 60];
    let error = Receiver::Syslog { address, tls: None, framing: Framing::Octet }.deliver(&many).unwrap_err();
    assert!(matches!(error, DeliveryError::Broken { .. } | DeliveryError::Unconfirmed { .. }), "{error}");
    receiver.join().unwrap();
}

#[test]
fn a_receiver_that_closes_at_once_has_accepted_nothing() {
    // Such as one with too many connections. Its close arrives before its reset, and looks like that of one that has
    // read everything.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    thread::spawn(move || listener.incoming().for_each(drop));
    for _ in 0..500 {
        let error = Receiver::Syslog { address: address.clone(), tls: None, framing: Framing::Octet }
            .deliver(&events())
            .unwrap_err();
        assert!(matches!(error, DeliveryError::Broken { .. } | DeliveryError::Unconfirmed { .. }), "{error}");
    }
}

#[test]
fn a_missing_receiver_is_reported() {
    let address = Address {
        host: "127.0.0.1".into(),
        port: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
    };
    let error =
        Receiver::Syslog { address, tls: None, framing: Framing::Octet }.deliver(&events()).unwrap_err();
    assert!(matches!(error, DeliveryError::Connect { .. }), "{error}");
}

struct Identity {
    ca: PathBuf,
    config: Arc<ServerConfig>,
    _folder: tempfile::TempDir,
}

fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    Identity { ca, config: Arc::new(config), _folder: folder }
}

/// Reads to the end and, like rsyslog, does not answer the close of TLS; or leaves with events unread.
fn serve_tls(identity: &Identity, reads_all: bool) -> (Address, JoinHandle<Option<String>>) {
    let config = identity.config.clone();
    serve(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        let mut text = String::new();
        let end = if reads_all { u64::MAX } else { 4 };
        (&mut stream).take(end).read_to_string(&mut text).ok().map(|_| text)
    })
}

#[test]
fn tls_checks_the_certificate_and_reading_to_the_end_accepts() {
    let right = identity("localhost");
    let tls = |ca: &Path| Some(Tls::new(Some(ca), None).unwrap());
    let (address, receiver) = serve_tls(&right, true);
    Receiver::Syslog { address, tls: tls(&right.ca), framing: Framing::Octet }.deliver(&events()).unwrap();
    assert_eq!(receiver.join().unwrap().unwrap(), "3 one3 two");

    let (address, receiver) = serve_tls(&right, false);
    let many = vec!["x".repeat(8_000); 60];
    let error = Receiver::Syslog { address, tls: tls(&right.ca), framing: Framing::Octet }
        .deliver(&many)
        .unwrap_err();
    assert!(matches!(error, DeliveryError::Broken { .. } | DeliveryError::Unconfirmed { .. }), "{error}");
    receiver.join().unwrap();

    let (other, foreign) = (identity("localhost"), identity("elsewhere.example"));
    for (server, ca) in [(&right, &other.ca), (&foreign, &foreign.ca)] {
        let (address, receiver) = serve_tls(server, true);
        let error = Receiver::Syslog { address, tls: tls(ca), framing: Framing::Octet }
            .deliver(&events())
            .unwrap_err();
        assert!(matches!(error, DeliveryError::Connect { .. }), "{error}");
        assert!(receiver.join().unwrap().unwrap_or_default().is_empty());
    }
    assert!(matches!(Tls::new(Some(Path::new("/nonexistent")), None), Err(TlsError::NoAuthority(_))));
}

#[test]
fn an_event_collector_gets_one_post_and_its_response_decides() {
    let exchange = |answer: &'static str| {
        let (address, server) = serve(move |mut stream| {
            let mut request = Vec::new();
            while !request.ends_with(b"one\ntwo") {
                let mut part = [0; 256];
                let count = stream.read(&mut part).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&request));
                request.extend(&part[..count]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let token = Zeroizing::new("a-token".to_owned());
        let collector = Collector::new(address, "/services/collector".into(), None, token).unwrap();
        let result = Receiver::Collector(collector).deliver(&events());
        (result, server.join().unwrap())
    };
    let (result, request) = exchange("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"code\":0}");
    result.unwrap();
    assert!(request.starts_with("POST /services/collector HTTP/1.1\r\nHost: localhost:"), "{request}");
    assert!(
        request.contains("\r\nAuthorization: Splunk a-token\r\n")
            && request.contains("\r\nContent-Length: 7\r\n")
    );
    let (result, _) = exchange("HTTP/1.1 503 Busy\r\n\r\nlater");
    assert!(matches!(result, Err(DeliveryError::Refused { status: 503, .. })));
    assert!(exchange("").0.is_err());
    // A log-on page in between has seen the events, and nobody has them.
    let (result, _) = exchange("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>");
    assert!(matches!(result, Err(DeliveryError::Refused { status: 200, .. })), "{result:?}");
}

#[test]
fn a_collector_that_keeps_the_connection_has_answered_all_the_same() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{\"code\":0}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n{\"code\":0}",
    ] {
        let (address, server) = serve(move |mut stream| {
            let mut request = [0; 4096];
            let mut read = 0;
            while !request[..read].ends_with(b"one\ntwo") {
                read += stream.read(&mut request[read..]).unwrap();
            }
            stream.write_all(answer.as_bytes()).unwrap();
            // Kept until the other side has had enough.
            stream.read(&mut request).unwrap_or(0)
        });
        let token = Zeroizing::new("a-token".to_owned());
        let path = "/services/collector?channel=0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba";
        let collector = Collector::new(address, path.into(), None, token).unwrap();
        Receiver::Collector(collector).deliver(&events()).unwrap();
        assert_eq!(server.join().unwrap(), 0);
    }
}
