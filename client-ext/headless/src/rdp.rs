//! The interface of the bundled RDP client: options, events, errors.

use std::fmt;
use std::time::Duration;

use crate::screen::ScreenState;

/// The largest channel message sent or accepted.
pub const MAX_MESSAGE_BYTES: usize = sudare_protocol::screen::CHANNEL_WRITE_MAX_BYTES;

/// Where to connect, and as whom.
#[derive(Clone)]
pub struct RdpOptions {
    /// Host name or address.
    pub host: String,
    /// TCP port, usually 3389.
    pub port: u16,
    /// User name, sent inside TLS.
    pub user: String,
    /// Password, sent inside TLS.
    pub password: String,
    /// Requested desktop width; the host may choose another.
    pub width: u16,
    /// Requested desktop height; the host may choose another.
    pub height: u16,
    /// The whole handshake must finish within this time.
    pub connect_timeout: Duration,
}

// Names and passwords must not reach a log by accident.
impl fmt::Debug for RdpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdpOptions")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

/// What happens on the connection.
pub enum RdpEvent {
    /// The host opened the channel; [`RdpHandle::send`] works from now on.
    ChannelOpened,
    /// One whole channel message (reassembled, not verified).
    ChannelBytes(Vec<u8>),
    /// The host closed the channel; it may open it again.
    ChannelClosed,
    /// The screen changed. Of several waiting states, only the last is kept.
    Screen(ScreenState),
    /// The connection is over; nothing follows.
    Ended {
        /// Why, if it did not end normally.
        error: Option<String>,
    },
}

impl fmt::Debug for RdpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChannelOpened => f.write_str("ChannelOpened"),
            Self::ChannelBytes(bytes) => write!(f, "ChannelBytes({} B)", bytes.len()),
            Self::ChannelClosed => f.write_str("ChannelClosed"),
            Self::Screen(state) => write!(f, "Screen({state:?})"),
            Self::Ended { error } => write!(f, "Ended({error:?})"),
        }
    }
}

/// Why the connection failed. Each message says who is at fault and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RdpError {
    /// The name cannot be resolved.
    #[error("the host name cannot be resolved: {0}. Check the spelling and this device's network")]
    UnknownHost(std::io::Error),
    /// The machine is up, but nothing listens on the port.
    #[error(
        "the host refused the connection on port {0}. Check the port, or ask the VDI administrator whether the RDP server is running"
    )]
    Refused(u16),
    /// There is no route to the host.
    #[error("the host cannot be reached: {0}. Check this device's network and VPN")]
    Unreachable(std::io::Error),
    /// Any step took too long.
    #[error(
        "the host did not complete the connection within {0} s. Try again; the network is slow or the host is overloaded"
    )]
    TimedOut(u64),
    /// Something other than an RDP server answered.
    #[error("the server does not speak RDP: {0}. Check host and port")]
    NotRdp(String),
    /// RDP, but not with TLS.
    #[error(
        "the host does not offer TLS security without NLA: {0}. Ask the VDI administrator to allow TLS for this client"
    )]
    Security(String),
    /// The TLS handshake failed.
    #[error(
        "TLS with the host failed: {0}. Tell the VDI administrator; the host's certificate or TLS version is at fault"
    )]
    Tls(String),
    /// User name or password refused.
    #[error("the host refused the log-on. Check user name and password, or ask the VDI administrator")]
    LoginRefused,
    /// The RDP handshake broke off after TLS.
    #[error("the host ended the RDP handshake: {0}. Tell the VDI administrator; the host's log says why")]
    Handshake(String),
    /// This device is out of threads or event queues.
    #[error("cannot start a thread or an event queue: {0}. Close other programs and try again")]
    System(std::io::Error),
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no channel.
    #[error("the channel is not open. Wait for the host to open it")]
    NotOpen,
    /// The host does not read.
    #[error("too many messages are waiting, because the host does not read them. Connect again")]
    QueueFull,
    /// Larger than [`MAX_MESSAGE_BYTES`].
    #[error("the message exceeds the limit of 256 KiB. Report this fault of the client")]
    TooLarge,
}
