//! What the security team does with evidence, with the real program on a store of real pictures: tell, open,
//! hand on, erase, keep for so long and no longer, report.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod case;
mod coverage;
mod erasing;
mod exporting;
mod opening;
mod showing;
mod tending;
