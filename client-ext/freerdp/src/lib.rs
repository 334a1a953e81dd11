//! The client extension as a dynamic channel plugin for FreeRDP 2 and 3.
//!
//! ```text
//!  FreeRDP's threads                                   our threads
//!  sys (C ABI) ─► plugin ─ ChannelHandle ─► [bounded queue] ─► runtime: driver, camera, sealing, notifications
//!   ▲  gate: is the channel alive? ◄──────── Transport ──────────┘
//!  certificate: what FreeRDP pinned
//! ```
//! `/dvc:sudare[,config:FILE][,camera:SOURCE][,log:LEVEL]`. FreeRDP ends the whole connection when an add-in returns an
//! error, so no entry ever does: trouble shows as a cover on the host, as a notification on the desktop and as a line
//! on standard error. Deliberately absent: any RDP library, any async runtime of ours, and any wait on a thread of
//! FreeRDP, except for at most 2 s at the connection's end while pictures of an incident are being sealed.
//!
//! | module | what |
//! |---|---|
//! | `sys` | FreeRDP's C interface: types, entries, all `unsafe`; every entry returns 0 and catches panics |
//! | `gate` | whether a channel is still alive, for threads that use it |
//! | `plugin` | what stands behind the entries; FreeRDP's threads return at once |
//! | `certificate` | the certificate, where FreeRDP can only have accepted one |

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests measure by the real clock"))]

mod certificate;
mod gate;
mod plugin;
mod sys;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod layout_tests;
/// The host's end for tests, shared with the client's other packages.
#[cfg(test)]
#[path = "../../core/src/testing.rs"]
mod testing;
#[cfg(test)]
mod tests;
