//! Whether the face at the seat is a living one: what gives a picture away without any light of ours, and what the
//! host's check by light asks of the client, which is to measure and nothing else. Pure.
//!
//! ```text
//!  looks of a network ─► passive (may only deny) ─► Liveness
//!  frame, face ─► patches (how bright each place is) ─► Observation ─► lit (a series against the quiet) ─► LIT
//! ```
//! The client does not know what the cover shows, and decides nothing from its light.

pub mod lit;
pub mod passive;
pub mod patches;

pub use passive::Liveness;
