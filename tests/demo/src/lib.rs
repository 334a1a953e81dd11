//! What `cargo xtask demo` and `cargo xtask bench` start, and the run that kills processes.
//!
//! | module | what |
//! |---|---|
//! | `story` | what `cargo xtask demo` plays |
//! | `bench` | what `cargo xtask bench` measures, one part a module |
//! | `faults` | kills recorder, guards and clients, and counts what was lost |

pub mod bench;
pub mod faults;
pub mod story;
