//! The core of the gate: a relay between an RDP client and the host that it wants, which can cover what is shown.
//!
//! ```text
//!  client ─► bytes ─► frames ─► wire ─┐                              ┌─► bytes ─► client
//!                     whole     headers ├─► who says what, and may it ─┤
//!  host   ─► bytes ─► frames ─► wire ─┘                              └─► bytes ─► host
//! ```
//! Everything here is pure: bytes and time are arguments, bytes and events are results.
//!
//! | module | what |
//! |---|---|
//! | `limits` | every bound that a peer can run into |
//! | `error` | why a connection ends: who, when, what |
//! | `frames` | a stream of bytes into whole frames |
//! | `wire` | the headers that the gate reads and writes |

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

pub mod error;
pub mod frames;
pub mod limits;
pub mod wire;
