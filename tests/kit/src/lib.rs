//! What several of the test packages share: it knows the protocol, and our programs by their names only.
//!
//! Nothing here links a host package, so that a change in one of them does not rebuild what only starts its program.

pub mod needs;
pub mod pair;
mod program;
pub mod scene;
pub mod stage;
pub mod tsa;

pub use program::{beside, checkout, program, programs};
