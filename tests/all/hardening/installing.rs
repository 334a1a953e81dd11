//! `install.sh` below a folder that stands for the root of a host: what it puts in place, leaves alone and removes.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::repository;

/// What a host runs.
pub(crate) const PROGRAMS: [&str; 10] = [
    "sudare-audit",
    "sudare-forward",
    "sudare-gate",
    "sudare-host",
    "sudare-nla",
    "sudare-notary",
    "sudare-owner",
    "sudare-picture",
    "sudare-recorder",
    "sudare-ship",
];
/// What the same build makes and a host must not have.
const ELSEWHERE: [&str; 3] = ["sudare-authority", "sudare-embedded", "sudare-witness"];
/// Of xrdp.ini, in parts as Debian's has them.
pub(super) const INI: &str = "[Globals]\n; port to listen on\nport=3389\nfork=true\n[Xorg]\nport=-1\n";
/// The same behind the gate: what it was is kept in the line above.
pub(super) const INI_BEHIND: &str = "[Globals]\n; port to listen on\n;sudare;port=3389\nport=unix://./run/sudare-xrdp/socket\n\
    fork=true\n[Xorg]\nport=-1\n";
const XRDP_INI: &str = "etc/xrdp/xrdp.ini";

/// What is installed below a folder that vanishes with the test.
pub(super) struct Installed {
    dir: tempfile::TempDir,
}

impl Installed {
    /// Programs to install, and a root on which nothing is installed yet.
    pub(super) fn nothing() -> Self {
        let installed = Installed { dir: tempfile::tempdir().unwrap() };
        for name in PROGRAMS.iter().chain(&ELSEWHERE) {
            installed.write(&format!("programs/{name}"), "a new program");
        }
        installed
    }

    pub(super) fn new() -> Self {
        let installed = Self::nothing();
        installed.install();
        installed
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn root(&self, name: &str) -> PathBuf {
        self.path("root").join(name)
    }

    /// A file below the root, and the folders on the way to it.
    pub(super) fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        self.write(&format!("root/{name}"), text)
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn install(&self) -> String {
        self.run(&["--programs", self.path("programs").to_str().unwrap()])
    }

    pub(super) fn uninstall(&self) -> String {
        self.run(&["--uninstall"])
    }

    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let output = self.script(arguments);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    pub(super) fn script(&self, arguments: &[&str]) -> Output {
        Command::new("sh")
            .arg(script())
            .args(arguments)
            .arg("--root")
            .arg(self.path("root"))
            .output()
            .unwrap()
    }

    /// Each file and link below the root, and all that an installation could change of it.
    pub(super) fn all(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.path("root")];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
                let meta = path.symlink_metadata().unwrap();
                if meta.is_dir() {
                    folders.push(path);
                    continue;
                }
                let target = path.read_link().unwrap_or_default();
                let (inode, mode) = (meta.ino(), meta.mode());
                let written = meta.modified().unwrap();
                found.push(format!("{} {inode} {mode:o} {written:?} {}", path.display(), target.display()));
            }
        }
        found.sort();
        found
    }

    /// Names of the files and links in a folder.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root(folder)).into_iter().flatten().flatten();
        let files = entries.filter(|entry| !entry.path().is_dir() || entry.path().is_symlink());
        let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(super) fn script() -> PathBuf {
    repository().join("deploy/linux/host/install.sh")
}

pub(super) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

pub(super) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_host_gets_the_programs_it_runs_and_no_others() {
    let installed = Installed::new();
    assert_eq!(installed.names("usr/local/bin"), PROGRAMS);
    for name in PROGRAMS {
        assert_eq!(installed.root("usr/local/bin").join(name).metadata().unwrap().mode() & 0o7777, 0o755);
    }
    for secret in ["etc/sudare/ship.env.example", "etc/sudare/forward.env.example"] {
        assert_eq!(installed.root(secret).metadata().unwrap().mode() & 0o7777, 0o600);
    }
}

#[test]
fn a_program_that_was_not_built_is_named_before_anything_is_changed() {
    for missing in PROGRAMS {
        let installed = Installed::nothing();
        std::fs::remove_file(installed.path("programs").join(missing)).unwrap();
        let output = installed.script(&["--programs", installed.path("programs").to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output);
        assert!(said.contains(&format!("{missing} does not exist")), "{said}");
        assert!(said.contains("cargo build --release") && !installed.path("root").exists(), "{said}");
    }
}

#[test]
fn a_second_installation_changes_nothing() {
    let installed = Installed::nothing();
    installed.put(XRDP_INI, INI);
    installed.install();
    let once = installed.all();
    installed.install();
    assert_eq!(installed.all(), once);
    // Also nothing that doctor or systemd could take for a change, after a program was replaced.
    installed.write("programs/sudare-gate", "a newer program");
    installed.install();
    let twice = installed.all();
    let changed: Vec<_> = twice.iter().filter(|line| !once.contains(line)).collect();
    assert!(matches!(changed[..], [one] if one.contains("/usr/local/bin/sudare-gate ")), "{changed:?}");
    // A mode that somebody changed is mended.
    let program = installed.root("usr/local/bin/sudare-owner");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o777)).unwrap();
    installed.install();
    assert_eq!(installed.all(), twice);
}

