//! The seam between the part that decides ([`SessionDriver`]) and what it decides about: a transport and a
//! cover. Nothing here knows of RDP.
//!
//! ```text
//!  Transport ─ SessionEvent::Link ──┐                         ┌─► Transport: send, disconnect
//!  Cover ───── SessionEvent::Cover ─┼─► SessionDriver ─ Action ┤
//!  50 ms ───── SessionEvent::Tick ──┘   (never blocks)         └─► Cover: cover, uncover, screenshot
//! ```
//!
//! Whoever owns the connection (`sudare-gate`: a relay; `sudare-embedded`: its own RDP host) asks a
//! [`DriverFactory`] for a driver, feeds it events with the time at which they came, and has
//! [`carry_out`] do what it returns. Another transport or another cover implements its trait, and
//! nothing in `session` or `decision` changes.
//!
//! Every session **starts covered**: the first pixels a client gets are black, and pixels of the
//! desktop are only encoded between [`Action::Uncover`] and the next [`Action::Cover`].

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::fmt;

use sudare_base::clock::Now;
use sudare_protocol::evidence::note::Missing;
use sudare_protocol::message::Shown;

use crate::screen::{CoverText, Screenshot};

/// The connection to the client.
pub trait Transport {
    /// Sends one message over the channel. Without an open channel it is dropped.
    fn send(&mut self, message: Vec<u8>);
    /// Ends the connection; `advice` says why and what to do, for the host's log.
    fn disconnect(&mut self, advice: String);

    /// Closes the channel and opens it again. A transport that cannot ends the connection: the desktop stays.
    fn reopen(&mut self) {
        self.disconnect("There is a newer policy. Connect again to go on under it.".into());
    }
}

/// What stands between the desktop and the client.
pub trait Cover {
    /// Covers: black at once, overtaking desktop pixels that wait, then this text. While covered only
    /// the text changes. `screenshot` is the ticket of a screenshot of what was visible until now.
    fn cover(&mut self, text: CoverText, screenshot: Option<u64>, now_ms: u64);
    /// Lights the cover with one colour outside its panel, or puts it back to black with `None`. Only while covered;
    /// whatever ends the cover ends the light.
    fn light(&mut self, rgb: Option<[u8; 3]>);
    /// Shows the desktop.
    fn uncover(&mut self);
    /// Takes a screenshot of the desktop without changing what is shown. Never delays a cover.
    fn screenshot(&mut self, ticket: u64);
}

/// Has transport and cover do what the driver decided, in its order.
pub fn carry_out(actions: Vec<Action>, now_ms: u64, transport: &mut impl Transport, cover: &mut impl Cover) {
    // Taken in the same moment as the cover, if one follows.
    let mut wanted = None;
    for action in actions {
        match action {
            Action::Send(message) => transport.send(message),
            Action::Screenshot(ticket) => {
                if let Some(earlier) = wanted.replace(ticket) {
                    cover.screenshot(earlier);
                }
            }
            Action::Cover(text) => cover.cover(text, wanted.take(), now_ms),
            Action::Light(rgb) => cover.light(rgb),
            Action::Uncover => cover.uncover(),
            Action::Reopen => transport.reopen(),
            Action::Disconnect { advice } => transport.disconnect(advice),
        }
    }
    if let Some(ticket) = wanted {
        cover.screenshot(ticket);
    }
}

/// What happened to a session.
#[derive(Debug)]
pub enum SessionEvent {
    /// Every 50 ms.
    Tick,
    Link(LinkEvent),
    Cover(CoverEvent),
    /// Whose desktop the connection shows; only where [`SessionInfo::owner`] is [`OwnerRule::Kernel`].
    Owner(Owner),
}

/// Whose desktop a connection shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: the host asks who is there.
    LoginScreen,
    /// Nobody's yet: somebody is signing in.
    SigningIn,
    /// This user's.
    Session { uid: u32 },
    /// It cannot be told. What an administrator needs to know of it, in a few characters, such as "errno 1".
    Unknown(String),
}

/// What tells whose desktop a connection shows; the log says which it was. Numbers are those of note 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerRule {
    /// The kernel, by who runs the session's X server. The name at log-on does not count.
    Kernel,
    /// The credentials that were verified at log-on.
    Credentials,
    /// Nothing but the name that the client gives, if it gives any.
    Policy,
}

impl OwnerRule {
    /// The value of the note.
    pub fn number(self) -> u64 {
        match self {
            Self::Kernel => 1,
            Self::Credentials => 2,
            Self::Policy => 3,
        }
    }
}

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

