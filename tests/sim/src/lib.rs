//! A seeded simulation of the whole decision: seat, client, network, host and its evidence on virtual time.
//!
//! ```text
//!  truth (who sits there) ─► Presence ─► client::Live ══ network with faults ══► Session ─► screen
//!                                                                                  └─► Worker ─► sink
//! ```
//! `Session` and `Worker` are the guard's own: the very code that runs on a host, with this clock and this
//! randomness. One seed gives one run; a failure prints its seed, and `SUDARE_SIM_SEED=n` replays it. What is
//! asserted is the rule that the product stands on: desktop pixels flow only under a fresh lease and while
//! evidence is kept, and the host bounds absence, hold and undecided time itself.
//!
//! | module | what |
//! |---|---|
//! | `world` | a run: client, network, host |
//! | `truth`, `faults`, `network` | who sits there, what goes wrong, what is on the way |
//! | `host`, `sink` | the guard's own session and worker, and where their evidence goes |
//! | `checks` | the rules |

mod checks;
mod faults;
mod host;
mod network;
mod sink;
mod truth;
mod world;

pub use faults::{Fault, FaultKind};
pub use world::{Outcome, run};
