//! What the organisation signed for this host, the keys it belongs to, and the devices that are enrolled.
//!
//! ```text
//!  organisation (offline) ── signs ──► host.record, policy.record, device records
//!  keys ──► state: everything a guard or a recorder needs, read once and verified
//!           registry: enrolled devices, their operators' templates sealed to this host
//! ```
//! Deliberately absent: the organisation's key. It is never read on a host.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod keys;
pub mod registry;
pub mod state;
