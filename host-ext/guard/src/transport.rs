//! What a host transport offers to the part that decides, and what it is told to do.
//!
//! A transport (`ironrdp`: the embedded RDP host; `xrdp`: a session of xrdp) owns the
//! connection. For each session it asks a [`DriverFactory`] for a [`SessionDriver`], feeds it
//! events, and carries out the [`Action`]s it returns, in their order:
//!
//! ```text
//!            on_link, on_tick (50 ms), on_painted, on_snapshot, on_key, on_notice
//! transport ───────────────────────────────────────────────────► SessionDriver
//!           ◄─────────────────────────────────────────────────── (decides, never blocks)
//!            Send, Cover, Uncover, Snapshot, Disconnect
//! ```
//!
//! Every session **starts covered**: the first pixels a client gets are black, and pixels of
//! the desktop are only encoded between [`Action::Uncover`] and the next [`Action::Cover`].

use std::fmt;
use std::sync::Arc;

use sudare_protocol::evidence::note::NoteCode;

/// What happened to the virtual channel of a session.
///
/// A channel that the client closes may be opened again: `Closed`, then `Opened`.
pub enum LinkEvent {
    /// The client's extension opened the channel; messages can be sent from now on.
    Opened,
    /// One whole channel message, as the peer sent it (reassembled, not yet verified).
    Bytes(Vec<u8>),
    /// The client answered that it has no such extension.
    Missing,
    /// The channel is gone while the connection goes on: closed by the client, or broken.
    Closed,
    /// The whole connection ended: no pixel can reach anybody any more. Nothing follows.
    Disconnected,
}

impl fmt::Debug for LinkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened => f.write_str("Opened"),
            Self::Bytes(bytes) => write!(f, "Bytes({} B)", bytes.len()),
            Self::Missing => f.write_str("Missing"),
            Self::Closed => f.write_str("Closed"),
            Self::Disconnected => f.write_str("Disconnected"),
        }
    }
}

/// The picture of the session at one moment: BGRA, `width * height * 4` bytes, top row first.
#[derive(Clone)]
pub struct Picture {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// The pixels; blue, green, red, and a fourth byte without meaning.
    pub bgra: Arc<[u8]>,
}

// The picture shows confidential data, so it must not reach a log by habit.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// What the deciding part wants done. Actions of one batch are carried out in their order.
pub enum Action {
    /// Sends one message over the channel.
    Send(Vec<u8>),
    /// Covers the screen: black at once, then this text. It overtakes desktop pixels that wait.
    Cover(CoverText),
    /// Shows the desktop.
    Uncover,
    /// Asks for a picture of the session's desktop as it is now, answered by
    /// [`SessionDriver::on_snapshot`] with the same ticket. Never delays a cover.
    Snapshot(u64),
    /// Ends the connection; `advice` says why and what to do.
    Disconnect {
        /// Two short sentences for the host's log.
        advice: String,
    },
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} B)", bytes.len()),
            Self::Cover(text) => write!(f, "Cover({} lines)", text.lines.len()),
            Self::Uncover => f.write_str("Uncover"),
            Self::Snapshot(ticket) => write!(f, "Snapshot({ticket})"),
            Self::Disconnect { advice } => write!(f, "Disconnect({advice})"),
        }
    }
}

/// What the cover says, Japanese and English, made by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoverText {
    /// One line each; the first is the headline. An empty list leaves the cover black.
    pub lines: Vec<String>,
}

/// What the client has been sent completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Painted {
    /// The whole screen is black (the text follows). Reported each time the screen turns black,
    /// the first black frame of the connection included, and not when only the text changes.
    Covered,
    /// The whole desktop was sent after an uncover. Not reported if a cover came first.
    Visible,
}

/// The keys that work on a cover, where the transport can tell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoverKey {
    /// What is this, and whom do I ask?
    Help,
    /// Begin a break (the camera goes off), or end it.
    Break,
    /// This cover was wrong.
    WrongBlock,
}

/// Somebody worked against the cover, or something had to be done to keep it up; the log has a
/// note of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CoverNotice {
    CompositorEnded = NoteCode::CompositorEnded.number(),
    IntruderRemoved = NoteCode::IntruderRemoved.number(),
    CoverRestored = NoteCode::CoverRestored.number(),
    GrabTaken = NoteCode::GrabTaken.number(),
    CoverReplaced = NoteCode::CoverReplaced.number(),
    LateStart = NoteCode::LateStart.number(),
}

/// The deciding part of one session; called only from the session's own task, so it must not
/// block: no file, no socket, no long computation.
pub trait SessionDriver: Send {
    /// The channel changed or brought a message.
    fn on_link(&mut self, event: LinkEvent, actions: &mut Vec<Action>);
    /// Every 50 ms.
    fn on_tick(&mut self, actions: &mut Vec<Action>);
    /// After the frame was **written** (flushed) to the socket.
    fn on_painted(&mut self, painted: Painted, actions: &mut Vec<Action>);
    /// The answer to [`Action::Snapshot`].
    fn on_snapshot(&mut self, ticket: u64, picture: Picture, actions: &mut Vec<Action>);
    /// Somebody pressed a key of the cover; only from transports with [`Seat::keys`].
    fn on_key(&mut self, _key: CoverKey, _actions: &mut Vec<Action>) {}
    /// Worth an entry in the log.
    fn on_notice(&mut self, _notice: CoverNotice) {}
}

/// Who sits at a session, as far as the transport knows.
#[derive(Clone, Default)]
pub struct Seat {
    /// The user. From the embedded host this is what the client **claims** at log-on and nothing
    /// has verified it, so it may select a record but never grant anything.
    pub user: Option<String>,
    /// Whether the cover's keys work here.
    pub keys: bool,
}

// A name must not reach a log by habit.
impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat(keys {})", self.keys)
    }
}

/// Makes the deciding part of each session.
pub trait DriverFactory: Send + Sync + 'static {
    /// A client connected.
    fn session(&self, seat: Seat) -> Box<dyn SessionDriver>;
}
