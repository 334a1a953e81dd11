//! Tells builds apart: in a release, the version is followed by a hash of what supervisor and guard are made of.
//!
//! A developer's build has the version alone: there, each change of the guard would compile all of the host again.

#![allow(clippy::disallowed_methods, reason = "a build script is an edge")]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Below the workspace. What the guard links decides how both of them talk.
const SOURCES: [&str; 7] = [
    "Cargo.lock",
    "protocol/src",
    "host-ext/base/src",
    "host-ext/records/src",
    "host-ext/evidence/src",
    "host-ext/guard/src",
    "host-ext/supervisor/src",
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SUDARE_BUILD_ID");
    let variable = |name| env::var(name).map_err(io::Error::other);
    let version = variable("CARGO_PKG_VERSION")?;
    let build = match env::var("SUDARE_BUILD_ID") {
        Ok(id) => id,
        Err(_) if variable("PROFILE")? != "release" => version,
        Err(_) => {
            let workspace = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../..");
            let mut hasher = DefaultHasher::new();
            for source in SOURCES {
                println!("cargo::rerun-if-changed={}", workspace.join(source).display());
                hash(&workspace, Path::new(source), &mut hasher)?;
            }
            format!("{version}+{:016x}", hasher.finish())
        }
    };
    println!("cargo::rustc-env=SUDARE_BUILD={build}");
    Ok(())
}

/// Names and contents, in the order of the names. What is not there (a package built alone) changes nothing.
fn hash(workspace: &Path, path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let place = workspace.join(path);
    if place.is_dir() {
        let mut names = fs::read_dir(&place)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        return names.iter().try_for_each(|name| hash(workspace, &path.join(name), hasher));
    }
    if place.exists() {
        (path, fs::read(place)?).hash(hasher);
    }
    Ok(())
}
