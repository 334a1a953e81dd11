//! What is asked of the bundled RDP client, and what it tells.

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
    /// Desktop width asked for; the host may choose another.
    pub width: u16,
    /// Desktop height asked for; the host may choose another.
    pub height: u16,
    /// The whole handshake must be done by then.
    pub connect_timeout: Duration,
}

// Names and passwords must not reach a log by habit.
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
    /// The screen changed. Of several states that wait, only the last is kept.
    Screen(ScreenState),
    /// The connection is over; nothing follows.
    Ended {
        /// Why, if it did not end in good order.
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

/// Why there is no connection. Each message says who is at fault and what to do.
#[derive(Debug, thiserror::Error)]
pub enum RdpError {
    /// The name has no address.
    #[error("the host name cannot be resolved: {0}. Check its spelling and this device's network.")]
    UnknownHost(std::io::Error),
    /// The machine is there, but nothing listens.
    #[error(
        "the host refused the connection on port {0}. The RDP host is not running there; check the port, or ask the VDI admin."
    )]
    Refused(u16),
    /// The network has no way to the host.
    #[error("the host cannot be reached: {0}. Check this device's network and VPN.")]
    Unreachable(std::io::Error),
    /// Too slow, at any step.
    #[error(
        "the host did not finish the connection within {0} s. The network is slow or the host is overloaded; try again."
    )]
    TimedOut(u64),
    /// Something else than RDP answered.
    #[error("what answered does not speak RDP: {0}. Check host and port.")]
    NotRdp(String),
    /// RDP, but not with TLS.
    #[error(
        "the host does not offer TLS security without NLA: {0}. The VDI admin must allow TLS for this client."
    )]
    Security(String),
    /// The TLS handshake failed.
    #[error("TLS with the host failed: {0}. Its certificate or TLS version is at fault; tell the VDI admin.")]
    Tls(String),
    /// User name or password refused.
    #[error("the host refused the log-on. Check user name and password, or ask the VDI admin.")]
    LoginRefused,
    /// The RDP handshake broke off after TLS.
    #[error("the host ended the RDP handshake: {0}. Its log says why; tell the VDI admin.")]
    Handshake(String),
    /// This device has no thread or event queue left.
    #[error("this device refused a thread or an event queue: {0}. Close other programs and try again.")]
    System(std::io::Error),
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No channel.
    #[error("the channel is not open. Wait for the host to open it.")]
    NotOpen,
    /// The host does not read.
    #[error(
        "too many messages wait, because the host does not take them. The connection is as good as lost."
    )]
    QueueFull,
    /// Larger than [`MAX_MESSAGE_BYTES`].
    #[error("the message is over the limit of 256 KiB. This is a fault of this program.")]
    TooLarge,
}
