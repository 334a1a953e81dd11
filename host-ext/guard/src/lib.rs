//! The guard of one session: decides from signed attestations whether the desktop may be seen, has it covered and
//! uncovered, and reports evidence.
//!
//! ```text
//!  transport (trait) ──► session ──► decision (pure) ──► cover (trait), transport: covered, visible
//!    xrdp: chansrv, display     └──► session/evidence: a thread that seals, numbers and reports ──► recorder
//!    (embedded: its own)        cover: pictures and words; x11: starts the blanker
//! ```
//! A second transport or another cover docks at [`transport`]; neither X11 nor xrdp is in its types.
//!
//! Deliberately absent: looking at faces, HTTP, object stores, and any key that opens a sealed picture.
//!
//! | module | what |
//! |---|---|
//! | `decision` | link, attestations, cover health and time in; cover, uncover, screenshot, incident out; pure, and every unknown covers |
//! | `session` | carries events and actions between transport, `protocol::host` and the decision; its evidence worker seals and reports |
//! | `transport` | the seams: the traits for another transport and another cover |
//! | `xrdp` | a session of xrdp: channel, display, blanker |
//! | `cover` | pictures and words of covers; starts the blanker |
//! | `screen`, `screenshot` | what is on a screen, whoever shows it; a screenshot as PNG, masked where the policy says so |
//! | `assemble` | puts together what sessions share |
//! | `certificate` | the hash of the certificate that clients see |
//! | `local_time` | times of day, for people |

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod assemble;
pub mod certificate;
pub mod cover;
pub mod decision;
pub mod local_time;
pub mod screen;
pub mod screenshot;
pub mod session;
pub mod transport;
pub mod xrdp;
