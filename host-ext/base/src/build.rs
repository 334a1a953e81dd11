//! The build that this program is of. Supervisor and guard must be of the same one.

/// `SUDARE_BUILD_ID` if a packager set it; otherwise the version, and in a release a hash of the sources
/// (`host-ext/base/build.rs`).
pub const BUILD: &str = env!("SUDARE_BUILD");
