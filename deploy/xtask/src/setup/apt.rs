//! Debian packages: looked for with dpkg-query, installed as root or through `sudo -n`.

use anyhow::{Result, bail};

use super::{Purpose, services};
use crate::project::Project;
use crate::report;
use crate::run::{Job, on_path};

/// What a missing package means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing builds without it.
    Build,
    /// The cover says its reason in Japanese; without a font it is only black.
    Font,
    /// Some tests and figures are left out without it.
    Test,
    /// The real xrdp session, which only root can raise, is left out without it.
    Session,
    /// One of the long tests is left out without it.
    Machine,
    /// The fuzz targets are left out without it: libFuzzer is C++.
    Fuzz,
    /// No Debian package is made, or tried, without it.
    Package,
}

/// One need, and the packages that meet it: any of them will do, the first is preferred.
struct Need {
    kind: Kind,
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    // Camera headers are read by bindgen, which loads libclang.
    Need { kind: Kind::Build, packages: &["libclang-dev"] },
    Need { kind: Kind::Build, packages: &["gcc"] },
    Need { kind: Kind::Build, packages: &["libc6-dev"] },
    // Models come through pip, and pip through a virtual environment.
    Need { kind: Kind::Build, packages: &["python3-venv"] },
    Need {
        kind: Kind::Font,
        packages: &["fonts-ipafont-gothic", "fonts-vlgothic", "fonts-noto-cjk", "fonts-ipaexfont-gothic"],
    },
    // A client that is not ours, on a screen that is not there, and pictures of it.
    Need { kind: Kind::Test, packages: &["freerdp2-x11", "freerdp3-x11"] },
    Need { kind: Kind::Test, packages: &["xvfb"] },
    Need { kind: Kind::Test, packages: &["imagemagick"] },
    Need { kind: Kind::Test, packages: &["x11-utils"] },
    Need { kind: Kind::Test, packages: &["x11-apps"] },
    // The plugin's types are compared with the headers of the client that loads it.
    Need { kind: Kind::Test, packages: &["freerdp2-dev", "freerdp3-dev"] },
    Need { kind: Kind::Test, packages: &["libwinpr2-dev", "libwinpr3-dev"] },
    // Window managers of the sessions; --long tries those that there are.
    Need { kind: Kind::Test, packages: &["openbox"] },
    Need { kind: Kind::Test, packages: &["xfwm4"] },
    // A session in namespaces of its own: its servers, and tools that set it up.
    Need { kind: Kind::Session, packages: &["xrdp"] },
    Need { kind: Kind::Session, packages: &["xorgxrdp"] },
    Need { kind: Kind::Session, packages: &["tigervnc-standalone-server"] },
    Need { kind: Kind::Session, packages: &["ssl-cert"] },
    Need { kind: Kind::Session, packages: &["x11-common"] },
    Need { kind: Kind::Session, packages: &["xauth"] },
    Need { kind: Kind::Session, packages: &["iproute2"] },
    // Another RDP host than xrdp, with NLA and the graphics pipeline, and the tool that makes its users.
    Need { kind: Kind::Session, packages: &["freerdp2-shadow-x11", "freerdp3-shadow-x11"] },
    Need { kind: Kind::Session, packages: &["winpr-utils", "winpr3-utils"] },
    // Units, users and folders are judged by systemd's own tools; nothing of it is started.
    Need { kind: Kind::Test, packages: &["systemd"] },
    // Evidence is opened, its log read, its times checked and its alarms received by tools that are not ours.
    Need { kind: Kind::Test, packages: &["age"] },
    Need { kind: Kind::Test, packages: &["golang-go"] },
    Need { kind: Kind::Test, packages: &["golang-golang-x-mod-dev"] },
    Need { kind: Kind::Test, packages: &["openssl"] },
    Need { kind: Kind::Test, packages: &["rsyslog"] },
    Need { kind: Kind::Test, packages: &["rsyslog-openssl"] },
    // A machine with a camera driver of the real kernel.
    Need { kind: Kind::Machine, packages: &["qemu-system-x86"] },
    Need { kind: Kind::Machine, packages: &["busybox-static"] },
    Need { kind: Kind::Machine, packages: &["kmod"] },
    Need { kind: Kind::Machine, packages: &["v4l-utils"] },
    // Screen lockers and more window managers of the sessions, each of which is left out where it is missing. Not
    // light-locker: it brings a display manager, which would take over the machine's own screen.
    Need { kind: Kind::Machine, packages: &["xsecurelock"] },
    Need { kind: Kind::Machine, packages: &["i3lock"] },
    Need { kind: Kind::Machine, packages: &["xscreensaver"] },
    Need { kind: Kind::Machine, packages: &["i3-wm"] },
    Need { kind: Kind::Machine, packages: &["marco"] },
    // It aborts without this one's settings.
    Need { kind: Kind::Machine, packages: &["mate-settings-daemon-common"] },
    Need { kind: Kind::Machine, packages: &["mutter"] },
    Need { kind: Kind::Machine, packages: &["kwin-x11"] },
    // Some of them want a bus of their own.
    Need { kind: Kind::Machine, packages: &["dbus-daemon"] },
    // A machine with systemd and another release's xrdp, which the installation is tried on.
    Need { kind: Kind::Machine, packages: &["mmdebstrap"] },
    Need { kind: Kind::Machine, packages: &["systemd-container"] },
    Need { kind: Kind::Fuzz, packages: &["g++"] },
    // What makes Debian packages, their manual pages, and judges them.
    Need { kind: Kind::Package, packages: &["debhelper"] },
    Need { kind: Kind::Package, packages: &["dpkg-dev"] },
    Need { kind: Kind::Package, packages: &["help2man"] },
    Need { kind: Kind::Package, packages: &["lintian"] },
];

