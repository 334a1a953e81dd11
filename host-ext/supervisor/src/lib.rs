//! The root supervisor: notices each xrdp display the moment it appears, starts a guard for it under the system user,
//! and disconnects the display's clients while the guard cannot confirm the cover.
//!
//! ```text
//!  sockets (inotify) ─► origin: is it xrdp's? ─► hold: the user's code waits
//!                                    │
//!         prepare: user, X cookie ◄──┤       plan (pure): heartbeats and times in, actions out
//!                      │             ▼                 ▲  │
//!                   guards ──► guard process ── lines ─┘  ├─► release, restart, kill
//!                                                         └─► ending: disconnect xrdp's client
//!  inspection, audit: a client of a display without a guard is disconnected, however it got there
//!  sign_in ─ PAM: a login waits until the user's sessions are covered ─► arrivals: and until its client has attached
//! ```
//! Whatever users control is untrusted until the kernel confirms it: sockets in /tmp, names and arguments of
//! processes, authority files. Uids, parents and owners of programs come from the kernel.
//!
//! One thread decides and never waits for anything that a user controls. When the supervisor ends, its guards cover
//! and end, and their blankers keep the cover; the next supervisor finds the displays again.
//!
//! | module | what |
//! |---|---|
//! | `supervisor` | the thread that decides: its state, its loop, its end |
//! | `inbox`, `target` | what other threads send to it |
//! | `displays` | a display appears: refused, or held and guarded |
//! | `actions` | carries out what `plan` decides |
//! | `inspection` | looks for clients of displays without a guard, and for clients that share a display |
//! | `takeover` | a user signs in: covers that user's sessions and waits for the client |
//! | `plan`, `audit`, `arrivals`, `sign_ins` | the decisions, pure: on guards, on clients without a guard, on clients to come, on logins that wait |
//! | `sign_in` | the socket that `sudare-sign-in` asks, and both of its ends |
//! | `session`, `hold`, `prepare` | one session: its processes, its stop before user code, what its guard must know |
//! | `guard_program`, `guards`, `line` | the guards' program, its processes, the lines that they write |
//! | `clients`, `ending` | which xrdp process shows which display; ending processes |
//! | `origin`, `process`, `sockets`, `xauthority` | where a display comes from, as the kernel and files tell |
//! | `lock` | one supervisor on a machine |
//! | `syslog` | one line for the system's log, from `sudare-sign-in` |
//!
//! Deliberately absent: keys, pictures, evidence, the network, and every package of ours but `sudare-base`. What runs
//! as root stays small.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod actions;
mod arrivals;
mod audit;
mod clients;
mod displays;
mod ending;
pub mod guard_program;
mod guards;
mod hold;
mod inbox;
mod inspection;
mod line;
pub mod lock;
mod origin;
mod plan;
mod prepare;
mod process;
mod session;
pub mod sign_in;
mod sign_ins;
pub mod sockets;
#[cfg(test)]
mod stage;
mod supervisor;
pub mod syslog;
mod takeover;
mod target;
mod xauthority;

pub use supervisor::{Options, Stopper, Supervisor, SupervisorError};
