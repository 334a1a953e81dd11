//! A seeded simulation of the whole decision: seat, client, network, host and guard on virtual time.
//!
//! ```text
//!  truth (who sits there) ─► Presence ─► client::Live ══ network with faults ══► host::Live ─► Guard
//!                                                                                  └─ checked every step
//! ```
//! One seed gives one run; a failure prints its seed, and `SUDARE_SIM_SEED=n` replays it. What is
//! asserted is the rule that the product stands on: desktop pixels flow only under a fresh lease,
//! and the host bounds absence, hold and undecided time itself.

mod faults;
mod network;
mod truth;
mod world;

pub use faults::{Fault, FaultKind};
pub use world::{Outcome, run};
