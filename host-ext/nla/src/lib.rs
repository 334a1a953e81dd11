//! Ends CredSSP (NLA) for one connection of a gate ([MS-CSSP], [MS-NLMP]).
//!
//! ```text
//!  client ⇄ TLS ⇄ sudare-gate ⇄ socket ⇄ sudare-nla: users, NTLM, passwords ── ends with NLA
//!    host ⇄ TLS ⇄             (packets)
//! ```
//! The gate finds TSRequests and passes them on; this process reads them. It has the NT hashes of the users and no key
//! of TLS, of the host or of the log; the gate has those keys, and never a hash. It is started before the gate reads a
//! byte from outside, gives up everything but its socket, and is gone before the session begins.
//!
//! | module | what |
//! |---|---|
//! | `users` | who may log on: names and NT hashes, as WinPR's SAM files have them. Pure |
//! | `credential` | one credential for the host, in the place of the users' own |
//! | `certificate` | the public key that CredSSP binds. Pure |
//! | `server` | the client proves who it is. Pure, but for NTLM's randomness and time |
//! | `client` | the host is told who logs on. The same |
//! | `attempts` | how often a name may be tried |
//! | `serve` | the conversation with the gate |
//! | `sandbox` | what this process gives up |
//!
//! **Deliberately absent:** Kerberos. A client that offers it wraps its tokens in SPNEGO, which `server` refuses in
//! words; a keytab would be a second kind of [`server::Server`], and `sspi` has what it needs.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]
#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod attempts;
pub mod certificate;
pub mod client;
pub mod credential;
pub mod sandbox;
pub mod serve;
pub mod server;
#[cfg(test)]
mod tests;
pub mod users;

pub use attempts::Attempts;
pub use credential::HostCredential;
pub use serve::{HostLeg, Serving, serve};
pub use users::Users;
