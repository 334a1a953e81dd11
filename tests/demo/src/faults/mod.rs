//! Kills recorder, guards and clients in the middle of incidents, and counts what was lost or came twice.
//!
//! ```text
//!  client k ──unix stream, our messages──► guard k ──SOCK_SEQPACKET──► recorder ──► store
//!  (real spool, receipts)                 (real session, evidence)    (`sudare-recorder`)
//!       └─ notes: stored, acknowledged          all of them die of SIGKILL, at a named step or any moment
//! ```
//! Only the RDP connection and the camera are left out. A client notes in a file of its own, synced, what its
//! spool stored and what was acknowledged to it; in the end the log must hold exactly that.
//!
//! - [`place`]: keys and folders. [`guard`], [`client`]: the child processes. [`notes`]: what they promise.
//! - [`moments`]: when to kill. [`crew`]: the running processes. [`run`]: all of it. [`judge`]: the verdict.

pub mod client;
mod crew;
pub mod guard;
pub(crate) mod incident;
mod judge;
mod moments;
mod notes;
mod place;
mod run;

pub use crew::{Programs, Running, await_socket, guard, recorder};
pub use judge::Verdict;
pub use place::{Place, device_key};
pub use run::{Outcome, Plan, named_steps, run};
