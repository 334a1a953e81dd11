//! Our own programs, from the same build as the one that asks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};

/// The folder of the checkout.
pub fn checkout() -> &'static Path {
    let tests_kit = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests_kit.ancestors().nth(2).unwrap_or(tests_kit)
}

/// One of our programs, ready to run.
///
/// # Errors
/// See [`programs`].
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    Ok(programs(&[name])?.join(name))
}

/// The folder in which these programs of ours lie, ready to run. In a test they are built now, because `cargo test`
/// builds no programs of other packages; after a build of the whole workspace there is nothing left to do.
///
/// # Errors
/// One cannot be built, or was not built beside this program.
pub fn programs(names: &[&str]) -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SUDARE_BIN_DIR") {
        return Ok(folder.into());
    }
    let this = std::env::current_exe().context("the path of this program is unknown")?;
    let folder = this.parent().context("this program has no folder")?;
    if folder.ends_with("deps") {
        let folder = folder.parent().context("the tests have no target folder")?;
        build(names, folder)?;
        return Ok(folder.to_owned());
    }
    for name in names {
        ensure!(
            folder.join(name).is_file(),
            "{name} is not beside this program in {}. Type `cargo build --workspace --bins`",
            folder.display()
        );
    }
    Ok(folder.to_owned())
}

/// A file of the same build as this program or test, which cargo makes without being asked by name.
///
/// # Errors
/// It is not there.
pub fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("the path of this program is unknown")?;
    let folders = this.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("{name} is not built. Type `cargo build --workspace --lib`"))
}

fn build(names: &[&str], folder: &Path) -> anyhow::Result<()> {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // Held while cargo builds: whoever asks for the same must wait until it is there.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if names.iter().all(|name| built.contains(*name)) {
        return Ok(());
    }
    let target = folder.parent().context("the tests have no target folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Naming the examples makes cargo choose features as it does for the tests. See deploy/xtask/src/setup/build.rs.
    cargo.args(["build", "--quiet", "--offline", "--workspace", "--examples"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    for name in names {
        cargo.args(["--bin", name]);
    }
    cargo.arg("--target-dir").arg(target).current_dir(checkout());
    let output = cargo.output().context("cargo cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} cannot be built: {said}", names.join(", "));
    built.extend(names.iter().map(ToString::to_string));
    Ok(())
}
