//! The client's side of Sudare: watches the webcam on the employee's PC and tells the host,
//! signed, what it may show.
//!
//! ```text
//!  camera/ ─► vision/ ─► presence ─► report ─► link ─► channel/ (RDP)
//!                                               │
//!                              evidence ◄───────┘  pictures of an incident, sealed
//!  device, operator, enroll   this device's key and seed, its operators' templates
//!  watch                      the same decision without a session (`sudare watch`)
//!  app, watcher               the threads of the bundled client (`sudare connect`)
//! ```
//! `presence`, `report` and `link` are pure; everything else stands at an edge. Deliberately
//! absent: no picture leaves this device unsealed, and no stranger's face is kept or compared
//! with anything but the operators of this seat.

#[cfg(feature = "ironrdp")]
pub mod app;
pub mod camera;
#[cfg(feature = "ironrdp")]
pub mod channel;
pub mod device;
pub mod enroll;
pub mod evidence;
pub mod link;
pub mod operator;
pub mod presence;
pub mod report;
pub mod vision;
pub mod watch;
#[cfg(feature = "ironrdp")]
pub mod watcher;
