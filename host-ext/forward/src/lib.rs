//! Alarms for the security team's own tools (SIEM), read from the evidence log.
//!
//! ```text
//! evidence store ──► tail ──► alert ──► format ──► outbox ──► receiver
//!  (read only)      verified  which     ocsf cef    on disk    file, syslog over TCP or TLS,
//!                   entries   leaves    hec                    HTTP Event Collector
//! ```
//! - Only entries under a signed checkpoint whose root was recomputed are told. A log that was rolled back or
//!   rewritten is itself an alarm.
//! - At least once: an event is forgotten when the receiver has it (see [`receiver`] for what that means for each).
//!   The same event always has the same id, `origin#leaf`, so a receiver that looks at it keeps each once.
//! - Never a picture, a name or a text that a client chose: ids, numbers and hashes, and words of this program.
//!
//! Nothing here writes into the store, and nothing of the recorder waits for it.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod alert;
pub mod cef;
pub mod confine;
mod connection;
pub mod delivery;
pub mod format;
pub mod forwarder;
pub mod http;
pub mod ocsf;
pub mod outbox;
pub mod receiver;
pub mod syslog;
pub mod tail;
pub mod target;
#[cfg(test)]
mod test_log;
pub mod tls;

pub use format::Format;
pub use forwarder::{Forwarder, Settings};
pub use target::Target;