/// What a cover reports.
#[derive(Debug)]
pub enum CoverEvent {
    /// `Covered`: nothing but black can be seen any more, confirmed where it is shown; reported each time
    /// the screen turns black, the first time included, and not when only the text changes. `Visible`:
    /// the whole desktop is shown; not reported if a cover came first.
    Painted(Shown),
    /// The answer to a request for a screenshot, with its ticket.
    Screenshot { ticket: u64, screenshot: Screenshot },
    /// The same: there will be none, and why. The incident waits no longer for it, and the log says so.
    ScreenshotMissing { ticket: u64, why: Missing },
    /// Somebody pressed a key of the cover; only where [`SessionInfo::keys`] is set.
    Key(CoverKey),
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
    /// End this connection; pressed twice.
    Leave,
}

/// What the driver wants done.
pub enum Action {
    /// Sends one message over the channel.
    Send(Vec<u8>),
    Cover(CoverText),
    /// Lights the cover, or puts it back to black.
    Light(Option<[u8; 3]>),
    Uncover,
    /// Takes a screenshot, answered by [`CoverEvent::Screenshot`] or [`CoverEvent::ScreenshotMissing`] with this ticket.
    Screenshot(u64),
    /// Closes the channel and opens it again, so that the client begins anew: under another policy.
    Reopen,
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
            Self::Light(rgb) => write!(f, "Light({rgb:?})"),
            Self::Uncover => f.write_str("Uncover"),
            Self::Screenshot(ticket) => write!(f, "Screenshot({ticket})"),
            Self::Reopen => f.write_str("Reopen"),
            Self::Disconnect { advice } => write!(f, "Disconnect({advice})"),
        }
    }
}

/// The deciding part of one session. Its caller is the session's own task, so it must not block:
/// no file, no socket, no long computation.
pub trait SessionDriver: Send {
    fn handle(&mut self, now: Now, event: SessionEvent) -> Vec<Action>;
}

/// What the transport knows of a session.
#[derive(Clone, Default)]
pub struct SessionInfo {
    /// The user. From the embedded host this is what the client **claims** at log-on and nothing
    /// has verified it, so it may select a record but never grant anything.
    pub user: Option<String>,
    /// Whether the cover's keys work here.
    pub keys: bool,
    /// What tells whose desktop it is. None where a guard belongs to one desktop from its start.
    pub owner: Option<OwnerRule>,
    /// Of the TLS session of the pixels, where this process ends it (HELLO's `tls_exporter`).
    pub tls_exporter: Option<[u8; 32]>,
}

// A name must not reach a log by habit.
impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionInfo(keys {})", self.keys)
    }
}

/// Makes the deciding part of each session.
pub trait DriverFactory: Send + Sync + 'static {
    /// A client connected.
    fn session(&self, info: SessionInfo, now: Now) -> Box<dyn SessionDriver>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorded(Vec<String>);

    impl Transport for Recorded {
        fn send(&mut self, message: Vec<u8>) {
            self.0.push(format!("send {message:?}"));
        }

        fn disconnect(&mut self, advice: String) {
            self.0.push(format!("disconnect {advice}"));
        }
    }

    impl Cover for Recorded {
        fn cover(&mut self, text: CoverText, screenshot: Option<u64>, now_ms: u64) {
            self.0.push(format!("cover {:?} {screenshot:?} at {now_ms}", text.lines));
        }

        fn light(&mut self, rgb: Option<[u8; 3]>) {
            self.0.push(format!("light {rgb:?}"));
        }

        fn uncover(&mut self) {
            self.0.push("uncover".into());
        }

        fn screenshot(&mut self, ticket: u64) {
            self.0.push(format!("screenshot {ticket}"));
        }
    }

    #[test]
    fn a_screenshot_is_taken_in_the_moment_of_its_cover_and_none_is_lost() {
        let (mut transport, mut cover) = (Recorded::default(), Recorded::default());
        let text = CoverText { lines: vec!["away".into()] };
        let actions = vec![
            Action::Screenshot(1),
            Action::Screenshot(2),
            Action::Send(vec![7]),
            Action::Cover(text),
            Action::Screenshot(3),
            Action::Light(Some([1, 2, 3])),
            Action::Uncover,
            Action::Reopen,
            Action::Disconnect { advice: "why".into() },
        ];
        carry_out(actions, 5, &mut transport, &mut cover);
        let newer = "disconnect There is a newer policy. Connect again to go on under it.";
        assert_eq!(transport.0, ["send [7]", newer, "disconnect why"]);
        let cover_with_screenshot = r#"cover ["away"] Some(2) at 5"#;
        let done =
            ["screenshot 1", cover_with_screenshot, "light Some([1, 2, 3])", "uncover", "screenshot 3"];
        assert_eq!(cover.0, done);
    }
}
