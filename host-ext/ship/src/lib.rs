//! Evidence leaves the host: the shipper copies the recorder's store to a folder or an S3 bucket.
//!
//! ```text
//! recorder's folder ──► source     checkpoint verified, root computed from the entries themselves
//!   (read only)          shipper   pictures → bundles and tiles → checkpoint: what is there can be verified
//!                          │         at every moment, and `shipped` is written only when all of it is
//!                        destination   folder (fsync) or s3 (conditional puts, default retention checked)
//!  follow                repeats it, with waits that grow while the destination cannot be reached
//!  notaries, notary      cosignatures and time stamps for what has left, beside all this
//!  state                 ship-state, shipped, status.json in a folder of the shipper's own
//! ```
//! The remote checkpoint is the truth about what has been uploaded. The shipper never puts an older
//! one or one of another history over it, and never overwrites anything but the checkpoints: after
//! a kill at any moment it goes on from what is there. Sizes are numbers of log entries.
//!
//! It holds no key. Credentials of the bucket come from the environment only. It trusts neither
//! the store (whoever owns the recorder can change files, not what is under a checkpoint that has
//! left the host) nor the bucket (what is read back is compared or verified).

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod confine;
mod destination;
mod erase;
mod error;
mod follow;
mod notaries;
pub mod notary;
mod s3;
mod shipper;
mod source;
pub mod state;
#[cfg(test)]
mod tests;

pub use error::ShipError;
pub use follow::{Options, Stopper, follow};
pub use notaries::Notaries;

/// Call it once, before anything else, in a program that ships.
pub fn prepare_process() {
    // An error says that one has been chosen before, which is as good.
    drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
    // What goes into a folder is for its owner only.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}
