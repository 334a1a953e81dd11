//! The bundled RDP client without a window, on the ironrdp crates.
//!
//! ```text
//!  host ═ RDP ═ ironrdp/ (a thread) ─ RdpEvent ─► app ─┬─► driver: the channel
//!                └─ screen, picture: what is shown     └─► AppEvent: what people and tests see
//! ```
//! [`connect`] starts it in a thread of its own. It reports over a bounded queue of [`RdpEvent`]s: a consumer that
//! is slow slows the connection down, and loses nothing but repeated screen states. Deliberately absent: a window,
//! a keyboard and a mouse, and NLA.
//!
//! | module | what |
//! |---|---|
//! | `app` | `sudare connect`: connection, driver, screen |
//! | `pairing` | a connection that pairs this device, and asks for no desktop |
//! | `rdp`, `ironrdp` | what a connection does and tells; the same with IronRDP |
//! | `screen`, `picture` | what the client would show; a window is covered unless the decision says otherwise |

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests measure by the real clock"))]

pub mod app;
mod ironrdp;
pub mod pairing;
mod picture;
mod rdp;
mod screen;

pub use sudare_protocol::screen::CHANNEL_NAME;

pub use crate::ironrdp::{RdpHandle, connect};
pub use crate::picture::ClientPicture;
pub use crate::rdp::{MAX_MESSAGE_BYTES, RdpError, RdpEvent, RdpOptions, SendError};
pub use crate::screen::{ScreenKind, ScreenState};
