//! Why a connection ends: who broke what, and when, in one sentence each.

use std::fmt;

/// One of the two ends that the gate stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The employee's RDP client.
    Client,
    /// The RDP server behind the gate.
    Host,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Host => "host",
        })
    }
}

/// How far a connection has come ([MS-RDPBCGR] 1.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// X.224: which security both legs use.
    Negotiation,
    /// MCS Connect Initial and Connect Response: sizes and channels.
    Settings,
    /// Attach User and Channel Join.
    Joining,
    /// Client Info and licensing.
    Licensing,
    /// Everything after it, a new activation included.
    Session,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negotiation => "the negotiation",
            Self::Settings => "the exchange of settings",
            Self::Joining => "the joining of channels",
            Self::Licensing => "the licensing",
            Self::Session => "the session",
        })
    }
}

/// A connection that must end, because what comes next cannot be followed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: the {side} {fault}")]
pub struct Broken {
    /// Who sent it.
    pub side: Side,
    /// When.
    pub stage: Stage,
    /// What it was.
    pub fault: Fault,
}

/// What was wrong with it; the sentence begins with "the client" or "the host".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A field lies behind the end.
    #[error("sent a message that ends before its fields do")]
    Short,
    /// Two lengths that should agree.
    #[error("sent a message whose lengths contradict each other")]
    Length,
    /// Neither TPKT nor fast-path.
    #[error("sent bytes that begin no frame of RDP")]
    NoFrame,
    /// A value that no specification knows.
    #[error("sent a message of a kind that the gate does not know")]
    Unknown,
    /// A message that is known, but not now.
    #[error("sent a message out of turn")]
    OutOfTurn,
    /// Something past a bound of `limits`.
    #[error("sent more than the gate takes")]
    TooMuch,
    /// What is held during a cover has a bound.
    #[error("sent more during the cover than the gate holds")]
    Overflow,
    /// Bulk compression was taken out of the negotiation.
    #[error("compresses, although nobody asked for it. Turn bulk compression off there")]
    Compressed,
    /// RDP's own encryption, which TLS replaces.
    #[error("encrypts inside TLS. Set its security layer to TLS")]
    Encrypted,
    /// No negotiation request, or one without TLS.
    #[error("does not offer the security that the gate needs. Allow TLS there")]
    NoTls,
    /// Neither leaves a password to the gate.
    #[error(
        "asks for Restricted Admin or Remote Credential Guard. Turn it off there: the gate cannot pass it on"
    )]
    NoPassword,
    /// A password that would be taken for a hash.
    #[error("sent a password that begins like a hash of one. Choose another password")]
    HashAsPassword,
    /// A negotiation failure, with its code ([MS-RDPBCGR] 2.2.1.2.2).
    #[error("refuses the negotiation with code {0}")]
    Refused(u32),
    /// A connection that MCS itself refuses.
    #[error("refuses the conference or a channel")]
    NotAccepted,
    /// Channel data of two messages mixed.
    #[error("mixes the pieces of two messages")]
    Mixed,
    /// Moving channels to another transport would lead past the gate.
    #[error("moves a channel to another transport. Turn multitransport off there")]
    OtherTransport,
    /// ZGFX that does not decompress ([MS-RDPEGFX] 3.1.9.1).
    #[error("sent graphics that do not decompress")]
    Zgfx,
    /// A number that is not free.
    #[error("uses a number for a channel that is not its own")]
    NotItsChannel,
}

impl Fault {
    /// The fault as the end of a connection.
    #[must_use]
    pub fn of(self, side: Side, stage: Stage) -> Broken {
        Broken { side, stage, fault: self }
    }
}
