//! The units, users and folders that `install.sh` puts in place, judged by systemd's own tools.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::installing::{INI, Installed, PROGRAMS, read, text};
use super::skip_or_fail;

/// Most exposure that `systemd-analyze security` may find, in tenths: 0 is none, 100 is all. What connects to other
/// machines has more than what does not, and so has what looks into other processes.
const UNITS: [(&str, u32); 6] = [
    ("sudare-recorder", 7),
    ("sudare-retention", 7),
    ("sudare-ship", 17),
    ("sudare-forward", 17),
    ("sudare-gate@", 16),
    ("sudare-owner", 17),
];
/// What starts units that do not run all the time.
const STARTERS: [&str; 2] = ["sudare-retention.timer", "sudare-gate.socket"];

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
    for name in UNITS.iter().map(|(name, _)| format!("{name}.service")).chain(STARTERS.map(str::to_owned)) {
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
    let starters = STARTERS.map(|name| {
        std::fs::copy(installed.root("etc/systemd/system").join(name), installed.path(name)).unwrap();
        installed.path(name)
    });
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
    let installed = Installed::new();
    let units = units(&installed);
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

#[test]
fn users_and_folders_are_made_so_that_each_part_reaches_only_its_own() {
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("root", "only root can give folders to users");
    }
    if !has_systemd() {
        return;
    }
    let installed = Installed::nothing();
    installed.put("etc/xrdp/xrdp.ini", INI);
    installed.install();
    for folder in ["var/lib", "tmp", "run"] {
        std::fs::create_dir_all(installed.root(folder)).unwrap();
    }
    // Users and groups that Debian and its xrdp make.
    installed.put("etc/passwd", "root:x:0:0::/root:/bin/sh\nxrdp:x:150:150::/run/xrdp:/usr/sbin/nologin\n");
    installed.put("etc/group", "root:x:0:\nssl-cert:x:149:\nxrdp:x:150:\n");
    let root = format!("--root={}", installed.path("root").display());
    for [program, arguments @ ..] in [
        ["systemd-sysusers", &root, "sudare.conf", "sudare-xrdp.conf"],
        ["systemd-tmpfiles", &root, "--create", "--"],
    ] {
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
        ("run/sudare-xrdp", 0o2750, "xrdp", "sudare"),
    ] {
        let meta = std::fs::metadata(installed.root(folder)).unwrap();
        let found = (meta.mode() & 0o7777, meta.uid(), meta.gid());
        assert_eq!(found, (mode, user(owner), group(of)), "{folder}");
    }
    let groups = std::fs::read_to_string(installed.root("etc/group")).unwrap();
    let is_in = |group: &str, user: &str| {
        let members = groups.lines().find_map(|line| line.strip_prefix(&format!("{group}:"))).unwrap();
        members.rsplit(':').next().unwrap().split(',').any(|name| name == user)
    };
    assert!(is_in("ssl-cert", "xrdp") && !is_in("ssl-cert", "sudare") && !is_in("xrdp", "sudare"));
    assert!(!is_in("sudare-evidence", "sudare"), "gates do not read");
}
