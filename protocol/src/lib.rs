//! What the two ends of Sudare agree on byte for byte, or decide alike.
//!
//! ```text
//!  bytes ──► frame ──► cose ──► message ──► client / host (state machines) ──► actions
//!            length    who       what         handshake, sequence, lease
//!            prefix    signed
//!
//!  records   what the organisation signs: hosts, devices, policy (numbers, auditors)
//!  template  the operator's face template, sealed to one connection
//!  reason    why a session is covered, in words for people
//!  evidence  what the log holds · seal  pictures only auditors can open
//!  tlog      Merkle log and signed checkpoints · verify  checking a log offline
//! ```
//! Everything here is pure: bytes, randomness and time are arguments, actions are results. The
//! crate's clippy.toml bans clocks, threads, files and sockets. Time is in milliseconds, either
//! `boot_ms` (CLOCK_BOOTTIME, never goes back, counts suspend) or `wall_ms` (Unix time, for people).

pub mod approval;
pub mod client;
pub mod cose;
pub mod error;
pub mod evidence;
pub mod frame;
pub mod hex;
pub mod host;
pub mod intake;
pub mod keyfile;
pub mod limits;
pub mod message;
pub mod numbers;
pub mod reason;
pub mod records;
pub mod rules;
pub mod screen;
#[cfg(feature = "seal")]
pub mod seal;
pub mod session;
pub mod template;
pub mod tlog;
pub mod verify;

pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use error::{Code, Fault, Refusal};
