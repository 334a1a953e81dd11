//! The models behind Sudare's vision: which files are used, where they come from, and how they
//! are checked before use.
//!
//! ```text
//!  manifest.toml ──────────────┐ hashes, sizes, facts
//!                              ▼
//!  mirror folder ─┐        ┌────────┐         ┌───────┐  load   ┌───────────────┐
//!  pip ───────────┼─ fetch ► check, │─ put ──►│ Store ├────────►│ VerifiedModel │──► ort
//!  curl ──────────┘        │ fold   │         └───────┘  hash   └───────────────┘
//!                          └────────┘
//! ```
//! * [`fetch`] fills the cache; it is the only part that may cause network traffic, and it does
//!   so through the user's own pip and curl.
//! * [`Store::load`] reads a model once, hashes those bytes and returns them.
//! * [`vectors`] holds each model's output for a known input, so that the program that runs the
//!   model can check the runtime on its machine.
//!
//! A file is used only if its SHA-256 is in the manifest, which is part of the program. Models
//! whose constants are stored as int8 blocks are folded to fp32 once, the face mesh becomes ONNX, and
//! PRelu is written as faster operators; the result has a pinned SHA-256 too. Errors ([`ModelError`]) say what happened, who is at fault and what to type.
//!
//! **Deliberately absent:** running a model (the client does that with the bytes it gets here), a network client
//! of our own, settings that add a model or replace a hash, and camera pictures.
//!
//! | module | what |
//! |---|---|
//! | `manifest`, `role` | `manifest.toml`: hashes, sources, tensor facts, thresholds; which model is for what |
//! | `fetch` | gets files: cache, mirror folder, pip, upstream |
//! | `archive`, `bounded`, `digest` | files out of wheels, read with bounds and hashed |
//! | `onnx` | folds int8 constants, frees the picture size, splits PRelu, reads TensorFlow Lite |
//! | `store` | loads files; the bytes that it returns are those that were hashed |
//! | `facts`, `vectors` | what a model must look like, and outputs that it must give |
//! | `durable`, `scratch` | files that are whole or not there; temporary folders |
//! | `error` | what went wrong, and what to do |

mod archive;
mod bounded;
mod digest;
mod durable;
mod error;
mod facts;
mod fetch;
mod manifest;
mod onnx;
mod role;
mod scratch;
mod store;
mod vectors;

pub use digest::Digest;
pub use error::{Attempt, ModelError, Place};
pub use facts::{
    AntiSpoofFacts, ColourOrder, DetectorFacts, EmbedderFacts, Facts, InputFacts, MeshFacts, PhoneFacts,
    RuntimeFacts,
};
pub use fetch::{
    FetchOptions, Fetched, Lacking, Progress, fetch, fetch_original_embedder, fetch_test_photographs,
};
pub use manifest::{Artifact, Manifest};
pub use role::Role;
pub use store::{Store, VerifiedModel};
pub use vectors::{Checked, OutputVector, vectors};
