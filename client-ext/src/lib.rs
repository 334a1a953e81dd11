//! The client's side of Sudare: watches the webcam on the employee's PC and tells the host,
//! signed, what it may show.
//!
//! ```text
//!  camera/ ─► vision/ ─► presence ─► report ─► link ─► switch ─► driver ─► channel/ (RDP)
//!                                               │                  ▲  │
//!                       evidence, sealing ◄─────┘   inbox, watcher ┘  └─► spool
//!  device, operator, enroll   this device's key and seed, its operators' templates
//!  watch                      the same decision without a session (`sudare watch`)
//!  app                        the bundled client (`sudare connect`)
//! ```
//! `presence`, `report`, `link` and `switch` are pure; everything else stands at an edge. Deliberately
//! absent: no picture leaves this device unsealed, and no stranger's face is kept or compared
//! with anything but the operators of this seat.

#[cfg(feature = "ironrdp")]
pub mod app;
pub mod camera;
#[cfg(feature = "ironrdp")]
pub mod channel;
pub mod device;
pub mod driver;
pub mod enroll;
pub mod evidence;
pub mod inbox;
pub mod link;
pub mod operator;
pub mod presence;
pub mod report;
mod sealing;
pub mod spool;
pub mod switch;
#[cfg(test)]
mod testing;
pub mod vision;
pub mod watch;
pub mod watcher;
