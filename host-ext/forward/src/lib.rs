//! The forwarder: reads the evidence log and sends alarms to the security team's SIEM.
//!
//! ```text
//! evidence store ──► tail ──► alert ──► format ──► outbox ──► receiver
//!  (read only)      verified  which     ocsf cef    on disk    file, syslog over TCP or TLS,
//!                   entries   leaves    hec                    HTTP Event Collector
//! ```
//! - Only entries under a signed checkpoint whose root was recomputed become events. A log that was rolled back or
//!   rewritten is itself an alarm.
//! - At least once: an event is dropped when the receiver has accepted it (see [`receiver`] for what that means for
//!   each). An event always has the same id, `origin#leaf`, by which a receiver can drop duplicates.
//! - Events hold ids, numbers, hashes and this program's own words; never a picture, a name, or text that a client chose.
//!
//! | module | what |
//! |---|---|
//! | `forwarder` | the loop: read, queue, send, remember |
//! | `tail` | reads the log behind the recorder, verified |
//! | `outbox` | events that the receiver has not accepted yet, on disk |
//! | `receiver` | delivers a batch, and knows when it is accepted |
//! | `http`, `connection` | an HTTP Event Collector; one connection with timeouts |
//! | `delivery` | why a delivery failed |
//! | `tls` | TLS towards a receiver |
//! | `confine` | what the process gives up once it runs |
//! | `target` | the value of `--to` |
//! | `format` | the formats of events, chosen with `--format` |
//! | `cef`, `ocsf`, `syslog` | one format each |
//! | `alert` | which leaves are alarms, and what they say |
//!
//! A module uses only modules after it in this list.
//!
//! Deliberately absent: writing to the store. The recorder never waits for this program.

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
