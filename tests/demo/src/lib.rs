//! What `cargo xtask demo`, `cargo xtask bench` and `cargo xtask accuracy` start, and the run that kills processes.
//!
//! | module | what |
//! |---|---|
//! | `story` | what `cargo xtask demo` plays |
//! | `bench` | what `cargo xtask bench` measures, one part a module |
//! | `accuracy` | what `cargo xtask accuracy` measures: how far the eyes can be trusted |
//! | `faults` | kills recorder, guards and clients, and counts what was lost |

pub mod accuracy;
pub mod bench;
pub mod faults;
pub mod story;
