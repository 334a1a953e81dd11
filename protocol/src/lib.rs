//! Everything on which the two ends of Sudare must agree byte for byte.
//!
//! ```text
//!  bytes ──► frame ──► cose ──► message ──► client / host (state machines) ──► actions
//!            length    who       what         handshake, sequence, lease
//!            prefix    signed
//!
//!  records   what the organisation signs: hosts, devices, policy · timings, rules  what a policy sets
//!  template  the operator's face template, sealed to one connection
//!  reason    why a session is covered, in words for people · error  why a message was refused
//!  evidence  what the log holds · seal  pictures that only auditors can open · approval  of an erasure
//!  tlog      Merkle log and signed checkpoints · verify  checking a log offline
//! ```
//! Everything here is pure: bytes, randomness and time are arguments, actions are results. Time is in
//! milliseconds, either `boot_ms` (CLOCK_BOOTTIME: never goes back, counts suspend) or `wall_ms` (Unix time,
//! for people).
//!
//! **Deliberately absent:** clocks, threads, files and sockets, which clippy.toml bans; randomness, except
//! what age draws in [`seal`]; any choice of algorithm by a peer (one signature scheme, one encoding per
//! message); and the decision to cover, which the guard makes from what is verified here.

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
pub mod reason;
pub mod records;
pub mod rules;
pub mod screen;
#[cfg(feature = "seal")]
pub mod seal;
pub mod session;
pub mod template;
pub mod timings;
pub mod tlog;
pub mod utc;
pub mod verify;

pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use error::{Code, Fault, Refusal};
