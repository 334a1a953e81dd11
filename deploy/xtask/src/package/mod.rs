//! `cargo xtask package`: Debian packages of what people install.
//!
//! ```text
//! cargo build --release ─► programs ─┐
//! cargo cyclonedx ───────► bills ────┼─► deploy/packages/pack (debhelper) ─► *.deb ─► lintian
//! git ───────────────────► version ──┘                           └─ with --twice: once more elsewhere, the same bytes?
//! ```

mod bills;
mod version;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use self::version::Version;
use crate::project::Project;
use crate::report;
use crate::run::{Job, on_path};
use crate::setup::{self, CYCLONEDX, Purpose};
use crate::steps::Steps;

/// For whom a package is, and the crates whose programs are in it.
type Package = (&'static str, &'static str, &'static [&'static str]);

const PACKAGES: [Package; 5] = [
    (
        "sudare-host",
        "a VDI host, or a machine before one",
        &[
            "sudare-gate",
            "sudare-owner",
            "sudare-picture",
            "sudare-nla",
            "sudare-recorder",
            "sudare-ship",
            "sudare-forward",
            "sudare-fleet",
            "sudare-audit",
            "sudare-admin",
        ],
    ),
    ("sudare-client", "an employee's PC", &["sudare-cli", "sudare-window", "sudare-freerdp"]),
    ("sudare-audit", "an auditor", &["sudare-audit", "sudare-ship"]),
    ("sudare-witness", "other people, who remember checkpoints", &["sudare-witness"]),
    ("sudare-authority", "the security team, on a machine without a network", &["sudare-authority"]),
];

/// `twice` builds everything once more in another folder, and compares.
pub(crate) fn command(project: &Project, twice: bool) -> Result<ExitCode> {
    let mut steps = Steps::default();
    if !setup::system_packages(project, Purpose::Package, &mut steps) {
        steps.require_all()?;
    }
    let home = project.target.join("package");
    let version = Version::of(&project.root)?;
    if version.has_changes {
        report::note("the checkout has changes that are not committed: nobody can make the same bytes again");
    }
    let made =
        steps.run("programs", "released programs, in which no folder of this machine is named", || {
            programs(&project.root, &home.join("build")).map(|folder| (folder, String::new()))
        });
    let bills = steps.run("bills of materials", "what each package is made of, as CycloneDX", || {
        let (tool, _) = CYCLONEDX.install(project)?;
        bills::write(&project.root, &tool, &PACKAGES, &home.join("bills"), &version)
    });
    let (Some(made), Some(bills)) = (made, bills) else {
        steps.require_all()?;
        return Ok(ExitCode::FAILURE);
    };
    let packed = steps.run("packages of Debian", "debhelper packs them", || {
        pack(&project.root, &made, &version, &home, &bills).map(|packed| (packed, String::new()))
    });
    if let Some(packed) = &packed {
        steps.run("lintian", "Debian's own judge of packages", || lint(packed).map(|note| ((), note)));
        if twice {
            steps.run("once more", "the same bytes in another folder", || {
                again(project, &home, packed, &version, &bills)
            });
        }
        packed.iter().for_each(|(name, file)| tell(name, file));
    }
    report::table(steps.rows());
    steps.require_all()?;
    Ok(ExitCode::SUCCESS)
}

/// Builds in a target folder of its own, because paths are left out.
fn programs(source: &Path, target: &Path) -> Result<PathBuf> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
    let cargo_home = cargo_home.context("neither CARGO_HOME nor HOME is set. Set one of them")?;
    // The last one that fits counts, and the target folder is inside of the source's.
    let folders = [(cargo_home.as_path(), "/cargo"), (source, "/sudare"), (target, "/target")];
    let flags = folders.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    // The same for what is written in C.
    let of_c = folders.map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display()));
    let crates = PACKAGES.iter().flat_map(|(_, _, crates)| crates.iter()).flat_map(|name| ["-p", name]);
    Job::cargo(source)
        .args(["build", "--release", "--locked", "--target-dir"])
        .args([target])
        .args(crates)
        // Separated by a character that no folder has in its name.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CFLAGS", of_c.join(" "))
        .run()?;
    Ok(target.join("release"))
}

/// The packages by their names.
fn pack(
    source: &Path,
    programs: &Path,
    version: &Version,
    out: &Path,
    bills: &Path,
) -> Result<BTreeMap<String, PathBuf>> {
    fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    // Those of another version would be taken for ours.
    for old in packages_in(out)?.into_values() {
        fs::remove_file(&old).with_context(|| format!("{} cannot be removed", old.display()))?;
    }
    Job::new(source.join("deploy/packages/pack"))
        .args([programs.as_os_str(), version.text.as_ref(), out.as_os_str(), bills.as_os_str()])
        .env("SOURCE_DATE_EPOCH", &version.time_s)
        .stdout()?;
    let packed = packages_in(out)?;
    if packed.len() != PACKAGES.len() {
        bail!("{} packages instead of {}: see deploy/packages/debian/control", packed.len(), PACKAGES.len());
    }
    Ok(packed)
}

fn packages_in(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let files = entries.flatten().map(|entry| entry.path());
    let packages = files.filter(|file| file.extension().is_some_and(|end| end == "deb"));
    Ok(packages
        .filter_map(|file| Some((file.file_name()?.to_str()?.split('_').next()?.to_owned(), file)))
        .collect())
}

fn lint(packed: &BTreeMap<String, PathBuf>) -> Result<String> {
    if on_path("lintian").is_none() {
        bail!("lintian is not installed. Install it, and run this again");
    }
    let said = Job::new("lintian")
        .args(["--allow-root", "--tag-display-limit", "0", "--fail-on", "error,warning"])
        .args(packed.values())
        .stdout()?;
    Ok(if said.trim().is_empty() { "nothing found".to_owned() } else { said.trim().to_owned() })
}

/// From a copy of the checkout in another folder, into another target folder.
fn again(
    project: &Project,
    home: &Path,
    packed: &BTreeMap<String, PathBuf>,
    version: &Version,
    bills: &Path,
) -> Result<((), String)> {
    let elsewhere = home.join("elsewhere");
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere)
            .with_context(|| format!("{} cannot be removed", elsewhere.display()))?;
    }
    let copy = elsewhere.join("checkout");
    Job::new("git").args(["clone", "--quiet"]).args([&project.root, &copy]).run()?;
    let programs = programs(&copy, &elsewhere.join("build"))?;
    let others = pack(&copy, &programs, version, &elsewhere.join("out"), bills)?;
    let mut different = Vec::new();
    for (name, file) in packed {
        let other = others.get(name).with_context(|| format!("{name} was not made the second time"))?;
        if fs::read(file)? != fs::read(other)? {
            different.push(name.as_str());
        }
    }
    if !different.is_empty() {
        bail!("other bytes the second time: {}. Compare them with diffoscope", different.join(", "));
    }
    fs::remove_dir_all(&elsewhere).ok();
    Ok(((), format!("{} packages, byte for byte", packed.len())))
}

fn tell(name: &str, file: &Path) {
    let whom = PACKAGES.iter().find(|(package, ..)| *package == name).map_or("", |(_, whom, _)| whom);
    let kib = fs::metadata(file).map_or(0, |meta| meta.len().div_ceil(1024));
    report::result(&format!("{} ({kib} KiB): for {whom}", file.display()));
}
