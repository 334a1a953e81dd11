//! Alarms reach the security team's own tools: `sudare-forward` as a process of its own, against receivers that
//! are not ours (rsyslog, Python's parsers, the published OCSF schema), killed, refused and out of disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod disk;
mod forms;
mod kills;
mod log;
mod program;
mod rsyslog;

/// Whether the set-up promised a tool, so that a test that misses it fails instead of leaving itself out.
fn skip_or_fail(tool: &str, why: &str) {
    let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == tool), "{tool} is required: {why}");
    println!("SKIPPED: {why}");
}
