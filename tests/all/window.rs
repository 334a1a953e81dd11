//! The employee's window as people see it: under Xvfb, driven by keys, with the plugin's own end of its socket.
//!
//! Screenshots of every page and state in both languages are in `target/window`. Needs Xvfb and the X libraries that
//! winit loads; says so and does nothing without them, unless `SUDARE_REQUIRE_TOOLS` demands them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod camera;
mod cover;
mod pages;
mod plugin;
mod screen;

use std::path::PathBuf;

/// Where screenshots go.
fn shots() -> PathBuf {
    let folder = crate::camera::emulated::target().join("window");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