/// Installs what is missing for this purpose.
///
/// # Errors
/// When something that the build needs is missing and cannot be installed. What only tests
/// need is reported and left out.
pub(super) fn install_missing(project: &Project, purpose: Purpose) -> Result<((), String)> {
    let uses = Uses { fuzz: project.root.join("protocol/fuzz").is_dir(), root: is_root() };
    let needs: Vec<&Need> = NEEDS.iter().filter(|need| need.wanted(purpose, uses)).collect();
    if on_path("dpkg-query").is_none() {
        return Ok(((), not_debian(&needs)));
    }
    let missing = missing(&needs)?;
    if missing.is_empty() {
        return Ok(((), format!("{} packages are there", needs.len())));
    }
    let (required, optional): (Vec<&Need>, Vec<&Need>) =
        missing.into_iter().partition(|need| need.kind == Kind::Build);
    let mut apt = Apt::find();
    if !required.is_empty() {
        apt.install(&required)?;
    }
    if optional.iter().any(|need| need.packages.contains(&"xrdp")) {
        services::keep_from_starting(&["xrdp.service", "xrdp-sesman.service"]);
    }
    let without = apt.install_possible(&optional);
    if without.is_empty() {
        return Ok(((), format!("installed {}", names(&[required, optional].concat()).join(" "))));
    }
    Ok(((), format!("without {}: what uses them is left out", without.join(" "))))
}

/// What this checkout and this user can use.
#[derive(Clone, Copy)]
struct Uses {
    fuzz: bool,
    root: bool,
}

impl Need {
    fn wanted(&self, purpose: Purpose, uses: Uses) -> bool {
        match self.kind {
            Kind::Build | Kind::Font => true,
            Kind::Test => purpose.raises_sessions(),
            Kind::Session => purpose.raises_sessions() && uses.root,
            Kind::Machine => matches!(purpose, Purpose::LongTest),
            Kind::Fuzz => purpose.runs_tests() && uses.fuzz,
            Kind::Package => purpose.runs_tests() || matches!(purpose, Purpose::Package),
        }
    }

    fn preferred(&self) -> &'static str {
        self.packages.first().copied().unwrap_or_default()
    }
}

fn names(needs: &[&Need]) -> Vec<&'static str> {
    needs.iter().map(|need| need.preferred()).collect()
}

fn not_debian(needs: &[&Need]) -> String {
    report::note("this is not Debian or a relative of it, so nothing was installed");
    report::note(&format!("needed are what Debian calls: {}", names(needs).join(" ")));
    "not checked on this system".to_owned()
}

fn missing<'a>(needs: &[&'a Need]) -> Result<Vec<&'a Need>> {
    let packages = needs.iter().flat_map(|need| need.packages);
    // It ends with 1 when one name is unknown, and lists the others all the same.
    let listing = Job::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${db:Status-Status}\\n"])
        .args(packages)
        .stdout_of_any_exit()?;
    let installed = installed_packages(&listing);
    let is_there = |need: &Need| {
        need.packages.iter().any(|package| installed.contains(package))
            // A Python from elsewhere than Debian brings its own venv.
            || (need.preferred() == "python3-venv" && python_has_venv())
    };
    Ok(needs.iter().copied().filter(|need| !is_there(need)).collect())
}

/// Reads `package status` lines. Only `installed` counts: a removed package whose settings
/// were kept is listed as well.
fn installed_packages(listing: &str) -> Vec<&str> {
    let lines = listing.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(_, status)| *status == "installed").map(|(package, _)| package).collect()
}

fn python_has_venv() -> bool {
    Job::new("python3").args(["-c", "import ensurepip, venv"]).succeeds()
}

/// Whether root runs this, so that more than looking is possible.
pub(crate) fn is_root() -> bool {
    Job::new("id").args(["-u"]).stdout().is_ok_and(|uid| uid.trim() == "0")
}

/// The way to apt-get on this machine.
struct Apt {
    /// What goes before `apt-get`; `None` where nobody may install.
    prefix: Option<Vec<&'static str>>,
    updated: bool,
}

