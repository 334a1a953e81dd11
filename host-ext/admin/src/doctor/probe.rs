//! Knocks at an RDP server as a client does: a request for TLS, the handshake, and which certificate comes.
//!
//! Nothing is taken on trust but the certificate itself, which is what is asked for. No name and no password is sent.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sudare_gate::host::client_config;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::pki_types::ServerName;

/// For each step. A gate meets its host first, which may be busy.
const PATIENCE: Duration = Duration::from_secs(15);
/// X.224 Connection Request with an RDP Negotiation Request for TLS, with or without CredSSP ([MS-RDPBCGR] 2.2.1.1).
const REQUEST: [u8; 19] = [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0];
/// TPKT, X.224 Connection Confirm, RDP Negotiation Response or Failure ([MS-RDPBCGR] 2.2.1.2).
const CONFIRM_BYTES: usize = 19;
const RESPONSE: u8 = 2;
const FAILURE: u8 = 3;

/// Why a server was not met.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("nobody answers there: {0}")]
    Unreachable(io::Error),
    #[error("it takes the connection and says nothing")]
    Silent,
    #[error("it ends the connection without an answer")]
    Ended,
    #[error("it does not speak RDP")]
    NotRdp,
    #[error("it speaks no TLS")]
    NoTls,
    #[error("it refuses the connection (failure {0} of the negotiation)")]
    Refused(u8),
    #[error("TLS fails: {0}")]
    Tls(io::Error),
}

/// A server that was met, and the connection to it, which is still open.
pub(crate) struct Met<S> {
    pub(crate) stream: S,
    /// SHA-256 of the certificate (DER).
    pub(crate) cert_sha256: [u8; 32],
}

/// Over TCP, to a name or address with its port.
pub(crate) fn tcp(address: &str) -> Result<Met<TcpStream>, ProbeError> {
    let found = address.to_socket_addrs().map_err(ProbeError::Unreachable)?.next();
    let found = found.ok_or_else(|| ProbeError::Unreachable(io::ErrorKind::NotFound.into()))?;
    let stream = TcpStream::connect_timeout(&found, PATIENCE).map_err(ProbeError::Unreachable)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(ProbeError::Unreachable)?;
    meet(stream)
}

/// Over a socket of this machine.
pub(crate) fn unix(path: &Path) -> Result<Met<UnixStream>, ProbeError> {
    let stream = UnixStream::connect(path).map_err(ProbeError::Unreachable)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(ProbeError::Unreachable)?;
    meet(stream)
}

fn meet<S: Read + Write>(mut stream: S) -> Result<Met<S>, ProbeError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ProbeError::Silent,
        _ => ProbeError::Ended,
    };
    stream.write_all(&REQUEST).map_err(failed)?;
    let mut confirm = [0; CONFIRM_BYTES];
    // Servers without negotiation answer with less.
    stream.read_exact(&mut confirm[..11]).map_err(failed)?;
    let [3, _, 0, length, _, 0xd0, ..] = confirm else { return Err(ProbeError::NotRdp) };
    if usize::from(length) != CONFIRM_BYTES {
        return Err(ProbeError::NoTls);
    }
    stream.read_exact(&mut confirm[11..]).map_err(failed)?;
    match (confirm[11], confirm[15]) {
        (RESPONSE, 0) => return Err(ProbeError::NoTls),
        (RESPONSE, _) => {}
        (FAILURE, code) => return Err(ProbeError::Refused(code)),
        _ => return Err(ProbeError::NotRdp),
    }
    let cert_sha256 = handshake(&mut stream).map_err(ProbeError::Tls)?;
    Ok(Met { stream, cert_sha256 })
}

fn handshake(stream: &mut (impl Read + Write)) -> io::Result<[u8; 32]> {
    // As a gate meets its host: any certificate, if its owner has its key.
    let config = client_config(None).map_err(io::Error::other)?;
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(stream)?;
    }
    let shown = tls.peer_certificates().and_then(<[_]>::first);
    shown.map(|shown| Sha256::digest(shown.as_ref()).into()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What a client makes of a server that gives this answer and then ends the connection.
    fn answered(answer: &'static [u8]) -> ProbeError {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; REQUEST.len()];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(answer).unwrap();
        });
        let error = tcp(&address).err().unwrap();
        server.join().unwrap();
        error
    }

    #[test]
    fn what_answers_and_is_no_rdp_server_with_tls_is_told_apart() {
        assert!(matches!(answered(b""), ProbeError::Ended));
        assert!(matches!(answered(b"SSH-2.0-OpenSSH_9\r\n"), ProbeError::NotRdp));
        assert!(matches!(answered(&[3, 0, 0, 11, 6, 0xd0, 0, 0, 0, 0, 0]), ProbeError::NoTls));
        let confirm: &[u8] = &[3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0];
        assert!(matches!(answered(confirm), ProbeError::NoTls));
        let failure: &[u8] = &[3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 3, 0, 8, 0, 5, 0, 0, 0];
        assert!(matches!(answered(failure), ProbeError::Refused(5)));
        let tls: &[u8] = &[3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 8, 0, 1, 0, 0, 0];
        assert!(matches!(answered(tls), ProbeError::Tls(_)));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(matches!(tcp(&closed), Err(ProbeError::Unreachable(_))));
    }
}
