//! The client's side of Sudare: watches the webcam on the employee's PC and tells the host,
//! signed, what it may show.
//!
//! ```text
//!  camera/ ─► vision/ ─► presence ─► report ─► link ─► switch ─► driver ─► channel/ (RDP)
//!                                               │                  ▲  │
//!                       evidence, keeper ◄──────┘   inbox, watcher ┘  └─► spool ─► receipts
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
mod durable;
pub mod enroll;
pub mod evidence;
pub mod inbox;
mod keeper;
pub mod link;
pub mod operator;
pub mod presence;
pub mod receipts;
pub mod report;
pub mod spool;
pub mod switch;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_pictures;
pub mod vision;
pub mod watch;
pub mod watcher;
