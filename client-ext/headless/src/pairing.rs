//! Pairing over a connection of our own: the host lets this device in, and nothing of its desktop is asked for.
//!
//! ```text
//!  look: connect ─► HELLO ─► whose host it is, what its organisation tells     nothing is answered
//!  pair: connect ─► HELLO ─► OPEN, ENROL ─► READY ─► the end
//! ```
//! A host that wants a password before it shows anything (NLA) ends this connection: there the plugin pairs, at the log-on.

use std::sync::Arc;
use std::time::Duration;

use sudare_client_runtime::clock;
use sudare_client_runtime::driver::{Driver, Identity};
use sudare_client_runtime::inbox::LookSender;
use sudare_client_runtime::membership::Membership;
use sudare_client_runtime::spool::Spools;
use sudare_client_runtime::watcher::Watcher;
use sudare_client_runtime::{Event, device};
use sudare_protocol::client::{Look, Trust, look as look_at};
use sudare_protocol::enrol::PairingCode;
use sudare_protocol::error::Code;
use sudare_protocol::eyes::Recognition;
use sudare_protocol::frame::Deframer;
use sudare_protocol::message::Digest;
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::{Refusal, SigningKey, VerifyingKey};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::app::{self, AppEvent};
use crate::rdp::{RdpError, RdpEvent, RdpOptions};

/// Events of the connection that may be waiting.
const EVENTS_MAX: usize = 64;
/// A host has answered by then, or will not.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Whatever else changes, this code will not let this device in.
const FINAL: [Code; 5] = [
    Code::InvitationUnknown,
    Code::InvitationEnded,
    Code::InvitationUsed,
    Code::InvitationRefused,
    Code::OtherOrganisation,
];

/// Why a pairing did not come about.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The connection itself.
    #[error(transparent)]
    Rdp(#[from] RdpError),
    /// One end refused; the words are the protocol's.
    #[error("{0}")]
    Refused(Refusal),
    /// It ended before anything was said.
    #[error(
        "the host ended the connection before it answered{0}. Ask the VDI administrator whether Sudare guards this host"
    )]
    Ended(String),
    /// This device.
    #[error(transparent)]
    Device(#[from] device::DeviceError),
    /// This device.
    #[error("cannot start a thread or read the system's boot id: {0}. Close other programs and try again")]
    System(std::io::Error),
}

impl PairingError {
    /// Whether the code is good, and the host's admin has to act first.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_refusal(Code::ApprovalPending)
    }

    /// Whether trying again is of no use.
    #[must_use]
    pub fn is_final(&self) -> bool {
        FINAL.iter().any(|code| self.is_refusal(*code))
    }

    /// What the host says comes as its number, in words of ours.
    fn is_refusal(&self, code: Code) -> bool {
        let Self::Refused(refusal) = self else { return false };
        refusal.code == code || refusal.detail.starts_with(&format!("code {}:", code.number()))
    }

    /// Whether the host wants a log-on first.
    #[must_use]
    pub fn wants_log_on(&self) -> bool {
        matches!(self, Self::Rdp(RdpError::Security(_)))
    }
}

/// A host that was looked at.
#[derive(Debug, Clone)]
pub struct Seen {
    pub look: Look,
    /// Of the certificate that it shows, whose beginning the code names.
    pub certificate: Digest,
}

/// Who this device has become at that host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paired {
    pub host_id: String,
    pub user: Option<String>,
}

