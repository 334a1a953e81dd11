//! The embedded host: an RDP server with a synthetic desktop, for the demo and the tests. It records its own evidence.
//!
//! ```text
//!  host ──► server ──► handshake ──► session (one task per client) ──► outbox ──► client
//!  (keys, evidence,                    │  ├─ gate ── desktop, encode     which pixels may be sent
//!   guard's sessions)                  │  └─ channels ── processor       Sudare's messages
//!                                      └─ decisions: the guard's SessionDriver
//! ```
//!
//! | module | what |
//! |---|---|
//! | host | assembles a host: keys, recorder, the guard's sessions, RDP server |
//! | server | accepts connections and gives each session a thread |
//! | identity | the self-signed TLS certificate |
//! | handshake | from an accepted connection to an RDP session |
//! | session | one session: carries out the driver's actions, in order |
//! | gate | which pixels may be encoded next. Pure |
//! | desktop | the synthetic desktop |
//! | encode | pixels as RDP bitmap updates |
//! | channels, processor | the virtual channels of a session; the dynamic channel `SUDARE` |
//! | outbox | what waits to be written to the client |
//!
//! It speaks TLS security (no NLA). `ironrdp-server` is not used, because it offers no custom dynamic channels and does
//! not say when a frame was written.
//!
//! Deliberately absent: a check of user name and password, and input. Only the Sudare protocol opens the display; a
//! client without the extension sees the cover and nothing else. Not for production.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod channels;
pub mod desktop;
mod encode;
mod gate;
mod handshake;
pub mod host;
pub mod identity;
mod outbox;
mod processor;
mod server;
mod session;

pub use server::{EmbeddedHost, HostError, HostHandle};
