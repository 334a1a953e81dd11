//! Decodes a screenshot from what a client was sent.
//!
//! ```text
//!  sudare-gate ── recording ──► stdin │ sandbox ─► read ─► decode │ stdout ── pixels ──► sudare-gate
//!                                       nothing to open, nowhere to connect, 512 MiB, 2 s
//! ```
//! Codecs are where strangers' bytes do harm, and the gate holds a key. So it decodes nothing: for each picture it
//! starts this program, which has no key, gives up everything but its three streams, decodes one recording, and ends.
//! What it answers is as many pixels as the gate expects, so that the gate has nothing to parse.
//!
//! | module | what |
//! |---|---|
//! | `sandbox` | what this process gives up |
//! | `decode` | a recording into pixels. Pure |
//! | `bitmap` | one bitmap of an update. Pure |
//!
//! **Deliberately absent:** video (AVC), which needs a decoder in C++ and patents; and whatever draws on what was drawn
//! before, since a recording begins with nothing. The gate says in the evidence where that was so. Another codec is
//! another kind of piece in `sudare_relay::recording`, and another arm in `decode`.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::as_conversions))]

mod bitmap;
pub mod decode;
pub mod sandbox;

pub use decode::{Undecodable, decode};
