//! The units, users and folders of the host's package, judged by systemd's own tools.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{repository, skip_or_fail, text};
use crate::packages::HOST_PROGRAMS;

/// Most exposure that `systemd-analyze security` may find, in tenths: 0 is none, 100 is all. What connects to other
/// machines has more than what does not, and so has what looks into other processes.
const UNITS: [(&str, u32); 8] = [
    ("sudare-recorder", 7),
    ("sudare-retention", 7),
    ("sudare-ship", 17),
    ("sudare-forward", 17),
    ("sudare-fleet", 16),
    ("sudare-consent", 7),
    ("sudare-gate@", 16),
    ("sudare-owner", 17),
];
/// What starts units that do not run all the time.
const STARTERS: [&str; 3] = ["sudare-retention.timer", "sudare-consent.path", "sudare-gate.socket"];

/// Files of the host's package, below a folder that vanishes with the test.
struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Host { dir: tempfile::tempdir().unwrap() };
        for name in HOST_PROGRAMS.iter().copied().chain(["xrdp"]) {
            let program = host.write(&format!("bin/{name}"), "#!/bin/sh\n");
            std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Services as systemd reads them, with programs where they are in the test.
    fn services(&self) -> Vec<PathBuf> {
        let moved = UNITS.map(|(name, _)| {
            let said = read(&format!("deploy/linux/host/{name}.service"));
            let bin = self.path("bin").display().to_string();
            let said = ["/usr/bin/sudare-", "/usr/lib/sudare/sudare-"].iter().fold(said, |said, from| {
                said.replace(&format!("ExecStart={from}"), &format!("ExecStart={bin}/sudare-"))
            });
            assert!(said.contains(&format!("ExecStart={bin}/sudare-")), "{name} starts none of our programs");
            self.write(&format!("{name}.service"), said)
        });
        moved.into()
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// True if systemd's tools are here; otherwise it is said, or fails.
fn has_systemd() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        skip_or_fail("systemd-analyze", "there is no systemd-analyze (package systemd)");
    }
    there
}

/// The exposure of a unit in tenths, and whether it is within the limit.
fn exposure(unit: &Path, limit: u32) -> (String, bool) {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--no-pager", "--offline=yes", &format!("--threshold={limit}")]).arg(unit);
    let output = command.output().unwrap();
    let said = text(&output);
    let overall = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_default();
    (overall.to_owned(), output.status.success())
}

#[test]
fn units_are_understood_by_systemd_and_leave_little_exposed() {
    if !has_systemd() {
        return;
    }
    let host = Host::new();
    let units = host.services();
    let starters = STARTERS.map(|name| host.write(name, read(&format!("deploy/linux/host/{name}"))));
    let mut verify = Command::new("systemd-analyze");
    let verified = verify.args(["verify", "--no-pager"]).args(&units).args(starters).output().unwrap();
    assert!(verified.status.success() && text(&verified).is_empty(), "{}", text(&verified));
    for (unit, (name, limit)) in units.iter().zip(UNITS) {
        let (overall, within) = exposure(unit, limit);
        println!("{name}: {overall}");
        assert!(within, "{name} may have {limit} tenths: {overall}");
    }
}

#[test]
fn a_unit_that_was_weakened_or_mistyped_does_not_pass() {
    if !has_systemd() {
        return;
    }
    let host = Host::new();
    let units = host.services();
    let lines = ["ProtectSystem=strict", "PrivateNetwork=yes", "NoNewPrivileges=yes", "User="];
    for (unit, (name, limit)) in units.iter().zip(UNITS) {
        let whole = std::fs::read_to_string(unit).unwrap();
        for line in lines.iter().filter(|line| whole.contains(&format!("\n{line}"))) {
            let weak: String = whole.split_inclusive('\n').filter(|of| !of.starts_with(line)).collect();
            std::fs::write(unit, weak).unwrap();
            let (overall, within) = exposure(unit, limit);
            assert!(!within, "{name} without {line}: {overall}");
        }
        std::fs::write(unit, whole).unwrap();
    }
    let unit = &units[0];
    let whole = std::fs::read_to_string(unit).unwrap();
    std::fs::write(unit, whole.replace("SystemCallFilter=@system", "SystemCallFilter=@sistem")).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--no-pager"]).arg(unit).output().unwrap();
    assert!(!text(&verified).is_empty());
}

