//! The records that the organisation signed for this host, the host's keys, and the enrolled devices.
//!
//! ```text
//!  organisation (offline) ── signs ──► host.record, policy.record   device records
//!                                              │                          │
//!                                  keys ──► state ◄─────────────────── registry ◄── sudare enroll
//!                                              └─► guard, recorder
//! ```
//!
//! | module | what |
//! |---|---|
//! | `keys` | key files: made once, read with advice if one is missing |
//! | `state` | everything that a guard or a recorder needs, read once and verified |
//! | `fleet` | the bundle for all hosts, taken apart and put in place while sessions run |
//! | `registry` | enrolled devices, with their operators' templates sealed to this host |
//!
//! Deliberately absent: the organisation's secret key. No host ever reads it.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod fleet;
pub mod keys;
pub mod registry;
pub mod state;
