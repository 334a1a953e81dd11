//! How a connection begins, one type per phase ([MS-RDPBCGR] 1.3.1.1).
//!
//! ```text
//!  Negotiate ─► Asked ─► (TLS, CredSSP: the runtime's) ─► Initial ─► Response ─► Join ─► Licence ─► Live
//!  X.224 request  confirm                                 MCS, GCC   MCS, GCC    attach   Client     Demand Active
//!                                                                                join     Info       and all the rest
//! ```
//! | module | what |
//! |---|---|
//! | `negotiate` | which protocols both legs use, and who asks |
//! | `gcc` | blocks of settings, edited in place |
//! | `initial` | the client's settings: channels by name; no other transport, RDPGFX only by policy |
//! | `response` | the host's settings: channels by number; no encryption of its own |
//! | `join` | the user's id and the channels |
//! | `info` | Client Info: who logs on; no bulk compression |
//! | `licence` | licensing, which passes |
//! | `sideband` | the message channel: measurements pass, other transports do not |
//!
//! Anything that does not belong to a phase ends the connection. Whatever passes is unchanged, except for the
//! fields named in these modules.

pub(crate) mod gcc;
pub mod info;
mod initial;
mod join;
mod licence;
pub mod negotiate;
mod response;
pub(crate) mod sideband;
#[cfg(test)]
pub(crate) mod tests;

pub use initial::Initial;
pub use join::Join;
pub use licence::Licence;
pub use response::Response;

use crate::error::{Broken, Fault, Side, Stage};
use crate::live::Live;
use crate::policy::Rule;

/// What a phase wants written; the session has its own queues.
#[derive(Debug, Default)]
pub struct Out {
    /// To the client.
    pub to_client: Vec<u8>,
    /// To the host.
    pub to_host: Vec<u8>,
}

/// A connection behind TLS, as far as it has come.
#[derive(Debug)]
pub enum Connection {
    /// Waits for the client's settings.
    Initial(Initial),
    /// Waits for the host's.
    Response(Response),
    /// Channels are joined.
    Join(Join),
    /// The host checks the client's licence.
    Licence(Licence),
    /// The session, which begins covered.
    Live(Box<Live>),
}

/// One phase before the session.
trait Phase: Sized {
    const STAGE: Stage;
    fn client(self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault>;
    fn host(self, frame: &[u8], out: &mut Out) -> Result<Connection, Fault>;
}

impl Connection {
    /// Behind TLS on both legs.
    #[must_use]
    pub fn new(agreed: negotiate::Agreed) -> Self {
        Self::Initial(Initial::new(agreed))
    }

    /// Takes a frame of the client.
    ///
    /// # Errors
    /// If it does not belong to this phase; the connection must end.
    pub fn client(self, now_ms: u64, frame: &[u8], out: &mut Out) -> Result<Self, Broken> {
        let (stage, result) = match self {
            Self::Initial(phase) => (Initial::STAGE, phase.client(frame, out)),
            Self::Response(phase) => (Response::STAGE, phase.client(frame, out)),
            Self::Join(phase) => (Join::STAGE, phase.client(frame, out)),
            Self::Licence(phase) => (Licence::STAGE, phase.client(frame, out)),
            Self::Live(mut live) => {
                live.from_client(now_ms, frame)?;
                return Ok(Self::Live(live));
            }
        };
        result.map_err(|fault| fault.of(Side::Client, stage))
    }

    /// Takes a frame of the host.
    ///
    /// # Errors
    /// If it does not belong to this phase; the connection must end.
    pub fn host(self, now_ms: u64, frame: &[u8], out: &mut Out) -> Result<Self, Broken> {
        let (stage, result) = match self {
            Self::Initial(phase) => (Initial::STAGE, phase.host(frame, out)),
            Self::Response(phase) => (Response::STAGE, phase.host(frame, out)),
            Self::Join(phase) => (Join::STAGE, phase.host(frame, out)),
            Self::Licence(phase) => (Licence::STAGE, phase.host(frame, out)),
            Self::Live(mut live) => {
                live.from_host(now_ms, frame)?;
                return Ok(Self::Live(live));
            }
        };
        result.map_err(|fault| fault.of(Side::Host, stage))
    }
}

/// A static channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticChannel {
    /// Its number on this connection.
    pub id: u16,
    /// The client's name for it.
    pub name: String,
    /// What happens on it.
    pub rule: Rule,
}

/// The channels of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channels {
    /// Where the share talks.
    pub io: u16,
    /// The message channel, if both sides have it.
    pub message: Option<u16>,
    /// The client's own; 0 until it is attached.
    pub user: u16,
    /// All others, in the order of CS_NET.
    pub statics: Vec<StaticChannel>,
}

/// The static channel that carries the dynamic ones.
pub const DRDYNVC: &str = "drdynvc";

impl Channels {
    /// The number of drdynvc, if the client asked for it.
    #[must_use]
    pub fn drdynvc(&self) -> Option<u16> {
        self.statics.iter().find(|channel| channel.name == DRDYNVC).map(|channel| channel.id)
    }

    fn has(&self, id: u16) -> bool {
        id == self.io
            || id == self.user
            || Some(id) == self.message
            || self.statics.iter().any(|channel| channel.id == id)
    }
}