/// Connects, and reads what the host says of itself.
///
/// # Errors
/// As the type says.
pub fn look(
    options: RdpOptions,
    organisation: Option<VerifyingKey>,
    code: &PairingCode,
) -> Result<Seen, PairingError> {
    let (events_in, mut events) = mpsc::channel(EVENTS_MAX);
    let rdp = crate::connect(options, events_in)?;
    let certificate = rdp.tls_cert_sha256;
    let trust = Trust {
        organisation,
        code: Some(code),
        tls_cert_sha256: Some(certificate),
        wall_ms: clock::wall_ms(),
    };
    let mut deframer = Deframer::default();
    let until = clock::instant() + ANSWER_WITHIN;
    let seen = loop {
        match events.try_recv() {
            Err(TryRecvError::Empty) if clock::instant() < until => std::thread::sleep(LOOK_EVERY),
            Err(TryRecvError::Empty) => break Err(ended(None)),
            Ok(RdpEvent::ChannelBytes(bytes)) => {
                deframer.push(&bytes);
                match deframer.next_frame() {
                    Ok(None) => {}
                    Ok(Some(hello)) => break look_at(&trust, &hello).map_err(PairingError::Refused),
                    Err(error) => break Err(PairingError::Refused(error.into())),
                }
            }
            Ok(RdpEvent::Ended { error }) => break Err(ended(error)),
            Ok(_) => {}
            Err(TryRecvError::Disconnected) => break Err(ended(None)),
        }
    };
    rdp.disconnect();
    Ok(Seen { look: seen?, certificate })
}

/// Has the host let this device in, with the pairing that `membership` holds.
///
/// # Errors
/// As the type says. The pairing stays in `membership`, to be tried again.
pub fn pair(
    options: RdpOptions,
    membership: Membership,
    device_key: SigningKey,
) -> Result<Paired, PairingError> {
    connect(options, membership, device_key, |event| match event {
        Event::Ready { host_id, user, .. } => Some(Ok(Paired { host_id, user })),
        Event::Refused { refusal, .. } => Some(Err(PairingError::Refused(refusal))),
        _ => None,
    })
}

/// Tells the host that consent was taken back on this device, as `membership` holds it; whether nothing is left there.
///
/// # Errors
/// As the type says. The withdrawal stays in `membership`, and is told at the next connection.
pub fn withdraw(
    options: RdpOptions,
    membership: Membership,
    device_key: SigningKey,
) -> Result<bool, PairingError> {
    connect(options, membership, device_key, |event| match event {
        Event::Withdrawn(receipt) => Some(Ok(receipt.record().erased)),
        Event::Refused { refusal, .. } => Some(Err(PairingError::Refused(refusal))),
        _ => None,
    })
}

/// One connection without a desktop, until an event answers.
fn connect<T: Send>(
    options: RdpOptions,
    membership: Membership,
    device_key: SigningKey,
    answer: impl Fn(Event) -> Option<Result<T, PairingError>> + Send + Sync,
) -> Result<T, PairingError> {
    let boot_id = device::boot_id().map_err(device::DeviceError::from)?;
    let identity = Identity { membership, device_key, boot_id, models: Vec::new() };
    let driver = Driver::new(identity, Box::new(NoWatch), Arc::new(Spools::default()))
        .map_err(PairingError::System)?;
    let inbox = driver.inbox();
    let (events_in, events) = mpsc::channel(EVENTS_MAX);
    let rdp = Arc::new(crate::connect(options, events_in)?);
    let late = inbox.clone();
    // A host without Sudare opens no channel, and goes on showing its log-on for ever.
    std::thread::Builder::new()
        .name("late".into())
        .spawn(move || {
            std::thread::sleep(ANSWER_WITHIN);
            late.stop();
        })
        .map_err(PairingError::System)?;
    let mut result = None;
    app::run(&rdp, events, driver, &mut |event, _| {
        let outcome = match event {
            AppEvent::Driver(event) => answer(event),
            AppEvent::Ended { error } => Some(Err(ended(error))),
            _ => None,
        };
        let Some(outcome) = outcome else { return };
        result.get_or_insert(outcome);
        inbox.stop();
    });
    result.unwrap_or_else(|| Err(ended(None)))
}

fn ended(error: Option<String>) -> PairingError {
    PairingError::Ended(error.map(|error| format!(" ({error})")).unwrap_or_default())
}

/// Nobody looks while a device pairs.
struct NoWatch;

impl Watcher for NoWatch {
    fn start(&mut self, _: Vec<OperatorTemplate>, _: Recognition, _: LookSender) -> anyhow::Result<()> {
        Ok(())
    }
    fn pause(&mut self, _: bool) {}
    fn stop(&mut self) {}
}
