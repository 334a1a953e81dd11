//! Runs the client's side of a session, whatever RDP client brings the channel.
//!
//! ```text
//!  RDP client ─► inbox ─► driver ─► session (pure) ─► driver ─► RDP client
//!                 ▲  ▲      ├─► watcher: camera and face models ─► inbox
//!                 │  └──────┼──────────────────────────────────────┘
//!                 └─ keeper ◄┘  seals pictures (evidence), keeps them (spool), and receipts
//!  device, operator           this device's key and seed, its operators' templates
//!  plugin/                    what every plugin of an RDP client needs: settings, start, notifications
//! ```
//! A client transport needs nothing of this changed: it implements `inbox::Transport` and passes bytes on.
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