#[test]
fn settings_stay_and_nothing_else_does() {
    let installed = Installed::nothing();
    let settings = installed.put("etc/sudare/host.toml", "max_sessions = 7\n");
    installed.install();
    installed.install();
    assert_eq!(read(&settings), "max_sessions = 7\n");
    assert!(installed.root("etc/sudare/holds.txt").exists(), "without a list of holds nothing is erased");
    installed.uninstall();
    assert!(settings.exists(), "settings are the administrator's");
    assert!(!installed.root("usr/share/doc/sudare").exists());
    let settings = installed.root("etc/sudare/").display().to_string();
    let left = installed.all().into_iter().filter(|line| !line.starts_with(&settings));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn the_option_of_the_trial_still_works_and_says_that_it_is_not_needed() {
    let installed = Installed::nothing();
    let said = installed.run(&["--gate", "--programs", installed.path("programs").to_str().unwrap()]);
    assert!(said.contains("--gate is no longer needed"), "{said}");
    assert_eq!(installed.names("usr/local/bin"), PROGRAMS);
}

#[test]
fn xrdp_listens_behind_the_gate_and_is_put_back_byte_for_byte() {
    let installed = Installed::nothing();
    let ini = installed.put(XRDP_INI, INI);
    for _ in 0..2 {
        installed.install();
        assert_eq!(read(&ini), INI_BEHIND);
    }
    for _ in 0..2 {
        installed.uninstall();
        assert_eq!(read(&ini), INI);
    }
    // Another encoding, several ports, none at all, no newline at the end.
    for others in [
        &b"; caf\xe9\r\n[Globals]\r\nport=tcp://:3389 vsock://-1:3389\r\nport=3390\r\n[Xorg]\r\nport=-1\r\n"
            [..],
        b"[globals]\nfork=true\n\n\n[Xorg]\nport=-1",
        b"[Globals]\nPort = 3389",
    ] {
        std::fs::write(&ini, others).unwrap();
        installed.install();
        let behind = std::fs::read(&ini).unwrap();
        let behind = String::from_utf8_lossy(&behind);
        let globals = behind.split("[Xorg]").next().unwrap();
        let ports: Vec<_> =
            globals.lines().filter(|line| line.trim_start().to_lowercase().starts_with("port")).collect();
        assert!(!ports.is_empty(), "{behind}");
        assert!(ports.iter().all(|line| *line == "port=unix://./run/sudare-xrdp/socket"), "{behind}");
        installed.uninstall();
        assert_eq!(std::fs::read(&ini).unwrap(), others);
    }
    assert_eq!(installed.names("etc/xrdp"), ["xrdp.ini"], "nothing is left beside it");
}

#[test]
fn an_update_of_xrdp_that_puts_its_own_port_back_is_mended_by_the_next_run() {
    let installed = Installed::nothing();
    let ini = installed.put(XRDP_INI, INI);
    installed.install();
    // Somebody else's line stays theirs, also when ours goes.
    std::fs::write(&ini, INI_BEHIND.replace("[Xorg]", "port=3391\n[Xorg]")).unwrap();
    installed.install();
    assert!(!read(&ini).contains("\nport=3391"), "{}", read(&ini));
    installed.uninstall();
    assert_eq!(read(&ini), INI.replace("[Xorg]", "port=3391\n[Xorg]"));
    installed.put(XRDP_INI, INI);
    installed.install();
    assert_eq!(read(&ini), INI_BEHIND);
}

#[test]
fn xrdp_s_file_keeps_its_mode_and_the_link_that_leads_to_it() {
    let installed = Installed::nothing();
    let real = installed.put("etc/xrdp/site.ini", INI);
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    let ini = installed.root(XRDP_INI);
    std::os::unix::fs::symlink("site.ini", &ini).unwrap();
    let before = real.metadata().unwrap().ino();
    installed.install();
    assert!(ini.is_symlink());
    assert_ne!(real.metadata().unwrap().ino(), before, "renamed into place: it is never half written");
    assert_eq!((read(&real), real.metadata().unwrap().mode() & 0o7777), (INI_BEHIND.to_owned(), 0o640));
    assert_eq!(installed.names("etc/xrdp"), ["site.ini", "xrdp.ini"]);
}

#[test]
fn the_gate_shows_xrdp_s_certificate_unless_a_key_is_there() {
    let installed = Installed::nothing();
    installed.put(XRDP_INI, INI);
    installed.install();
    let key = installed.root("etc/sudare/gate.key");
    assert_eq!(key.read_link().unwrap(), Path::new("/etc/xrdp/key.pem"));
    std::fs::remove_file(&key).unwrap();
    installed.put("etc/sudare/gate.key", "a key of the administrator's");
    installed.install();
    installed.uninstall();
    assert_eq!(read(&key), "a key of the administrator's");
}

#[test]
fn before_another_host_nothing_of_this_machine_s_xrdp_is_touched() {
    let installed = Installed::nothing();
    let ini = installed.put(XRDP_INI, INI);
    let pin = "ab".repeat(32);
    let target = format!("tcp:192.0.2.7:3389#{pin}");
    let programs = installed.path("programs");
    let install =
        |target: &str| installed.script(&["--target", target, "--programs", programs.to_str().unwrap()]);
    assert_eq!(install("192.0.2.7:3389").status.code(), Some(2));
    assert!(!installed.root("usr/local/bin").exists(), "refused before anything is changed");
    for _ in 0..2 {
        assert!(install(&target).status.success());
        let settings = read(&installed.root("etc/sudare/host.toml"));
        assert_eq!(settings.matches(&format!("gate_target = \"{target}\"\n")).count(), 1, "{settings}");
        assert_eq!(read(&ini), INI);
        assert!(!installed.root("etc/systemd/system/xrdp.service.d").exists());
        assert!(!installed.root("usr/lib/tmpfiles.d/sudare-xrdp.conf").exists());
    }
    // Later runs know it from the settings.
    installed.install();
    assert_eq!(read(&ini), INI);
}
