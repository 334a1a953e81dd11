//! The shipper: copies the recorder's store off the host, to a folder or an S3 bucket.
//!
//! ```text
//! recorder's folder ──► source ──► shipper ──► destination ──► a folder or a bucket
//!   (read only)                       │
//!                                     └─ pictures → bundles and tiles → checkpoint → `shipped`:
//!                                        the copy can be verified at every moment
//! ```
//! The remote checkpoint is the truth about what has been uploaded. The shipper never replaces it with an older one or
//! with one of another history, and never overwrites anything but checkpoints: after a kill at any moment it continues
//! from what is there. Sizes are numbers of log entries.
//!
//! It trusts neither the store (whoever controls the recorder can change files, but not what is under a checkpoint that
//! has left the host) nor the bucket (everything read back is compared or verified).
//!
//! | module | what |
//! |---|---|
//! | `follow` | ships again and again, with growing waits while the destination cannot be reached |
//! | `notaries` | has what was shipped cosigned and time-stamped, beside the shipping |
//! | `erase` | carries out tombstones at the destination |
//! | `shipper` | one checkpoint after the other, everything it needs first |
//! | `notary` | clients of a witness and a time-stamp service |
//! | `source` | the recorder's store: checkpoint verified, root computed from the entries |
//! | `state` | `ship-state`, `shipped` and `status.json`, in a folder of the shipper's own |
//! | `destination` | a folder (fsync) or a bucket (conditional puts) |
//! | `s3` | a bucket, its default retention and versioning |
//! | `error` | why shipping failed, and what to do |
//! | `confine` | what the process gives up once it runs |
//!
//! A module uses only modules after it in this list; `confine` uses `state`.
//!
//! Deliberately absent: keys, and credentials in settings; those of the bucket come from the environment only.

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
pub use follow::{Ended, Keys, Options, Stopper, follow};
pub use notaries::Notaries;

/// Call it once, before anything else, in a program that ships.
pub fn prepare_process() {
    // An error means that a provider was installed before, which is fine.
    drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
    // Files in a folder are for its owner only.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}
