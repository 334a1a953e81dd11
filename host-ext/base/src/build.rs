//! Which build this is. Supervisor and guard must be of the same one.

/// The package's version, and what a packager adds to tell apart two builds of one version.
pub const BUILD: &str = match option_env!("SUDARE_BUILD_ID") {
    Some(id) => id,
    None => env!("CARGO_PKG_VERSION"),
};
