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
//!
//! | module | what |
//! |---|---|
//! | `presence` | looks and policy in, cover or not out; starts covered |
//! | `report` | a decision becomes messages; a change is told at once |
//! | `session` | the client's side of one session: handshake, presence, evidence |
//! | `selector` | which of several channels is the host's; only a proven host learns anything |
//! | `event` | what happens, and what to do about it: one vocabulary for session, selector and driver |
//! | `live` | how light on a face follows, measured for the host's check that somebody alive is there |
//! | `evidence` | pictures of an incident: which frames, which faces are pixelated |
//! | `face` | faces followed from frame to frame, compared and rotated |
//! | `attention`, `motion` | where the detector looks, and how closely |
//! | `screens` | televisions and monitors in the room |
//! | `phone`, `live` | when to look for phones, and when there is one; what denies that a face is alive |
//! | `frame`, `light`, `lens` | a picture as pixels; whether it is dark or uniform; whether the view is lost |
//! | `camera` | whether a camera is frozen, plays a recording over and over, or is a program |
//! | `spool` | evidence that no host acknowledged yet, as a trait |

pub mod attention;
pub mod camera;
pub mod event;
pub mod evidence;
pub mod face;
pub mod frame;
pub mod lens;
pub mod light;
pub mod live;
pub mod motion;
pub mod phone;
pub mod presence;
pub mod report;
pub mod screens;
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
