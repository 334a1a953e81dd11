//! Debian's kernel, unpacked and not installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use sudare_test_kit::needs::find;

use super::output_of;

const META_PACKAGE: &str = "linux-image-amd64";
const MODULE: &str = "vivid";
const IMAGE: &str = "vmlinuz";
/// Names of modules, one on a line, in the order of loading.
const ORDER: &str = "order";

/// The parts of it that are needed.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// In the order in which they are loaded; the last is `vivid`.
    pub(super) modules: Vec<PathBuf>,
}

impl Kernel {
    /// Takes it from `folder`, or fetches the package into it.
    pub(super) fn get(folder: &Path) -> anyhow::Result<Self> {
        let package = package_name()?;
        let version = package.trim_start_matches("linux-image-");
        let kept = folder.join(version);
        let order = kept.join(ORDER);
        // Written last, so whatever was broken off is fetched again.
        if !order.is_file() {
            let download = folder.join("download");
            fetch(&download, &kept, &package, version)
                .with_context(|| format!("the package {package} cannot be had. Try apt-get update"))?;
            std::fs::remove_dir_all(&download)?;
        }
        let modules = std::fs::read_to_string(order)?.lines().map(|name| kept.join(name)).collect();
        Ok(Self { image: kept.join(IMAGE), modules })
    }
}

/// The package that the meta package stands for now.
fn package_name() -> anyhow::Result<String> {
    let listing = output_of(Command::new("apt-cache").args(["depends", META_PACKAGE]))?;
    let mut names = listing.lines().filter_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let version = names.next().with_context(|| format!("apt knows no {META_PACKAGE}. Try apt-get update"))?;
    Ok(format!("linux-image-{version}"))
}

/// Downloads and unpacks the package into `download`, and keeps what is needed of it.
fn fetch(download: &Path, kept: &Path, package: &str, version: &str) -> anyhow::Result<()> {
    for folder in [download, kept] {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
    }
    output_of(Command::new("apt-get").args(["--quiet", "download", package]).current_dir(download))?;
    let archive = download.read_dir()?.next().context("apt-get downloaded nothing")??.path();
    output_of(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(download))?;
    let depmod = find("depmod").context("depmod is missing")?;
    output_of(Command::new(depmod).arg("--basedir").arg(download).arg(version))?;
    let modules = download.join("lib/modules").join(version);
    let names = load_order(&std::fs::read_to_string(modules.join("modules.dep"))?, MODULE)?;
    let mut order = String::new();
    for name in &names {
        let file = name.rsplit('/').next().unwrap_or(name);
        ensure!(file.ends_with(".ko"), "{file} is compressed, which busybox does not load");
        std::fs::copy(modules.join(name), kept.join(file))?;
        order.push_str(file);
        order.push('\n');
    }
    std::fs::copy(download.join("boot").join(format!("vmlinuz-{version}")), kept.join(IMAGE))?;
    Ok(std::fs::write(kept.join(ORDER), order)?)
}

/// Reads a line of modules.dep, `vivid.ko: last.ko first.ko`, into the order of loading.
fn load_order(modules_dep: &str, module: &str) -> anyhow::Result<Vec<String>> {
    for line in modules_dep.lines() {
        let Some((name, needs)) = line.split_once(':') else { continue };
        let file = name.rsplit('/').next().unwrap_or(name);
        if file.split('.').next() == Some(module) {
            let needs = needs.split_whitespace().rev();
            return Ok(needs.chain([name]).map(str::to_owned).collect());
        }
    }
    bail!("{module} is not listed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_is_loaded_before_it() {
        let list = "a/other.ko:\nb/vivid.ko: c/second.ko d/first.ko\n";
        assert_eq!(load_order(list, "vivid").unwrap(), ["d/first.ko", "c/second.ko", "b/vivid.ko"]);
        assert_eq!(load_order(list, "other").unwrap(), ["a/other.ko"]);
        assert!(load_order(list, "missing").is_err());
    }
}
