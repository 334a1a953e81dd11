//! The guard of one session: decides from signed attestations whether the desktop may be seen, has it covered and
//! uncovered, and reports evidence.
//!
//! ```text
//!  transport (trait) ──► session ──► decision (pure) ──► cover (trait), transport: covered, visible
//!    gate: the relay            └──► session/evidence: a thread that seals, numbers and reports ──► recorder
//!    embedded: its own          cover: pictures and words
//! ```
//! Another transport or another cover docks at [`transport`]; RDP is not in its types.
//!
//! Deliberately absent: looking at faces, HTTP, object stores, and any key that opens a sealed picture.
//!
//! | module | what |
//! |---|---|
//! | `decision` | link, attestations, cover health and time in; cover, uncover, screenshot, incident out; pure, and every unknown covers |
//! | `session` | carries events and actions between transport, `protocol::host` and the decision; its evidence worker seals and reports |
//! | `transport` | the seams: the traits for another transport and another cover |
//! | `cover` | pictures and words of covers |
//! | `screen`, `screenshot` | what is on a screen, whoever shows it; a screenshot as PNG, masked where the policy says so |
//! | `assemble` | puts together what sessions share |
//! | `local_time` | times of day, for people |

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod assemble;
pub mod cover;
pub mod decision;
pub mod local_time;
pub mod screen;
pub mod screenshot;
pub mod session;
pub mod transport;
