//! From frames to faces: who is at the seat, how near, and which way they look.
//!
//! ```text
//! frame ─ quality ─ prepare ─ detector ─ track ──────────────► faces seen
//!                    (320 px)  (YuNet)     │  ▲ verdicts
//!                                   aligned│  │(cosines)
//!                                          ▼  │
//!                                 worker thread: embedder (SFace), rotate, compare
//! ```

pub mod align;
pub mod engine;
pub mod faces;
pub mod identity;
pub mod pose;
pub mod prepare;
pub mod quality;
pub mod rotate;
