//! What the stack needs from a machine, so that a skipped run says why.

use std::path::{Path, PathBuf};
use std::process::Command;

use sudare_test_kit::needs::find;

/// Our own programs, which must lie in one folder.
pub const OURS: [&str; 12] = [
    "sudare",
    "sudare-stack",
    "sudare-secret-desktop",
    "sudare-hostile",
    "sudare-gate",
    "sudare-owner",
    "sudare-nla",
    "sudare-picture",
    "sudare-recorder",
    "sudare-host",
    "sudare-authority",
    "sudare-audit",
];

/// Programs, and the Debian package that each comes from.
const PROGRAMS: &[(&str, &str)] = &[
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("ip", "iproute2"),
    ("useradd", "passwd"),
    ("usermod", "passwd"),
    ("chpasswd", "passwd"),
    ("xrdp", "xrdp"),
    ("xrdp-sesman", "xrdp"),
    ("Xvfb", "xvfb"),
    ("xfreerdp", "freerdp2-x11"),
    ("openbox", "openbox"),
    ("xauth", "xauth"),
    ("freerdp-shadow-cli", "freerdp2-shadow-x11"),
    ("winpr-hash", "winpr-utils"),
];

/// Files without a program of their own, and their package.
const FILES: &[(&str, &str)] = &[
    ("/usr/lib/xorg/modules/libxorgxrdp.so", "xorgxrdp"),
    ("/etc/X11/Xsession", "x11-common"),
    ("/etc/xrdp/sesman.ini", "xrdp"),
    ("/usr/bin/python3", "python3"),
];

/// Why the stack cannot run here, if it cannot.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can create namespaces and start sessions. Run it as root".to_owned());
    }
    let program = PROGRAMS.iter().find(|(name, _)| find(name).is_none());
    let file = FILES.iter().find(|(path, _)| !Path::new(path).exists());
    if let Some((name, package)) = program.or(file) {
        return Some(format!("{name} is missing. apt-get install {package}"));
    }
    let tried =
        Command::new("unshare").args(["--mount", "--pid", "--net", "--ipc", "--fork", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!(
                "this machine refuses to create namespaces ({}). Grant CAP_SYS_ADMIN to the container",
                said.trim()
            ))
        }
        Err(error) => Some(format!("unshare cannot be started: {error}")),
    }
}

/// Folders outside the build that programs read, and that a folder emptied in the namespace may hide.
pub fn folders() -> Vec<PathBuf> {
    let pictures = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from);
    let models = sudare_models::Store::default_dir().ok();
    pictures.into_iter().chain(models).filter(|folder| folder.is_dir()).collect()
}
