//! Whether the face at the seat is a living one. Pure.
//!
//! | module | what |
//! |---|---|
//! | `passive` | what a face without any light of ours gives away; may only deny |

pub mod passive;

pub use passive::Liveness;
