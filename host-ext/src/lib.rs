//! The host's side of Sudare: covers the remote session when it must not be seen, and keeps the
//! evidence on the server.
//!
//! ```text
//!  channel/ ──► session/ ──► guard          transport in, decision, cover out
//!  (RDP host)      │  └────► cover/, desktop  what is drawn instead
//!                  └─ Job ─► session/evidence ─► log/ ─► store/    signed log, sealed pictures
//!  state, registry, config   keys, enrolled devices, settings
//!  serve                     puts a running host together (`sudare-host serve`)
//!  audit/                    reads a store offline (`sudare-audit`)
//!  siem/                     tells the security team's own tools of alarms in the log
//!  harden/, notify           what each service gives up once it has started; words for systemd
//!  witness/, timestamp/      somebody else says what was there, and when
//! ```
//! Deliberately absent: nothing here looks at faces, holds an embedding that fits a person's
//! face, or can open a sealed picture.

#![allow(clippy::disallowed_methods, reason = "edges may; pure modules deny it again")]

pub mod audit;
pub mod channel;
pub mod clock;
pub mod config;
pub mod cover;
pub mod desktop;
pub mod files;
pub mod guard;
pub mod harden;
pub mod local_time;
pub mod log;
pub mod notify;
pub mod recorder;
pub mod registry;
pub mod screen;
pub mod screenshot;
pub mod serve;
pub mod session;
pub mod ship;
pub mod siem;
pub mod state;
pub mod store;
pub mod supervise;
pub mod timestamp;
pub mod tls;
pub mod witness;
