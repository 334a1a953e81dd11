//! What every program of the host needs, and nothing that the root supervisor must not link: no network, no TLS,
//! no pictures, no async runtime, no CBOR, nothing of our protocol.
//!
//! ```text
//!  program, output, signals   how a program starts, prints and ends
//!  config                     the settings: one table, three layers
//!  clock                      clocks and randomness, read nowhere else on the host
//!  files, accounts            private files; users and groups
//!  harden, notify             what a service gives up once it runs (Landlock); what it tells systemd
//!  text, language             other people's words, for people
//!  heartbeat, build           what a guard tells its supervisor, and which build both are of
//! ```

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod accounts;
pub mod build;
pub mod clock;
pub mod config;
pub mod files;
pub mod harden;
pub mod heartbeat;
pub mod language;
pub mod notify;
pub mod output;
pub mod program;
pub mod signals;
pub mod text;

pub use build::BUILD;
