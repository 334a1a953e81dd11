//! Namespaces in which nothing that is written, mounted or started reaches the machine.

use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use rustix::fs::CWD;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};
use rustix::process::{WaitOptions, getpid, getppid, wait};
use sudare_test_kit::needs::find;

use super::process;

/// Folders that are empty inside. `/var/log` and `/run` hold what daemons write, `/tmp` the X
/// sockets and locks; `/dev/shm` is shared memory.
const EMPTY: &[(&str, &str)] =
    &[("/run", "mode=755"), ("/tmp", "mode=1777"), ("/var/log", "mode=755"), ("/dev/shm", "mode=1777")];
/// Our programs, for users who may not enter the folder that cargo built them in.
pub const PROGRAMS: &str = "/run/sudare-stack/bin";
/// Home folders of the throw-away users.
pub const HOMES: &str = "/run/sudare-stack/home";
/// The files of Debian 13, where a scenario needs its programs.
pub const DEBIAN_13: &str = "/run/sudare-stack/debian-13";
/// What overlays write.
const UPPER: &str = "/run/sudare-stack/upper";

/// The command that runs `arguments` of this program as pid 1 of namespaces of its own. All of it
/// ends when the calling thread ends, even by SIGKILL. It goes before compilers and other tests: a
/// session whose cover cannot be confirmed for 500 ms is disconnected, as it must be.
pub fn command(arguments: &[OsString]) -> anyhow::Result<Command> {
    let this = std::env::current_exe().context("the path of this program is unknown")?;
    let mut command = Command::new("setpriv");
    command
        .args([
            "--pdeathsig",
            "KILL",
            "nice",
            "-n",
            "-10",
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--fork",
        ])
        .args(["--mount-proc", "--kill-child=KILL"])
        .arg(this)
        .args(arguments);
    Ok(command)
}

/// Pid 1 of the namespace: starts the real program and collects whatever ends, for daemons leave
/// children behind, and an unreaped one looks alive. When it returns, the kernel ends the rest.
pub fn init(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    ensure!(getpid().is_init(), "this is the machine, not a namespace. Start it without --init");
    let this = std::env::current_exe().context("the path of this program is unknown")?;
    let child = Command::new(this).args(arguments).spawn().context("cannot start the scenario")?;
    let child = rustix::process::Pid::from_child(&child);
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty()).context("cannot wait for the scenario")? else {
            continue;
        };
        if pid == child {
            let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
    }
}

/// Covers what must not be touched. `keep` are folders that stay reachable under the same path
/// although they may lie in one that is emptied; `programs` is the folder with ours; `newer` is a root of Debian 13.
pub fn isolate(keep: &[&Path], programs: &Path, newer: Option<&Path>) -> anyhow::Result<()> {
    ensure!(
        getppid().is_some_and(rustix::process::Pid::is_init) && same_program_is_init(),
        "this is not inside a namespace of its own, so nothing was mounted. Start it without --inside"
    );
    let kept = keep
        .iter()
        .filter(|path| EMPTY.iter().any(|(folder, _)| path.starts_with(folder)))
        .map(|path| Ok((path.to_path_buf(), clone_tree(path)?)))
        .collect::<anyhow::Result<Vec<(PathBuf, OwnedFd)>>>()?;
    let programs = clone_tree(programs)?;
    let newer = newer.map(clone_tree).transpose()?;
    for (folder, options) in EMPTY {
        if Path::new(folder).is_dir() {
            let options = CString::new(*options)?;
            mount("tmpfs", *folder, "tmpfs", MountFlags::empty(), options.as_c_str())
                .with_context(|| format!("cannot empty {folder}"))?;
        }
    }
    for (path, tree) in kept {
        attach(&tree, &path)?;
    }
    attach(&programs, Path::new(PROGRAMS))?;
    for folder in [HOMES, UPPER, "/run/lock", "/run/user", "/tmp/.X11-unix"] {
        std::fs::create_dir_all(folder)?;
    }
    for folder in ["/run/lock", "/tmp/.X11-unix"] {
        process::set_mode(Path::new(folder), 0o1777)?;
    }
    overlay(Path::new("/etc"), "etc")?;
    // FreeRDP looks for plugins in a folder below this one that Debian does not make.
    overlay(&library_folder(), "lib")?;
    if let Some(newer) = newer {
        attach(&newer, Path::new(DEBIAN_13))?;
        furnish(Path::new(DEBIAN_13), keep)?;
    }
    let up = process::output(Command::new(ip()?).args(["link", "set", "lo", "up"]))?;
    ensure!(up.is_empty(), "the loopback interface is not up: {up}");
    Ok(())
}

/// Makes a root writable for us alone, and lets its programs see what they share with this machine's.
fn furnish(root: &Path, keep: &[&Path]) -> anyhow::Result<()> {
    overlay(root, "debian-13")?;
    let shared = ["/proc", "/dev", "/dev/shm", "/dev/pts", "/tmp", "/run", PROGRAMS].map(Path::new);
    for shared in shared.iter().chain(keep).filter(|shared| shared.exists()) {
        // The root itself is in one of them, so that each is attached without what is mounted below it; what is needed
        // of that is named.
        let tree = open_tree(CWD, *shared, OpenTreeFlags::OPEN_TREE_CLONE)?;
        attach(&tree, &root.join(shared.strip_prefix("/")?))?;
    }
    Ok(())
}

/// The folder of this architecture's libraries.
pub fn library_folder() -> PathBuf {
    Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH))
}

fn ip() -> anyhow::Result<PathBuf> {
    find("ip").context("ip is missing. apt-get install iproute2")
}

/// Pid 1 of a machine is never this program.
fn same_program_is_init() -> bool {
    let (init, this) = (std::fs::read_link("/proc/1/exe"), std::env::current_exe());
    matches!((init, this), (Ok(init), Ok(this)) if init == this)
}

fn clone_tree(path: &Path) -> anyhow::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).with_context(|| format!("{} cannot be kept reachable", path.display()))
}

fn attach(tree: &OwnedFd, path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)?;
    move_mount(tree, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .with_context(|| format!("{} cannot be mounted again", path.display()))
}

/// Makes a folder writable for us alone.
fn overlay(folder: &Path, name: &str) -> anyhow::Result<()> {
    let upper = Path::new(UPPER).join(name);
    let work = Path::new(UPPER).join(format!("{name}.work"));
    for made in [&upper, &work] {
        std::fs::create_dir_all(made)?;
    }
    let options =
        format!("lowerdir={},upperdir={},workdir={}", folder.display(), upper.display(), work.display());
    let options = CString::new(options)?;
    mount("overlay", folder, "overlay", MountFlags::empty(), options.as_c_str())
        .with_context(|| format!("cannot overlay {}", folder.display()))
}
