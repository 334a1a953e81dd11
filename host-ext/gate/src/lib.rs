//! The gate: stands between one RDP client and one host, and covers what the client sees.
//!
//! ```text
//!  listen ──► the same program again, with the client's socket as its standard input
//!  (or systemd)                      │
//!                                    ▼
//!  client ⇄ TLS ⇄ leg ─┐        serve: one connection        ┌─ leg ⇄ TLS ⇄ host (unix socket | TCP, pinned)
//!                      ├─ negotiate ─► connect ─► session ───┤
//!                      │  X.224, TLS   phases     pull loop  │
//!                      └────────── relay::Live ──────────────┘
//!                                    ▲ │ events
//!                    cover, words,   │ ▼
//!                    uncover, send   guard's session ──► evidence thread ──► recorder
//! ```
//! Every connection is a process of its own: a fault, a restart or an update of one ends that one at most, and a
//! process that is gone shows nothing. It begins covered, and only the guard's decision opens it.
//!
//! | module | what |
//! |---|---|
//! | `listen` | accepts connections where systemd does not |
//! | `serve` | one connection, from its socket to its last evidence |
//! | `assemble` | keys, policy and the thread that keeps evidence |
//! | `target` | where the host is, and its pin |
//! | `targets` | which of several hosts a user is led to |
//! | `host` | connects to the host, and knows it by its certificate |
//! | `identity` | the certificate that clients see |
//! | `negotiate` | X.224, TLS and perhaps CredSSP on both legs |
//! | `nla` | passes CredSSP on to `sudare-nla`, and learns who logs on |
//! | `refusal` | says on a black screen why a client is not led to its host |
//! | `connect` | the phases before the session |
//! | `session` | the session: pulls, covers, asks the guard |
//! | `owner` | asks whose desktop the host shows |
//! | `leg` | one side: frames in, one block out |
//! | `confine`, `syscalls` | what the process gives up before it reads a byte from outside |
//! | `limits` | how long and how much |
//! | `error` | why a connection ended, and who has to do what |
//!
//! **Deliberately absent:** what RDP's bytes mean, which is `sudare-relay`'s; when to cover, which is the guard's;
//! what CredSSP's tokens mean, which is `sudare-nla`'s; codecs: screenshots are decoded by `sudare-picture`. Both are
//! processes of their own.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod assemble;
pub mod confine;
mod connect;
pub mod error;
pub mod host;
pub mod identity;
mod leg;
pub mod limits;
pub mod listen;
mod negotiate;
pub mod nla;
mod owner;
mod refusal;
pub mod serve;
mod session;
pub mod syscalls;
pub mod target;
pub mod targets;
#[cfg(test)]
pub(crate) mod tests;

pub use error::Ended;
pub use serve::{Asks, Gate, serve};
pub use target::Target;
