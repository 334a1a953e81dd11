//! What `cargo xtask demo` and `cargo xtask bench` start, and the run that kills processes.

pub mod bench;
pub mod faults;
pub mod story;
