//! A time-stamping authority (RFC 3161) played with `openssl ts`: its certificates, its tokens, and a server.
//!
//! ```text
//! ca.pem ──signs──► tsa.pem, for time stamps only ──signs──► tokens
//! query ──HTTP POST──► Server ──► `openssl ts -reply` ──► answer
//! ```
//! Keys are made anew in a folder of the test's.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

const TS: &str = "[tsa]\ndefault_tsa = test\n[test]\nserial = serial\nsigner_cert = tsa.pem\n\
    signer_key = tsa.key\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\n\
    accuracy = secs:1\nclock_precision_digits = 3\nordering = yes\ness_cert_id_alg = sha256\n";
const CA: &str = "[ca]\ndefault_ca = authority\n[authority]\ndatabase = index.txt\nnew_certs_dir = .\n\
    rand_serial = yes\nprivate_key = ca.key\ncertificate = ca.pem\ndefault_md = sha256\npolicy = names\n\
    x509_extensions = use\n[names]\ncommonName = supplied\n[use]\nextendedKeyUsage = critical,timeStamping\n\
    keyUsage = critical,digitalSignature\n";
/// A checkpoint's query has about 70 bytes.
const QUERY_MAX_BYTES: usize = 64 * 1024;
/// How long a service's certificate is valid, unless a test says otherwise.
pub const A_DAY: Duration = Duration::from_secs(86_400);

/// Whether there is an openssl.
pub fn is_possible() -> bool {
    Command::new("openssl").arg("version").output().is_ok()
}

/// A service's keys and certificates in a folder.
#[derive(Debug, Clone)]
pub struct Authority {
    dir: PathBuf,
}

impl Authority {
    /// A new one; the service's certificate is a day old, and ends after `valid`.
    pub fn make(dir: &Path, valid: Duration) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let authority = Authority { dir: dir.to_owned() };
        for (name, text) in [("ts.cnf", TS), ("ca.cnf", CA), ("serial", "01\n"), ("index.txt", "")] {
            std::fs::write(dir.join(name), text)?;
        }
        let now = SystemTime::now();
        let (begin, end) = (asn1_time(now - A_DAY)?, asn1_time(now + valid)?);
        let sign = "ca -batch -config ca.cnf -in tsa.csr -out tsa.pem -notext";
        for arguments in [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out tsa.csr -subj /CN=tsa",
            &format!("{sign} -startdate {begin} -enddate {end}"),
        ] {
            authority.openssl(arguments)?;
        }
        Ok(authority)
    }

    /// Certificate of the authority above the service.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Certificate of the service itself.
    pub fn service_certificate(&self) -> PathBuf {
        self.dir.join("tsa.pem")
    }

    /// Answers a query.
    pub fn reply(&self, query: &[u8]) -> anyhow::Result<Vec<u8>> {
        std::fs::write(self.dir.join("query.tsq"), query)?;
        self.openssl("ts -reply -config ts.cnf -queryfile query.tsq -out answer.tsr")?;
        Ok(std::fs::read(self.dir.join("answer.tsr"))?)
    }

    /// A token over these bytes, now.
    pub fn stamp(&self, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        std::fs::write(self.dir.join("data"), bytes)?;
        self.openssl("ts -query -data data -sha256 -cert -out stamp.tsq")?;
        self.reply(&std::fs::read(self.dir.join("stamp.tsq"))?)
    }

    fn openssl(&self, arguments: &str) -> anyhow::Result<()> {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.dir).output()?;
        ensure!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
        Ok(())
    }
}

/// As openssl takes it.
fn asn1_time(time: SystemTime) -> anyhow::Result<String> {
    let unix_s = time.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let date = Command::new("date").args(["-u", "-d", &format!("@{unix_s}"), "+%y%m%d%H%M%SZ"]).output()?;
    Ok(String::from_utf8(date.stdout)?.trim().to_owned())
}

/// Answers over HTTP on a port of its own, one request after the other, until the process ends; gives its address.
/// `answer` makes status and body of a query.
pub fn serve(mut answer: impl FnMut(&[u8]) -> (u16, Vec<u8>) + Send + 'static) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/tsa", listener.local_addr()?);
    std::thread::Builder::new().name("tsa".into()).spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            if let Err(error) = exchange(&mut stream, &mut answer) {
                tracing::warn!("a query was not answered: {error:#}");
            }
        }
    })?;
    Ok(url)
}

fn exchange(stream: &mut TcpStream, answer: &mut impl FnMut(&[u8]) -> (u16, Vec<u8>)) -> anyhow::Result<()> {
    let query = body(stream)?;
    let (status, body) = answer(&query);
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    Ok(stream.write_all(&body)?)
}

/// Of a request that must be a query.
fn body(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part)?;
        ensure!(read > 0 && bytes.len() < QUERY_MAX_BYTES, "a request that does not end");
        bytes.extend_from_slice(part.get(..read).unwrap_or_default());
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let (head, body) = bytes.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        ensure!(head.contains("content-type: application/timestamp-query"), "another request: {head}");
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let length: usize = length.context("a request without a length")?.parse()?;
        if let Some(query) = body.get(..length) {
            return Ok(query.to_vec());
        }
    }
}
