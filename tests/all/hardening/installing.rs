//! `install.sh` below a folder that stands for the root of a host: what it puts in place, leaves alone and removes.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::repository;

/// What a host runs.
pub(super) const PROGRAMS: [&str; 10] = [
    "sudare-audit",
    "sudare-blanker",
    "sudare-forward",
    "sudare-guard",
    "sudare-host",
    "sudare-notary",
    "sudare-recorder",
    "sudare-ship",
    "sudare-sign-in",
    "sudare-supervisor",
];
/// What the same build makes and a host must not have.
const ELSEWHERE: [&str; 3] = ["sudare-authority", "sudare-embedded", "sudare-witness"];
pub(super) const LINE: &str =
    "account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /etc/sudare/host.toml\n";
pub(super) const DEBIANS: &str = "#%PAM-1.0\n@include common-auth\n@include common-account\n";

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

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.script(arguments);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    fn script(&self, arguments: &[&str]) -> Output {
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
    installed.put("etc/pam.d/xrdp-sesman", DEBIANS);
    installed.install();
    let once = installed.all();
    installed.install();
    assert_eq!(installed.all(), once);
    // Also nothing that doctor or systemd could take for a change, after a program was replaced.
    installed.write("programs/sudare-guard", "a newer program");
    installed.install();
    let twice = installed.all();
    let changed: Vec<_> = twice.iter().filter(|line| !once.contains(line)).collect();
    assert!(matches!(changed[..], [one] if one.contains("/usr/local/bin/sudare-guard ")), "{changed:?}");
    // A mode that somebody changed is mended.
    let program = installed.root("usr/local/bin/sudare-supervisor");
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
fn pam_s_line_is_the_first_and_the_rest_stays_byte_for_byte() {
    let installed = Installed::nothing();
    let pam = installed.put("etc/pam.d/xrdp-sesman", DEBIANS);
    for _ in 0..2 {
        installed.install();
        assert_eq!(read(&pam), format!("{LINE}{DEBIANS}"));
    }
    for _ in 0..2 {
        installed.uninstall();
        assert_eq!(read(&pam), DEBIANS, "people must be able to sign in again");
    }
    // A comment in another encoding, empty lines at the end, no newline at the end.
    for rest in [&b"# caf\xe9\n\n\n"[..], b"session optional pam_x.so"] {
        let others = [DEBIANS.as_bytes(), rest].concat();
        std::fs::write(&pam, &others).unwrap();
        installed.install();
        assert_eq!(std::fs::read(&pam).unwrap(), [LINE.as_bytes(), &others].concat());
        installed.uninstall();
        assert_eq!(std::fs::read(&pam).unwrap(), others);
    }
    assert_eq!(installed.names("etc/pam.d"), ["xrdp-sesman"], "nothing is left beside it");
}

#[test]
fn a_line_that_an_administrator_rewrote_is_ours_too() {
    let installed = Installed::nothing();
    let pam = installed.root("etc/pam.d/xrdp-sesman");
    for rewritten in [
        "-account requisite pam_exec.so /opt/sudare-sign-in",
        "  account\trequired pam_exec.so /x/sudare-sign-in\t--config /y  # ours",
        "  account\trequired pam_exec.so /x/sudare-host\tsign-in  # ours",
    ] {
        let all = format!("auth required pam_env.so\n{rewritten}\n{DEBIANS}\n\n");
        installed.put("etc/pam.d/xrdp-sesman", &all);
        installed.install();
        assert_eq!(read(&pam), format!("{LINE}auth required pam_env.so\n{DEBIANS}\n\n"), "{rewritten}");
        // One that stayed would lock everybody out.
        installed.put("etc/pam.d/xrdp-sesman", &all);
        installed.uninstall();
        assert_eq!(read(&pam), format!("auth required pam_env.so\n{DEBIANS}\n\n"), "{rewritten}");
    }
    // What only looks like it is somebody else's.
    let others =
        "account required pam_exec.so /opt/sudare-host doctor\n# account sudare-sign-in\nauth x sign-in\n";
    installed.put("etc/pam.d/xrdp-sesman", others);
    installed.install();
    installed.uninstall();
    assert_eq!(read(&pam), others);
}

#[test]
fn pam_s_file_keeps_its_mode_and_the_link_that_leads_to_it() {
    let installed = Installed::nothing();
    let real = installed.put("etc/pam.d/site", DEBIANS);
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    let pam = installed.root("etc/pam.d/xrdp-sesman");
    std::os::unix::fs::symlink("site", &pam).unwrap();
    let before = real.metadata().unwrap().ino();
    installed.install();
    assert!(pam.is_symlink());
    assert_ne!(real.metadata().unwrap().ino(), before, "renamed into place: it is never half written");
    assert_eq!((read(&real), real.metadata().unwrap().mode() & 0o7777), (format!("{LINE}{DEBIANS}"), 0o640));
    assert_eq!(installed.names("etc/pam.d"), ["site", "xrdp-sesman"]);
}