impl Apt {
    fn find() -> Self {
        let prefix = if is_root() {
            Some(vec!["env"])
        } else if on_path("sudo").is_some() && Job::new("sudo").args(["-n", "true"]).succeeds() {
            Some(vec!["sudo", "-n", "env"])
        } else {
            None
        };
        Self { prefix, updated: false }
    }

    fn install(&mut self, needs: &[&Need]) -> Result<()> {
        let names = names(needs);
        if self.prefix.is_none() {
            bail!(
                "packages are missing and only an administrator may install them. Type: {}",
                by_hand(&names)
            );
        }
        // A fresh machine has no package lists, an old one has lists of versions that are gone.
        if !self.updated {
            if let Some(packages) = available(needs)
                && self.get(&["install"], &packages).is_ok()
            {
                return Ok(());
            }
            self.get(&["update"], &[])?;
            self.updated = true;
        }
        let Some(packages) = available(needs) else {
            bail!("this release has no package for one of: {}. Install it another way", names.join(" "));
        };
        self.get(&["install"], &packages)
    }

    /// Installs what can be installed; returns the names of the rest, and says why.
    fn install_possible(&mut self, needs: &[&Need]) -> Vec<&'static str> {
        if needs.is_empty() || self.install(needs).is_ok() {
            return Vec::new();
        }
        // One that this release lacks must not keep the others away.
        let groups: Vec<&[&Need]> =
            if self.prefix.is_some() { needs.chunks(1).collect() } else { vec![needs] };
        let mut without = Vec::new();
        for group in groups {
            if let Err(error) = self.install(group) {
                report::note(&format!("{error:#}"));
                without.extend(names(group));
            }
        }
        without
    }

    fn get(&self, action: &[&str], packages: &[&str]) -> Result<()> {
        let prefix = self.prefix.clone().unwrap_or_default();
        let (program, rest) = prefix.split_first().map_or(("env", &[][..]), |(first, rest)| (*first, rest));
        Job::new(program)
            .args(rest)
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y", "--no-install-recommends"])
            // Another installation may be running, as it does on a machine that just started.
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .args(action)
            .args(packages)
            .stdout()
            .map(drop)
    }
}

/// The first package of each need that the package lists know; `None` if one is unknown.
fn available<'a>(needs: &[&'a Need]) -> Option<Vec<&'a str>> {
    let known =
        |package: &&str| Job::new("apt-cache").args(["--no-all-versions", "show", package]).succeeds();
    needs.iter().map(|need| need.packages.iter().copied().find(known)).collect()
}

fn by_hand(names: &[&str]) -> String {
    format!("sudo apt-get install --no-install-recommends {}", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_or_half_installed_package_is_not_installed() {
        let listing = "gcc installed\nage config-files\nxvfb half-configured\nlibc6-dev installed\n\nodd\n";
        assert_eq!(installed_packages(listing), ["gcc", "libc6-dev"]);
    }

    #[test]
    fn the_demo_asks_for_no_test_tools() {
        let wanted = |purpose, fuzz, root| {
            let uses = Uses { fuzz, root };
            NEEDS.iter().filter(|n| n.wanted(purpose, uses)).map(Need::preferred).collect::<Vec<_>>()
        };
        assert!(wanted(Purpose::Demo, true, true).contains(&"libclang-dev"));
        assert!(!wanted(Purpose::Demo, true, true).contains(&"xvfb"));
        assert!(wanted(Purpose::Test, true, false).contains(&"g++"));
        assert!(!wanted(Purpose::Test, false, false).contains(&"g++"));
        assert!(wanted(Purpose::Everything, false, false).contains(&"xvfb"));
        // Nobody gets an RDP server for tests that only root can run.
        assert!(wanted(Purpose::Test, false, true).contains(&"xrdp"));
        assert!(!wanted(Purpose::Test, false, false).contains(&"xrdp"));
        assert!(!wanted(Purpose::Demo, false, true).contains(&"xrdp"));
        assert!(wanted(Purpose::Bench, false, true).contains(&"xrdp"));
        assert!(!wanted(Purpose::Bench, true, true).contains(&"g++"));
        assert!(wanted(Purpose::Stack, false, true).contains(&"xrdp"));
        assert!(!wanted(Purpose::Test, false, true).contains(&"qemu-system-x86"));
        assert!(wanted(Purpose::LongTest, false, true).contains(&"qemu-system-x86"));
    }

    #[test]
    fn who_may_not_install_gets_the_command_to_type() {
        let mut apt = Apt { prefix: None, updated: false };
        let gcc = Need { kind: Kind::Build, packages: &["gcc"] };
        let error = apt.install(&[&gcc]).expect_err("no right to install").to_string();
        assert!(error.ends_with("Type: sudo apt-get install --no-install-recommends gcc"), "{error}");
    }
}
