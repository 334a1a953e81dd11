//! Runs the client's side of a session, whatever RDP client brings the channel.
//!
//! ```text
//!  RDP client ─ inbox::Transport ─► inbox ─► driver ─► selector, session (core) ─► driver ─► RDP client
//!                                    ▲ ▲        ├─► watcher: camera and face models ─┐
//!                                    │ └────────┼────────────────────────────────────┘
//!                                    └─ sealer ◄┘ seals (evidence) and stores (spool, receipts, durable)
//!  device, operator   this device's key and seed, its operators' templates
//!  plugin/            needed by every plugin of an RDP client: settings, start, notifications
//!  clock, random      the only places that read clocks and randomness · platform/  whatever differs by system
//! ```
//! A new client transport changes nothing here: it implements [`inbox::Transport`] and passes bytes on.
//! Deliberately absent: any RDP library and any async runtime.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests measure by the real clock"))]

pub mod clock;
pub mod device;
pub mod driver;
mod durable;
pub mod evidence;
pub mod inbox;
pub mod operator;
mod platform;
pub mod plugin;
pub mod random;
pub mod receipts;
mod sealer;
pub mod spool;
#[cfg(test)]
#[path = "../../core/src/testing.rs"]
mod testing;
#[cfg(test)]
#[path = "../../core/src/testing_pictures.rs"]
mod testing_pictures;
pub mod watcher;

pub use sudare_client_core::event::Event;