/// Homes on NFS or FUSE often refuse root (`root_squash`): nothing of ours may depend on reading one.
#[test]
fn no_service_sees_the_homes_of_people() {
    for (name, _) in UNITS {
        let unit = read(&format!("deploy/linux/host/{name}.service"));
        assert!(unit.contains("\nProtectHome=yes\n"), "{name}");
    }
}

#[test]
fn users_and_folders_are_made_so_that_each_part_reaches_only_its_own() {
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("root", "only root can give folders to users");
    }
    if !has_systemd() {
        return;
    }
    let host = Host::new();
    for folder in ["root/var/lib", "root/tmp", "root/run"] {
        std::fs::create_dir_all(host.path(folder)).unwrap();
    }
    // As Debian makes them.
    host.write("root/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    host.write("root/etc/group", "root:x:0:\n");
    for (kind, part) in [("sysusers", "sysusers"), ("tmpfiles", "tmpfiles")] {
        let text = read(&format!("deploy/packages/debian/sudare-host.{part}"));
        host.write(&format!("root/usr/lib/{kind}.d/sudare-host.conf"), text);
    }
    let root = format!("--root={}", host.path("root").display());
    for (program, arguments) in [
        ("systemd-sysusers", &[&*root, "sudare-host.conf"][..]),
        ("systemd-tmpfiles", &[&*root, "--create", "sudare-host.conf"]),
    ] {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", text(&output));
    }
    let id = |file: &str, name: &str| -> u32 {
        let lines = std::fs::read_to_string(host.path("root").join(file)).unwrap();
        let line = lines.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap().to_owned();
        line.split(':').nth(2).unwrap().parse().unwrap()
    };
    let (user, group) = (|name| id("etc/passwd", name), |name| id("etc/group", name));
    for (folder, mode, owner, of) in [
        ("var/lib/sudare", 0o700, "sudare", "sudare"),
        ("var/lib/sudare-recorder", 0o750, "sudare-recorder", "sudare-evidence"),
        ("var/lib/sudare-recorder/evidence", 0o2750, "sudare-recorder", "sudare-evidence"),
        ("var/lib/sudare-ship", 0o755, "sudare-ship", "sudare-ship"),
        ("var/lib/sudare-forward", 0o700, "sudare-forward", "sudare-forward"),
        ("var/lib/sudare/fleet", 0o700, "sudare", "sudare"),
        ("etc/sudare", 0o755, "root", "root"),
    ] {
        let meta = std::fs::metadata(host.path("root").join(folder)).unwrap();
        let found = (meta.mode() & 0o7777, meta.uid(), meta.gid());
        assert_eq!(found, (mode, user(owner), group(of)), "{folder}");
    }
    let groups = std::fs::read_to_string(host.path("root/etc/group")).unwrap();
    let is_in = |group: &str, user: &str| {
        let members = groups.lines().find_map(|line| line.strip_prefix(&format!("{group}:"))).unwrap();
        members.rsplit(':').next().unwrap().split(',').any(|name| name == user)
    };
    assert!(
        is_in("sudare-evidence", "sudare-ship") && !is_in("sudare-evidence", "sudare"),
        "gates do not read"
    );
    assert!(
        is_in("sudare-metrics", "sudare-recorder") && !is_in("sudare-metrics", "sudare"),
        "the recorder gives its socket to this group"
    );
    // Without this list nothing is erased.
    let holds = std::fs::read_to_string(host.path("root/etc/sudare/holds.txt")).unwrap();
    assert!(holds.lines().count() == 2 && holds.lines().all(|line| line.starts_with("# ")), "{holds}");
}
