//! One incident as a zip that anybody can verify, offline and without Sudare.
//!
//! ```text
//! store ──gather──► Bundle (files in memory) ──► incident.zip
//!                                     ▲              │ verify.py: Python alone, no package
//!        page = f(verified files) ────┘              └ check: `sudare-audit verify-export`
//!
//! README.txt        what this is
//! index.html        for people; made from the other files, loads and runs nothing
//! checkpoint        the signed note, with cosignatures of witnesses if a cosigned one was given
//! proof.json        [`Facts`]: indexes and inclusion proofs of the entries, names of the pictures
//! entries/N.cose    leaf N of the log, byte for byte
//! sealed/ID.age     a sealed picture as it is stored
//! opened/N-LABEL.jpg  the picture followed by its 32 random bytes: SHA-256 gives the log's commitment
//! verify.py         an independent implementation of the check
//! files.sha256      list for `sha256sum -c`
//! ```
//! The list detects accidents only. Checkpoint, entries and pictures cannot be changed unnoticed, because the log's
//! key signed them.

pub mod bundle;
pub mod check;
mod contents;
mod error;
pub mod gather;
mod litter;
mod page;
pub mod proof;

pub use bundle::Bundle;
pub use check::{Outcome, check, check_witness};
pub use error::ExportError;
pub use gather::{Request, gather};
pub use proof::Facts;
