//! Events of a session, and what its driver has to do: one vocabulary from the decision to the command line.
//!
//! ```text
//!  session ─ Output ─► selector ─ Output ─► driver ─ Event ─► plugin, `sudare connect`, tests
//! ```

use sudare_protocol::Refusal;
use sudare_protocol::message::{Ack, CertificateCheck, Status};
use sudare_protocol::notice::Notice;
use sudare_protocol::receipt::ReceiptError;
use sudare_protocol::records::Signed;
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::withdrawal::Receipt as WithdrawalReceipt;

use crate::presence::Decision;
use crate::report::Incident;
use crate::spool::Spool;

/// A channel, for as long as the process lives.
pub type ChannelId = u64;

/// What happened, for people and programs.
#[derive(Debug)]
pub enum Event {
    /// The host proved itself; the session is live.
    Ready { host_id: String, certificate: CertificateCheck, user: Option<String> },
    /// The decision changed. A client with a window of its own covers it by `cover`.
    Decided(Decision),
    /// What the host shows.
    Status(Status),
    /// The host keeps an incident: the receipt.
    Receipt(Ack),
    /// The host says that it keeps an incident, and does not prove it: the evidence is kept here.
    Unproven(ReceiptError),
    /// The operator's break on the host's cover began or ended; the camera is off during it.
    Break(bool),
    /// A channel was refused; `live` tells whether it was the host's.
    Refused { refusal: Refusal, live: bool },
    /// A channel that proved nothing was closed, and why.
    Dropped(&'static str),
    /// Nothing can be seen, and why.
    Trouble(String),
    /// The organisation tells something that nobody has accepted on this device yet. Nothing looks before.
    Notice(Box<Notice>),
    /// The host has acted on the consent that was taken back: its receipt.
    Withdrawn(Box<Signed<WithdrawalReceipt>>),
    /// The operator is recognised less and less well, and should enrol again.
    EnrolAgain,
    /// The host's channel is gone; this many incidents wait for it to come back.
    Over { waiting: usize },
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Output {
    /// Put these bytes on this channel.
    Send(ChannelId, Vec<u8>),
    /// Close this channel, and forget it.
    Close(ChannelId),
    /// Watch for these operators. Follows [`Event::Ready`].
    Watch(Vec<OperatorTemplate>),
    /// Pictures of this incident are due: seal them and hand them to `evidence`.
    Incident(Incident),
    /// No channel is the host's any more; its evidence that was not acknowledged.
    Ended { host_id: String, unacknowledged: Spool },
    /// Tell people and programs. A break also turns the camera off or on.
    Tell(Event),
}
