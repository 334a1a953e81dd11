//! The bytes on the wire: vectors as files, and two implementations that are not ours.
//!
//! ```text
//!  fixed keys ─► real state machines ─► cases ─► tests/data/vectors/*.json   (compared, or written)
//!                                         │
//!                                         ├─► our decoders, and the same bytes again
//!                                         ├─► coset (Rust): parse, rebuild, verify
//!                                         └─► cwt, cbor2, cryptography (Python): verify_vectors.py
//! ```
//! `SUDARE_WRITE_VECTORS=1 cargo test -p sudare-tests --test all wire` writes the files again. A
//! file that changes is a change of the protocol: it needs a reason in docs/protocol.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod cases;
mod coset_oracle;
mod notation;
mod python_oracle;
mod session;
mod vectors;

use std::path::PathBuf;

/// The folder of the vector files.
fn folder() -> PathBuf {
    sudare_test_kit::checkout().join("tests/data/vectors")
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    sudare_protocol::hex::hex(bytes.as_ref())
}

#[track_caller]
fn unhex(text: &str) -> Vec<u8> {
    sudare_protocol::hex::unhex_all(text).unwrap_or_else(|| panic!("not hex: {text}"))
}
