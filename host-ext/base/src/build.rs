//! The build that this program is of. Supervisor and guard must be of the same one.

/// `SUDARE_BUILD_ID` if a packager set it, to tell apart builds of one version; otherwise the version.
pub const BUILD: &str = match option_env!("SUDARE_BUILD_ID") {
    Some(id) => id,
    None => env!("CARGO_PKG_VERSION"),
};
