//! What the guard and the blanker say to each other; the blanker itself is the program of this package.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod wire;
