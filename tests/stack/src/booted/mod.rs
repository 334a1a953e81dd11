//! A throw-away machine with systemd as its first process: Debian of a chosen release with its own xrdp, in namespaces.
//! Needs root, and Debian's mirror once for each release; changes nothing on this machine.
//!
//! ```text
//! mmdebstrap ─► folder of the release, kept for the next time
//!                 └─ overlay, in memory ─► systemd-nspawn ─► systemd ─► units, as on any host
//! scripts of a test ─► nsenter ─────────────────────────────┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | `packages` | Debian packages of the programs that are built here |
//! | `seat` | who meets at a host: the security team, its administrator, an employee with a client |
//! | `guide` | the administrator's page, followed |
//! | `field` | what happens to a host while somebody works, and whether that person notices |

pub mod field;
pub mod guide;
pub mod packages;
pub mod seat;

pub mod doctor;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sudare_test_kit::needs::find;
use sudare_test_kit::wait_until;

/// What must be installed, by the name of a program of each package.
pub const TOOLS: [(&str, &str); 2] = [("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container")];

/// What a machine is made of, beside what only one release has.
const PACKAGES: &str = "ca-certificates,iproute2,procps,systemd,systemd-sysv,libpam-systemd,dbus,xrdp,xorgxrdp,openbox,\
    xterm,xvfb,xauth,x11-common,x11-xserver-utils,dbus-x11,ssl-cert,fonts-ipafont-gothic,imagemagick,adduser,openssl,\
    netbase,nftables";

/// Where a folder of this machine is seen inside.
pub const SHARED: &str = "/shared";
/// Where xrdp's own packages lie inside, so that it can be installed as if for the first time.
pub const XRDP_PACKAGES: &str = "/srv/xrdp";

/// A release of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Of the folder in which it is kept.
    pub name: &'static str,
    suite: &'static str,
    packages: &'static str,
}

/// Debian 12: xrdp 0.9.
pub const BOOKWORM: Release = Release { name: "bookworm", suite: "bookworm", packages: "freerdp2-x11" };
/// Debian 13: xrdp 0.10.
pub const TRIXIE: Release = Release { name: "trixie", suite: "trixie", packages: "freerdp3-x11,polkitd" };
/// The same with all clients and servers of it that the gate is tried with. It is not booted.
pub const TRIXIE_HOSTS: Release = Release {
    name: "trixie-hosts",
    suite: "trixie",
    packages: "freerdp3-x11,polkitd,freerdp3-shadow-x11,winpr3-utils,remmina,remmina-plugin-rdp,weston,xwayland,python3,\
        gnome-remote-desktop,gnome-shell,dbus-user-session,pipewire,wireplumber,libgl1-mesa-dri,libglib2.0-bin",
};

/// What is in the way, if anything is.
#[must_use]
pub fn missing() -> Option<String> {
    let missing: Vec<_> = TOOLS.iter().filter(|(tool, _)| find(tool).is_none()).map(|(_, p)| *p).collect();
    match missing[..] {
        [] if !rustix::process::geteuid().is_root() => {
            Some("only root can boot one. Run it as root".to_owned())
        }
        [] => None,
        _ => Some(format!("apt-get install {}", missing.join(" "))),
    }
}

/// A running machine. It ends with its owner.
#[derive(Debug)]
pub struct Machine {
    nspawn: Child,
    leader: Pid,
    /// Also of its cgroups.
    name: String,
    /// One machine at a time: each is given as much time as it needs, and all of them the same folders.
    _alone: std::fs::File,
}

impl Machine {
    /// Boots. `kept` is the folder in which releases are kept; `shared` is [`SHARED`] inside, and each of `binds` is seen
    /// there as the second path, read-only.
    ///
    /// # Errors
    /// The release cannot be had, or it does not start.
    pub fn boot(
        release: Release,
        kept: &Path,
        shared: &Path,
        binds: &[(&Path, &str)],
    ) -> anyhow::Result<Self> {
        let alone = lock(kept)?;
        let root = make(release, kept)?;
        let name = format!("sudare-{}-{}", release.name, std::process::id());
        // In a cgroup of its own, or two machines would share one; in a mount namespace of its own, so that the layer
        // goes with it.
        let enter = r#"set -e
            for tree in unified systemd .; do
                [ -e "/sys/fs/cgroup/$tree/cgroup.procs" ] || continue
                mkdir -p "/sys/fs/cgroup/$tree/$NAME"
                echo $$ >"/sys/fs/cgroup/$tree/$NAME/cgroup.procs"
            done
            mount -t tmpfs tmpfs "$LAYER"
            mkdir "$LAYER/upper" "$LAYER/work" "$LAYER/root"
            mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$LAYER/upper,workdir=$LAYER/work" "$LAYER/root"
            # It ends with this code where the machine wants to be started again (systemd-nspawn(1), --keep-unit).
            code=133
            while [ $code = 133 ]; do
                code=0
                systemd-nspawn -q -D "$LAYER/root" -b --register=no --keep-unit --private-network \
                    --link-journal=no -M "$NAME" "$@" || code=$?
            done"#;
        let layer = kept.join("layer");
        std::fs::create_dir_all(&layer)?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", enter, "sh"]);
        command.arg(format!("--bind={}:{SHARED}", shared.display()));
        command.args(binds.iter().map(|(from, to)| format!("--bind-ro={}:{to}", from.display())));
        command.env("NAME", &name).env("ROOT", &root).env("LAYER", &layer);
        // Its filter would forbid pidfd_getfd and Landlock, as no host does.
        command.env("SYSTEMD_SECCOMP", "0").env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        let console = std::fs::File::create(kept.join("console.log"))?;
        command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
        let nspawn = command.spawn().context("unshare cannot be started")?;
        let mut starting = Starting(Some(nspawn));
        let leader = wait_until("the machine's first process", || starting.leader())?;
        let nspawn = starting.0.take().context("it has ended")?;
        let machine = Self { nspawn, leader, name, _alone: alone };
        machine.wait_for_start()?;
        Ok(machine)
    }

