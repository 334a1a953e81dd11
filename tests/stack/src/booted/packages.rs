//! Debian packages of the programs that are built here, as `cargo xtask package` makes them of released ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use sudare_test_kit::{checkout, programs};

const PROGRAMS: [&str; 14] = [
    "sudare",
    "sudare-audit",
    "sudare-authority",
    "sudare-fleet",
    "sudare-forward",
    "sudare-gate",
    "sudare-host",
    "sudare-nla",
    "sudare-notary",
    "sudare-owner",
    "sudare-picture",
    "sudare-recorder",
    "sudare-ship",
    "sudare-witness",
];
const PLUGIN: &str = "libsudare_client.so";
/// Where the packages are seen inside of a machine.
pub const INSIDE: &str = "/packages";
/// The package of a newer version, made inside of other bytes that are the same programs: an upgrade.
pub const NEWER: &str = r#"set -e
    rm -rf /srv/newer; mkdir -p /srv/newer
    dpkg-deb -R /packages/sudare-host_*.deb /srv/newer/tree
    for program in /srv/newer/tree/usr/bin/*; do printf x >>"$program"; done
    sed -i 's/^Version: .*/Version: 9/' /srv/newer/tree/DEBIAN/control
    dpkg-deb -Znone -b /srv/newer/tree /srv/newer/sudare-host_9_all.deb >/dev/null; rm -r /srv/newer/tree"#;

/// Packs into `out`, which is emptied first. What was packed of the same programs before stays.
///
/// # Errors
/// A program is not built, or debhelper fails.
pub fn pack(out: &Path) -> anyhow::Result<()> {
    let folder = programs(&PROGRAMS)?;
    // Machines are booted one at a time, but several tests may come here at once.
    let alone = std::fs::File::create(out.with_extension("lock"))
        .with_context(|| format!("{} cannot be locked", out.display()))?;
    alone.lock()?;
    let state = state(&folder)?;
    let mark = out.join("packed-of");
    if std::fs::read_to_string(&mark).is_ok_and(|packed| packed == state) {
        return Ok(());
    }
    if out.exists() {
        std::fs::remove_dir_all(out)?;
    }
    let mut command = Command::new(checkout().join("deploy/packages/pack"));
    command.arg(&folder).arg("0.1.0").arg(out);
    // Nobody keeps them: time is what counts.
    command.env("PACK_FLAGS", "-Znone");
    let output = command.output().context("deploy/packages/pack cannot be started")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(mark, state)?;
    Ok(())
}

/// Tells whether anything that goes in was changed.
fn state(programs: &Path) -> anyhow::Result<String> {
    let mut files: Vec<PathBuf> = PROGRAMS.iter().chain([&PLUGIN]).map(|name| programs.join(name)).collect();
    for folder in
        ["deploy/packages", "deploy/packages/debian", "deploy/linux/host", "deploy/linux/host/xrdp.service.d"]
    {
        let entries = std::fs::read_dir(checkout().join(folder)).with_context(|| folder.to_owned())?;
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut state = String::new();
    for file in files {
        let meta = file.metadata().with_context(|| file.display().to_string())?;
        state.push_str(&format!("{} {} {:?}\n", file.display(), meta.len(), meta.modified()?));
    }
    Ok(state)
}
