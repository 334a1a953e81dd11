//! The units, users and folders that `install.sh` puts in place, judged by systemd's own tools.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::installing::{Installed, PROGRAMS, read, text};
use super::skip_or_fail;

/// Most exposure that `systemd-analyze security` may find, in tenths: 0 is none, 100 is all. The supervisor starts
/// the sessions' guards under another user and looks into other processes, so it needs more than the others.
const UNITS: [(&str, u32); 5] = [
    ("sudare-recorder", 7),
    ("sudare-retention", 7),
    ("sudare-ship", 17),
    ("sudare-forward", 17),
    ("sudare-supervisor", 38),
];
/// What starts a unit that does not run all the time.
const TIMER: &str = "sudare-retention.timer";

/// Units as systemd reads them, with programs where they are in the test.
fn units(installed: &Installed) -> Vec<PathBuf> {
    let moved = UNITS.map(|(name, _)| {
        let mut said = read(&installed.root(&format!("etc/systemd/system/{name}.service")));
        let program =
            PROGRAMS.iter().find(|name| said.contains(&format!("ExecStart=/usr/local/bin/{name} ")));
        let program = format!("usr/local/bin/{}", program.unwrap());
        said = said.replace(&format!("/{program}"), installed.root(&program).to_str().unwrap());
        installed.write(&format!("{name}.service"), said)
    });
    moved.into()
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
fn the_page_that_units_name_is_installed() {
    let installed = Installed::new();
    let folder = installed.root("etc/systemd/system");
    for name in UNITS.iter().map(|(name, _)| format!("{name}.service")).chain([TIMER.to_owned()]) {
        let unit = std::fs::read_to_string(folder.join(&name)).unwrap();
        let page = unit.lines().find_map(|line| line.strip_prefix("Documentation=file:///")).expect("a page");
        assert!(installed.root(page).is_file(), "{name} names /{page}, which is not installed");
    }
}

#[test]
fn units_are_understood_by_systemd_and_leave_little_exposed() {
    if !has_systemd() {
        return;
    }
    let installed = Installed::new();
    let units = units(&installed);
    let timer = installed.path(TIMER);
    std::fs::copy(installed.root("etc/systemd/system").join(TIMER), &timer).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let verified = verify.args(["verify", "--no-pager"]).args(&units).arg(timer).output().unwrap();
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
    let installed = Installed::new();
    let units = units(&installed);
    let unit = &units[0];
    let whole = std::fs::read_to_string(unit).unwrap();
    for line in ["ProtectSystem=strict", "PrivateNetwork=yes", "NoNewPrivileges=yes", "User=sudare-recorder"]
    {
        assert!(whole.contains(line));
        std::fs::write(unit, whole.replace(&format!("{line}\n"), "")).unwrap();
        let (overall, within) = exposure(unit, UNITS[0].1);
        assert!(!within, "without {line}: {overall}");
    }
    std::fs::write(unit, whole.replace("SystemCallFilter=@system", "SystemCallFilter=@sistem")).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--no-pager"]).arg(unit).output().unwrap();
    assert!(!text(&verified).is_empty());
}

#[test]
fn users_and_folders_are_made_so_that_each_part_reaches_only_its_own() {
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("root", "only root can give folders to users");
    }
    if !has_systemd() {
        return;
    }
    let installed = Installed::new();
    for folder in ["var/lib", "tmp", "run"] {
        std::fs::create_dir_all(installed.root(folder)).unwrap();
    }
    // A group that Debian's xrdp makes.
    std::fs::write(installed.root("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    std::fs::write(installed.root("etc/group"), "root:x:0:\nxrdp:x:150:\n").unwrap();
    let root = format!("--root={}", installed.path("root").display());
    for command in [["systemd-sysusers", &root, "sudare.conf"], ["systemd-tmpfiles", &root, "--create"]] {
        let [program, arguments @ ..] = command;
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", text(&output));
    }
    let id = |file: &str, name: &str| -> u32 {
        let lines = std::fs::read_to_string(installed.root(file)).unwrap();
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
    ] {
        let meta = std::fs::metadata(installed.root(folder)).unwrap();
        let found = (meta.mode() & 0o7777, meta.uid(), meta.gid());
        assert_eq!(found, (mode, user(owner), group(of)), "{folder}");
    }
    let groups = std::fs::read_to_string(installed.root("etc/group")).unwrap();
    let members = groups.lines().find_map(|line| line.strip_prefix("sudare-evidence:")).unwrap();
    assert!(
        !members.rsplit(':').next().unwrap().split(',').any(|name| name == "sudare"),
        "guards do not read"
    );
}
