//! Time tokens: a time-stamp service played with `openssl ts`, and its tokens checked with it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Place, audit, grow, log_at, required, said};

const SETTINGS: &str = "[tsa]\ndefault_tsa = test\n[test]\nserial = serial\nsigner_cert = tsa.pem\n\
    signer_key = tsa.key\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n\
    accuracy = secs:1\nclock_precision_digits = 3\nordering = yes\ness_cert_id_alg = sha256\n";

#[test]
fn a_checkpoint_is_stamped_and_openssl_confirms_it() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(!required("openssl"), "openssl is not installed");
        println!("SKIPPED: no time tokens. Install the package openssl.");
        return;
    }
    let place = Place::new();
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 5, 0);
    let authority = place.path("authority");
    make_authority(&authority);
    let url = serve(authority.clone(), Answer::Right);
    let stamped = stamp(&place, &url, "5.tsr");
    assert_eq!(stamped.status.code(), Some(0), "{}", said(&stamped));
    assert!(String::from_utf8_lossy(&stamped.stdout).starts_with("20"), "{}", said(&stamped));
    assert!(verified(&place, &authority, "5.tsr"));

    // The same token for another checkpoint.
    grow(&mut log, 6, 0);
    assert!(!verified(&place, &authority, "5.tsr"));
    // A service that answers everybody with what it once said.
    let old = fs::read(place.path("5.tsr")).unwrap();
    for (answer, complaint) in [
        (Answer::Fixed(old), "another digest"),
        (Answer::Fixed(b"<html>".to_vec()), "not the answer of a time-stamp service"),
        (Answer::Status(503), "status 503"),
    ] {
        let refused = stamp(&place, &serve(authority.clone(), answer), "6.tsr");
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(complaint), "{}", said(&refused));
        assert!(!place.path("6.tsr").exists());
    }
}

enum Answer {
    Right,
    Fixed(Vec<u8>),
    Status(u16),
}

fn stamp(place: &Place, url: &str, out: &str) -> std::process::Output {
    let [store, log, out] = ["store", "log.vkey", out].map(|name| place.text(name));
    audit(&["witness", "stamp", &store, "--log", &log, "--url", url, "--out", &out])
}

fn verified(place: &Place, authority: &Path, token: &str) -> bool {
    let run = Command::new("openssl")
        .args(["ts", "-verify", "-data", &place.text("store/checkpoint"), "-in", &place.text(token)])
        .arg("-CAfile")
        .arg(authority.join("ca.pem"))
        .output()
        .unwrap();
    run.status.success()
}

fn make_authority(dir: &Path) {
    fs::create_dir(dir).unwrap();
    fs::write(dir.join("ts.cnf"), SETTINGS).unwrap();
    fs::write(dir.join("serial"), "01\n").unwrap();
    fs::write(
        dir.join("use"),
        "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n",
    )
    .unwrap();
    for arguments in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out tsa.csr -subj /CN=tsa",
        "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile use -out tsa.pem",
    ] {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
        assert!(run.status.success(), "{arguments}: {}", said(&run));
    }
}

/// Answers one request over HTTP on a port of its own.
fn serve(authority: PathBuf, answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tsa", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let query = read_body(&mut stream);
        let (status, body) = match answer {
            Answer::Right => (200, reply(&authority, &query)),
            Answer::Fixed(body) => (200, body),
            Answer::Status(status) => (status, b"try later".to_vec()),
        };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
    });
    url
}

fn read_body(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n").map(|at| at + 4) else { continue };
        assert!(text.contains("content-type: application/timestamp-query"), "{text}");
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let length: usize = length.unwrap().parse().unwrap();
        // The body is not text, so it is counted from the end.
        let have = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!(head >= have || read > 0);
        if bytes.len() >= have + length {
            return bytes[have..have + length].to_vec();
        }
    }
}

fn reply(authority: &Path, query: &[u8]) -> Vec<u8> {
    fs::write(authority.join("query.tsq"), query).unwrap();
    let run = Command::new("openssl")
        .args(["ts", "-reply", "-config", "ts.cnf", "-queryfile", "query.tsq", "-out", "answer.tsr"])
        .current_dir(authority)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", said(&run));
    fs::read(authority.join("answer.tsr")).unwrap()
}
