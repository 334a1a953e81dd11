//! The conversation with the gate, from the client's certificate to the host's last word.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use sudare_relay::connect::info::Credential;
use sudare_relay::credssp::Refusal;
use sudare_relay::credssp::packet::{self, HEADER_BYTES, Proved, ToGate, ToNla};
use zeroize::{Zeroize as _, Zeroizing};

use crate::attempts::Attempts;
use crate::certificate::public_key;
use crate::client::{self, Client};
use crate::credential::HostCredential;
use crate::server::{Logon, Refused, Server, Step};
use crate::users::{NtHash, Users};

/// How the host is told who logs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostLeg {
    /// By Client Info inside TLS, which the gate writes.
    Tls,
    /// By CredSSP, and the gate never sees the password.
    Nla,
}

/// What a connection is served with.
#[derive(Debug)]
pub struct Serving {
    /// Who may log on.
    pub users: Users,
    /// How often.
    pub attempts: Attempts,
    /// How the host wants it.
    pub host: HostLeg,
    /// In the place of the user's own.
    pub credential: Option<HostCredential>,
    /// A refusal waits this long, so that guessing on one connection after the other is slow.
    pub refusal_delay: Duration,
}

/// Why there is no log-on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The gate has gone.
    #[error("the gate ended the conversation: {0}")]
    Gate(#[from] io::Error),
    /// Another release.
    #[error(transparent)]
    Misunderstood(#[from] packet::Misunderstood),
    /// The gate has been told already.
    #[error("refused: {0:?}")]
    Refused(Refusal),
}

/// Serves one connection to its end.
///
/// # Errors
/// If there was no log-on. The gate has been told why, unless it has gone.
pub fn serve(mut gate: UnixStream, serving: Serving) -> Result<(), ServeError> {
    let delay = serving.refusal_delay;
    match talk(&mut gate, serving) {
        Err(Stop::Refused(Refused { why, last })) => {
            if matches!(why, Refusal::LogonDenied | Refusal::TooMany) {
                std::thread::sleep(delay);
            }
            say(&mut gate, &ToGate::Refused(why, last))?;
            Err(ServeError::Refused(why))
        }
        Err(Stop::Other(error)) => Err(error),
        Ok(()) => Ok(()),
    }
}

enum Stop {
    Refused(Refused),
    Other(ServeError),
}

impl<E: Into<ServeError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

fn talk(gate: &mut UnixStream, serving: Serving) -> Result<(), Stop> {
    let Serving { users, attempts, host, credential, .. } = serving;
    let internal = || Stop::Refused(Refused::saying(Refusal::Internal));
    let ToNla::Client(certificate) = hear(gate)? else { return Err(packet::Misunderstood.into()) };
    let key = public_key(&certificate).map_err(|_| internal())?;
    let mut decoy = [0; 16];
    getrandom::fill(&mut decoy).map_err(|_| internal())?;
    let server = Server::new(key, users, NtHash::new(decoy), Box::new(attempts));
    let logon = prove(gate, server.map_err(Stop::Refused)?)?;
    let credential = credential.map_or(logon.credential, |HostCredential(credential)| credential);
    let told = match host {
        HostLeg::Tls => credential.clone(),
        HostLeg::Nla => Credential { password: Zeroizing::default(), ..credential.clone() },
    };
    say(gate, &ToGate::Proved(Proved { user: logon.user, logon: told }))?;
    match host {
        HostLeg::Tls => Ok(()),
        HostLeg::Nla => introduce(gate, &credential),
    }
}

/// The client proves who it is.
fn prove(gate: &mut UnixStream, mut server: Server) -> Result<Logon, Stop> {
    loop {
        match server.take(&said(gate)?).map_err(Stop::Refused)? {
            Step::Reply(reply) => say(gate, &ToGate::Say(reply))?,
            Step::Proved(logon) => return Ok(logon),
        }
    }
}

/// The host is told.
fn introduce(gate: &mut UnixStream, credential: &Credential) -> Result<(), Stop> {
    // The client has been told everything already.
    let refused = |why| Stop::Refused(Refused { why, last: Vec::new() });
    let ToNla::Host(certificate) = hear(gate)? else { return Err(packet::Misunderstood.into()) };
    let key = public_key(&certificate).map_err(|_| refused(Refusal::HostMalformed))?;
    let (mut client, first) = Client::begin(key, credential).map_err(refused)?;
    say(gate, &ToGate::Say(first))?;
    loop {
        match client.take(&said(gate)?).map_err(refused)? {
            client::Step::Reply(reply) => say(gate, &ToGate::Say(reply))?,
            client::Step::Final(last) => {
                say(gate, &ToGate::Final(last))?;
                return Ok(());
            }
        }
    }
}

fn said(gate: &mut UnixStream) -> Result<Vec<u8>, ServeError> {
    match hear(gate)? {
        ToNla::Said(request) => Ok(request),
        _ => Err(packet::Misunderstood.into()),
    }
}

fn hear(gate: &mut UnixStream) -> Result<ToNla, ServeError> {
    let mut header = [0; HEADER_BYTES];
    gate.read_exact(&mut header)?;
    let mut body = vec![0; packet::body_length(header)?];
    gate.read_exact(&mut body)?;
    let [kind, ..] = header;
    Ok(ToNla::read(kind, body)?)
}

fn say(gate: &mut UnixStream, packet: &ToGate) -> Result<(), ServeError> {
    let mut bytes = packet.write();
    let written = gate.write_all(&bytes);
    bytes.zeroize();
    Ok(written?)
}
