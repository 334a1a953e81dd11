//! What several of the test packages share: it knows the protocol, and our programs by their names only.
//!
//! Nothing here links a host package, so that a change in one of them does not rebuild what only starts its program.
//!
//! | module | what |
//! |---|---|
//! | `pair` | two real ends in memory |
//! | `scene`, `lighting`, `noise` | moving people from photographs before a camera; what the light of a screen does to them; a sensor's noise |
//! | `rdp` | both ends of an RDP connection, after a real handshake |
//! | `stage` | our programs as people run them: keys, records, host, client |
//! | `program`, `needs` | where our programs are; what a test needs of the machine |
//! | `wait`, `pace` | waiting for events, bounded by minutes; how slow this machine is |
//! | `tsa` | a time-stamp authority played with `openssl ts` |

pub mod lighting;
pub mod needs;
pub mod noise;
mod pace;
pub mod pair;
mod program;
pub mod rdp;
pub mod scene;
pub mod stage;
pub mod tsa;
pub mod wait;

pub use pace::Pace;
pub use program::{beside, checkout, program, programs};
pub use wait::{PATIENCE, wait_until};
