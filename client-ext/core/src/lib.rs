//! What the client decides, without any camera, network, disk or clock.
//!
//! ```text
//!  frame ─► face/ (where, whose, which way) · light ─► presence ─► report ─► link ─► switch ─► messages
//!                                                                   │
//!  evidence/ (the moments of an incident, whose face is hidden) ◄───┘        spool (not yet acknowledged)
//! ```
//! Pure: pictures, randomness and time come in as arguments, decisions and messages go out, so that the whole of it
//! runs on virtual time in the simulation. Deliberately absent: anything that opens, waits or asks what time it is.

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
