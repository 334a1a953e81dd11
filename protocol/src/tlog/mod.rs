//! The transparency log's formats, pure: what the recorder writes and an auditor checks.
//!
//! - [`merkle`]: the hash tree of RFC 6962 section 2, grown leaf by leaf in bounded memory.
//! - [`inclusion`]: that one leaf is under a root, for somebody who does not have the log.
//! - [`tiles`]: names of tile files and entry bundles (C2SP tlog-tiles, height 8).
//! - [`note`]: signed notes and verifier keys (C2SP signed-note, Ed25519).
//! - [`checkpoint`]: the signed tree head (C2SP tlog-checkpoint).
//! - [`consistency`]: proof that a larger tree begins with a smaller one.
//! - [`cosignature`], [`submission`]: what a witness signs, and what it is sent (C2SP tlog-witness).
//!
//! ```text
//! entry ──SHA-256(0x00 ‖ entry)──► leaf ──256 leaves──► tile/0/000 ──256 tiles──► tile/1/000 …
//!   └──u16 length ‖ entry──► tile/entries/000          root of all ──► checkpoint (signed note)
//! ```
//!
//! Security: a reader that takes leaf hashes from `tile/0` accepts an edited entry whose
//! stored hash was edited as well. Everything here computes the tree from the entries.
//!
//! Sources: <https://c2sp.org/tlog-tiles>, <https://c2sp.org/signed-note>,
//! <https://c2sp.org/tlog-checkpoint>, RFC 6962.

pub mod checkpoint;
pub mod consistency;
pub mod cosignature;
pub mod inclusion;
pub mod merkle;
pub mod note;
pub mod submission;
pub mod tiles;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use cosignature::{CosignatureError, Cosigned, Cosigner, WitnessKey};
pub use merkle::{Hash, Tree};
pub use note::{NoteError, VerifierKey};
pub use tiles::{TileContent, TilePath};
