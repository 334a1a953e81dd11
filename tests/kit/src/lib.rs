//! What several of the test packages share: it knows the protocol, and our programs by their names only.
//!
//! Nothing here links a host package, so that a change in one of them does not rebuild what only starts its program.

pub mod needs;
mod pace;
pub mod pair;
mod program;
pub mod scene;
pub mod stage;
pub mod tsa;
pub mod wait;

pub use pace::Pace;
pub use program::{beside, checkout, program, programs};
pub use wait::{PATIENCE, wait_until};
