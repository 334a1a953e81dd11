//! Passes CredSSP on to `sudare-nla`, and learns who logs on.
//!
//! ```text
//!  client or host ⇄ TLS ⇄ this ⇄ socket ⇄ sudare-nla
//! ```
//! Here TSRequests are found in the stream, exactly to their ends, since RDP goes on behind the last. What is in them,
//! users and passwords are for that process alone. It is started before this one is confined, since it has to read what
//! this one may not, and ends with the log-on.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use sudare_base::config::{HostConfig, HostSecurity};
use sudare_base::program::beside;
use sudare_relay::credssp::packet::{HEADER_BYTES, Proved, ToGate, ToNla, body_length};
use sudare_relay::credssp::request;
use sudare_relay::credssp::{Malformed, Refusal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::error::Ended;

/// A process for one log-on.
#[derive(Debug)]
pub struct Helper {
    /// The way to it.
    pub stream: StdStream,
    /// Ended with this, and buried by the runtime.
    pub child: Option<Child>,
}

/// Gives a connection its process.
pub type Helpers = Arc<dyn Fn() -> io::Result<Helper> + Send + Sync>;

/// What `sudare-nla` is told on its command line.
#[derive(Debug, Clone)]
pub struct Files<'a> {
    users: &'a Path,
    attempts: &'a Path,
    credential: Option<&'a Path>,
    host: &'static str,
}

impl<'a> Files<'a> {
    /// None: no users are set, so that clients come without NLA.
    pub(crate) fn of(config: &'a HostConfig) -> Option<Self> {
        let host = match config.gate_host_security {
            HostSecurity::Tls => "tls",
            HostSecurity::Nla => "nla",
        };
        let users = config.gate_nla_users.as_deref()?;
        let credential = config.gate_host_credential.as_deref();
        Some(Self { users, attempts: &config.gate_nla_attempts, credential, host })
    }

    /// Starts the program that lies beside this one. It reads its files, and gives up all rights.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) fn start(&self) -> io::Result<Helper> {
        let (stream, theirs) = StdStream::pair()?;
        let mut command = Command::new(beside("sudare-nla"));
        command.env_clear().current_dir("/").kill_on_drop(true).arg("serve");
        command
            .arg("--users")
            .arg(self.users)
            .arg("--attempts")
            .arg(self.attempts)
            .arg("--host")
            .arg(self.host);
        if let Some(credential) = self.credential {
            command.arg("--credential").arg(credential);
        }
        // Its standard error is ours: what it cannot read is said there.
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        Ok(Helper { stream, child: Some(command.spawn()?) })
    }
}

/// One process, for the one connection that this process serves.
pub(crate) fn once(helper: Helper) -> Helpers {
    let one = Mutex::new(Some(helper));
    Arc::new(move || {
        let taken = one.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| io::Error::other("it has served a connection already"))
    })
}

/// One log-on.
#[derive(Debug)]
pub(crate) struct Nla {
    stream: UnixStream,
    _child: Option<Child>,
}

impl Nla {
    pub(crate) fn begin(helpers: &Helpers) -> Result<Self, Ended> {
        let open = || {
            let Helper { stream, child } = helpers()?;
            stream.set_nonblocking(true)?;
            Ok(Self { stream: UnixStream::from_std(stream)?, _child: child })
        };
        open().map_err(Ended::NlaProgram)
    }

    /// The client proves who it is. It has been shown this certificate.
    pub(crate) async fn client<S>(&mut self, client: &mut S, certificate: &[u8]) -> Result<Proved, Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.tell(&ToNla::Client(certificate.to_vec())).await?;
        loop {
            let request = match read(client).await.map_err(Ended::Client)? {
                Some(Ok(request)) => request,
                Some(Err(_)) => return Err(Ended::Nla(Refusal::Malformed)),
                None => return Err(Ended::ClientLeft),
            };
            self.tell(&ToNla::Said(request)).await?;
            match self.hear().await? {
                ToGate::Say(reply) => write(client, &reply).await.map_err(Ended::Client)?,
                ToGate::Proved(proved) => return Ok(proved),
                ToGate::Refused(why, last) => {
                    // It is refused either way.
                    write(client, &last).await.ok();
                    client.shutdown().await.ok();
                    return Err(Ended::Nla(why));
                }
                ToGate::Final(_) => return Err(misunderstood()),
            }
        }
    }

    /// The host is told who logs on. It has shown this certificate.
    pub(crate) async fn host<S>(&mut self, host: &mut S, certificate: &[u8]) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.tell(&ToNla::Host(certificate.to_vec())).await?;
        loop {
            match self.hear().await? {
                ToGate::Say(request) => write(host, &request).await.map_err(Ended::Host)?,
                ToGate::Final(request) => return write(host, &request).await.map_err(Ended::Host),
                ToGate::Refused(why, _) => return Err(Ended::Nla(why)),
                ToGate::Proved(_) => return Err(misunderstood()),
            }
            let reply = match read(host).await.map_err(Ended::Host)? {
                Some(Ok(reply)) => reply,
                Some(Err(_)) => return Err(Ended::Nla(Refusal::HostMalformed)),
                // Many hosts just end the connection of somebody whom they do not know.
                None => return Err(Ended::Nla(Refusal::HostDenied)),
            };
            self.tell(&ToNla::Said(reply)).await?;
        }
    }

    async fn tell(&mut self, packet: &ToNla) -> Result<(), Ended> {
        self.stream.write_all(&packet.write()).await.map_err(Ended::NlaProgram)
    }

    async fn hear(&mut self) -> Result<ToGate, Ended> {
        let mut header = [0; HEADER_BYTES];
        self.stream.read_exact(&mut header).await.map_err(Ended::NlaProgram)?;
        let length = body_length(header).map_err(|error| Ended::NlaProgram(io::Error::other(error)))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(Ended::NlaProgram)?;
        let [kind, ..] = header;
        ToGate::read(kind, body).map_err(|error| Ended::NlaProgram(io::Error::other(error)))
    }
}

fn misunderstood() -> Ended {
    Ended::NlaProgram(io::Error::other(sudare_relay::credssp::packet::Misunderstood))
}

/// Exactly one TSRequest. None: the peer has gone.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Result<Vec<u8>, Malformed>>> {
    let mut bytes = Vec::new();
    let length = loop {
        match request::length(&bytes) {
            Ok(Some(length)) => break length,
            Ok(None) => {}
            Err(malformed) => return Ok(Some(Err(malformed))),
        }
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    };
    let at = bytes.len();
    bytes.resize(length, 0);
    match stream.read_exact(bytes.get_mut(at..).unwrap_or_default()).await {
        Ok(_) => Ok(Some(Ok(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
