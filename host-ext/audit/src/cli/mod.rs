//! The command line. To add a command: a variant of [`args::Command`], an arm in [`dispatch`], and a module here.
//!
//! ```text
//! main ──► args (what can be typed) ──► dispatch ──► one module per command ──► inputs · messages · output
//! ```

pub(crate) mod args;
mod consent;
mod coverage;
pub(crate) mod dispatch;
mod erase;
mod export;
mod inputs;
mod list;
mod messages;
mod not_evidence;
mod open;
mod output;
mod passphrase;
mod retention;
mod show;
mod verify;