    fn wait_for_start(&self) -> anyhow::Result<()> {
        wait_until("the machine to have started", || {
            let state = self.run("systemctl is-system-running", "")?;
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            Ok(["running", "degraded"].contains(&&*state).then_some(()))
        })
    }

    /// Restarts the machine; its disk stays.
    ///
    /// # Errors
    /// It does not start again.
    pub fn reboot(&mut self) -> anyhow::Result<()> {
        let before = self.leader;
        // Its own process may end before it could answer.
        self.run("systemctl reboot", "").ok();
        let nspawn = self.nspawn.id();
        self.leader = wait_until("the machine's new first process", || {
            Ok(first_process(nspawn).filter(|leader| *leader != before))
        })?;
        self.wait_for_start()
    }

    /// Runs a script of bash inside, with one argument.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, script: &str, argument: &str) -> anyhow::Result<Output> {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader.as_raw_nonzero().to_string(), "-a", "env", "-i"]);
        command.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]);
        command.args(["LANG=C.UTF-8", "bash", "-c", script, "bash", argument]).stdin(Stdio::null());
        command.output().context("nsenter cannot be started")
    }

    /// The same, which has to end well; what it printed.
    ///
    /// # Errors
    /// It does not, in its own words.
    pub fn must(&self, script: &str, argument: &str) -> anyhow::Result<String> {
        let output = self.run(script, argument)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script}\n{}\n{said}{complaint}", output.status);
        Ok(said)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others end, and then whoever waits for them.
        kill_process(self.leader, Signal::KILL).ok();
        self.nspawn.wait().ok();
        for tree in ["unified", "systemd", "."] {
            remove_group(&Path::new("/sys/fs/cgroup").join(tree).join(&self.name));
        }
    }
}

/// A cgroup goes once those below it have gone; its files go with it.
fn remove_group(group: &Path) {
    for below in std::fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if below.is_dir() {
            remove_group(&below);
        }
    }
    std::fs::remove_dir(group).ok();
}

/// Ends with its owner until it has become a machine.
struct Starting(Option<Child>);

impl Starting {
    /// The process that is pid 1 inside.
    fn leader(&mut self) -> anyhow::Result<Option<Pid>> {
        let nspawn = self.0.as_mut().context("it has ended")?;
        ensure!(nspawn.try_wait()?.is_none(), "systemd-nspawn ended; see console.log");
        Ok(first_process(nspawn.id()))
    }
}

/// Of the machine that this process runs, which is a script around `systemd-nspawn`. Before it, others come and go.
fn first_process(script: u32) -> Option<Pid> {
    let below = children(script).into_iter().flat_map(children).find(|pid| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.trim() == "systemd")
    });
    Pid::from_raw(i32::try_from(below?).ok()?)
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut nspawn) = self.0.take() {
            nspawn.kill().ok();
            nspawn.wait().ok();
        }
    }
}

/// The root of a release, in the folder in which releases are kept. It is made if it is not there yet.
///
/// # Errors
/// It cannot be had.
pub fn root(release: Release, kept: &Path) -> anyhow::Result<PathBuf> {
    let _alone = lock(kept)?;
    make(release, kept)
}

fn lock(kept: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::create_dir_all(kept)?;
    let alone = std::fs::File::create(kept.join("lock"))?;
    alone.lock()?;
    Ok(alone)
}

/// The folder of the release, made if it is not there yet, or is made of other packages.
fn make(release: Release, kept: &Path) -> anyhow::Result<PathBuf> {
    let root = kept.join(release.name);
    let list = kept.join(format!("{}.packages", release.name));
    let packages = format!("{PACKAGES},{}", release.packages);
    let made_of = format!("{packages}, and {XRDP_PACKAGES}");
    if root.join("usr").is_dir() {
        if std::fs::read_to_string(&list).is_ok_and(|of| of == made_of) {
            return Ok(root);
        }
        std::fs::remove_dir_all(&root)?;
    }
    // Renamed when it is whole: a run that was killed leaves nothing that is taken for a release.
    let new = kept.join(format!("{}.new", release.name));
    if new.exists() {
        std::fs::remove_dir_all(&new)?;
    }
    // It mounts this machine's /proc and /sys there. In namespaces of its own they go with it also when it is killed, and
    // the removal above meets nothing but files.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--skip=check/empty"]);
    command.args(["--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\""]);
    command.arg("--dpkgopt=force-unsafe-io");
    command.args(["man", "doc", "locale"].map(|part| format!("--dpkgopt=path-exclude=/usr/share/{part}/*")));
    command.arg(format!("--include={packages}"));
    let fetch = format!(
        "--customize-hook=mkdir -p \"$1{XRDP_PACKAGES}\" && chroot \"$1\" sh -c 'cd {XRDP_PACKAGES} && apt-get -qq download xrdp xorgxrdp'"
    );
    command.arg(fetch).arg(release.suite).arg(&new);
    let output = command.stdin(Stdio::null()).output().context("mmdebstrap cannot be started")?;
    ensure!(
        output.status.success(),
        "Debian's {} cannot be had: {}",
        release.name,
        String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default()
    );
    std::fs::write(&list, made_of)?;
    std::fs::rename(&new, &root)?;
    Ok(root)
}
