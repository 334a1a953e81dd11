//! The client's decisions, without any camera, network, disk or clock.
//!
//! ```text
//!  frame ─► face/ (where, whose, which way) · light ─► presence ─► report ─► session ─► selector ─► event
//!                                                                              │
//!  evidence/ (the moments of an incident, whose face is hidden) ◄──────────────┘   spool (not acknowledged yet)
//! ```
//! Pure: pictures, randomness and time come in as arguments, decisions and messages go out, so all of it can run on
//! virtual time. The crate's clippy.toml bans clocks, threads, files and sockets. Deliberately absent: whatever opens
//! a device, waits, or reads the time.

pub mod event;
pub mod evidence;
pub mod face;
pub mod frame;
pub mod light;
pub mod presence;
pub mod report;
pub mod selector;
pub mod session;
pub mod spool;
/// So that the runtime's tests can include the same helpers.
#[cfg(test)]
extern crate self as sudare_client_core;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_pictures;
