//! What every program of the host needs.
//!
//! ```text
//!  program: settings (config), log ─► harden: give up rights ─► notify: ready, alive ─► signals: end, reload
//!              │                                      ▲
//!              └─► files, accounts, clock ────────────┘ read before rights are given up
//! ```
//!
//! | module | what |
//! |---|---|
//! | `program`, `output`, `signals` | how a program starts, prints and ends |
//! | `reload` | settings that are read anew while it runs |
//! | `config`, `metrics` | the settings: one table, three layers; where figures are shown |
//! | `clock` | clocks and randomness |
//! | `files`, `accounts` | private files; users and groups |
//! | `proc`, `tcp` | what the kernel says about a process, and about TCP sockets |
//! | `harden` | the rights that a service gives up once it has started (Landlock) |
//! | `notify` | what a service tells systemd |
//! | `text`, `language` | texts for people |
//!
//! Deliberately absent, because what may look into every process links this crate: the network, TLS, pictures, an async runtime,
//! CBOR, and our protocol.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod accounts;
pub mod clock;
pub mod config;
pub mod files;
pub mod harden;
pub mod language;
pub mod metrics;
pub mod notify;
pub mod output;
pub mod proc;
pub mod program;
pub mod reload;
pub mod signals;
pub mod tcp;
pub mod text;
