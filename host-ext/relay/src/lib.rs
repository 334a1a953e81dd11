//! The core of the gate: a relay between an RDP client and the host that it wants, which can cover what is shown.
//!
//! ```text
//!  client ─► bytes ─► frames ─┐                                          ┌─► bytes ─► client
//!                             ├─► connect (a phase at a time) ─► live ────┤
//!  host   ─► bytes ─► frames ─┘    X.224, settings, joins,       covered  └─► bytes ─► host
//!                                  Client Info, licence          or visible ─► events ─► guard
//! ```
//! Everything here is pure: bytes and time are arguments, bytes and events are results. A runtime reads and writes
//! the sockets, ends TLS on both legs, and asks the guard whether the desktop may be seen.
//!
//! While it may, bytes pass as they came, and no picture is decoded. While it may not, what the host draws is
//! held, the client is sent black, and what it types goes nowhere. Whatever is not understood ends the connection.
//! Hosts draw bitmaps, and by policy also on the surfaces of the graphics pipeline ([MS-RDPEGFX]).
//!
//! **Deliberately absent:** clocks, threads, files and sockets, which clippy.toml bans; TLS, and what CredSSP's tokens
//! mean; codecs of what hosts draw; and the decision to cover, which is the guard's.
//!
//! | module | what |
//! |---|---|
//! | `limits` | every bound that a peer can run into |
//! | `table` | everything that RDP carries, and what is done with it |
//! | `openings` | the channels that an organisation may open |
//! | `policy` | what is let through, and what a host of its kind needs |
//! | `error` | why a connection ends: who, when, what |
//! | `frames` | a stream of bytes into whole frames |
//! | `wire` | the headers that the gate reads and writes |
//! | `connect` | how a connection begins, one type per phase |
//! | `credssp` | CredSSP as bytes, and who talks about it |
//! | `live` | the session, covered or visible |
//! | `stand_in` | a host that shows nothing, where there is none to be led to |
//! | `recording` | what of it a screenshot is made of |
//! | `entry` | where a fuzzer begins |

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

pub mod connect;
pub mod credssp;
pub mod entry;
pub mod error;
pub mod frames;
pub mod limits;
pub mod live;
pub mod openings;
pub mod policy;
pub mod recording;
pub mod stand_in;
pub mod table;
pub mod wire;

pub use connect::{Connection, Out};
pub use error::{Broken, Fault, Side, Stage};
pub use live::{ChannelEvent, CoverKey, Event, Live, Mark, Shown, Size, Tile, Unit};
pub use policy::{Policy, Rule};
pub use recording::Recording;
pub use stand_in::StandIn;
