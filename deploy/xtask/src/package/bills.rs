//! Bills of materials: for each program of a package, every crate that it is made of, as CycloneDX.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Package;
use super::version::Version;
use crate::run::Job;

/// The tool writes beside each manifest.
const NAME: &str = "bill";
/// Stands for the checkout's folder, which is nobody's business.
const SOURCE: &str = "/sudare";

/// Writes `<folder>/<package>/<crate>.cdx.json`, from a copy of the committed checkout.
pub(super) fn write(
    source: &Path,
    tool: &Path,
    packages: &[Package],
    folder: &Path,
    version: &Version,
) -> Result<(PathBuf, String)> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    let copy = folder.join("checkout");
    Job::new("git").args(["clone", "--quiet"]).args([source, &copy]).run()?;
    Job::new(tool)
        .dir(&copy)
        .unaware_of_us()
        .args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--no-build-deps", "-qq"])
        .args(["--override-filename", NAME])
        .env("SOURCE_DATE_EPOCH", &version.time_s)
        .stdout()?;
    let mut count = 0;
    for (package, _, crates) in packages {
        let own = folder.join(package);
        fs::create_dir_all(&own).with_context(|| format!("{} cannot be made", own.display()))?;
        for name in *crates {
            let written = of_crate(&copy, name)?;
            let text = fs::read_to_string(&written)
                .with_context(|| format!("{} was not written", written.display()))?
                .replace(&copy.display().to_string(), SOURCE);
            fs::write(own.join(format!("{name}.cdx.json")), text)?;
            count += 1;
        }
    }
    fs::remove_dir_all(&copy).ok();
    Ok((folder.to_owned(), format!("{count} programs")))
}

/// Beside the manifest that declares the crate.
fn of_crate(copy: &Path, name: &str) -> Result<PathBuf> {
    for folder in ["client-ext", "host-ext"] {
        let members = fs::read_dir(copy.join(folder)).with_context(|| format!("{folder} cannot be read"))?;
        for member in members.flatten().map(|entry| entry.path()) {
            let manifest = fs::read_to_string(member.join("Cargo.toml")).unwrap_or_default();
            if manifest.lines().any(|line| line == format!("name = \"{name}\"")) {
                return Ok(member.join(format!("{NAME}.json")));
            }
        }
    }
    bail!("no crate is called {name}. Correct the list of packages in deploy/xtask/src/package")
}
