//! A stage for the supervisor: its own namespaces and users, and copies of this test program that play sesman, X
//! server, window manager and xrdp. The guard is a shell script.
//!
//! A test calls [`on_stage`], which starts the same test again inside. There, `/tmp`, `/run` and the accounts are the
//! stage's, and every process ends with it. Without root there is no stage, and the test prints SKIPPED.

mod actors;
mod scenes;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::{Options, Stopper, Supervisor};

/// Tells a copy of this program that it stands on the stage.
const STAGE: &str = "SUDARE_TEST_STAGE";
/// Tells it whom it plays.
const ROLE: &str = "SUDARE_TEST_ROLE";
const HOME: &str = "/run/stage";
const ACCOUNTS: &str = "root:x:0:0::/root:/bin/sh\nsudare:x:990:990::/:/bin/false\nxrdp:x:102:109::/:/bin/false\n\
    alice:x:1001:1001::/run/stage/alice:/bin/sh\nbob:x:1002:1002::/run/stage/bob:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nxrdp:x:109:\nsudare:x:990:\nalice:x:1001:\nbob:x:1002:\n";
const SUDARE: u32 = 990;
const XRDP: u32 = 102;
const XRDP_GROUP: u32 = 109;
const ALICE: u32 = 1001;
const BOB: u32 = 1002;
/// Whatever takes longer has hung, on any machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Notes its arguments, cookie and ids before it greets, then says what the file `mode` tells it; ends with its input.
const GUARD: &str = r#"#!/bin/bash
read -r cookie
echo "$* | $cookie | $(id -u) $(id -g) $(id -G) | $$" >> /run/stage/guards
[ "$(cat /run/stage/mode)" = stranger ] && echo "guard 0.0.0-other" || echo "guard $(cat /run/stage/build)"
trap 'echo "$$" >> /run/stage/dismissed' EXIT
while :; do
  case "$(cat /run/stage/mode)" in
    covered) echo "beat covered $((40 - (n = !n) * 20)) 1 $$" ;;
    visible | deaf) echo "beat visible 20 1 $$" ;;
    unconfirmed) echo "beat covered 900 1 $$" ;;
    babble) echo "all is well" ;;
    asked) echo "disconnect the cover fell" ;;
    fail) exit 3 ;;
    flood) case "$*" in *"--display 10 "*)
      for ((i = 0; i < 2000; i++)); do echo "disconnect the cover fell"; done
      echo "beat covered $((40 - (n = !n) * 20)) 1 $$" ;; esac ;;
  esac
  # What it has read when its time is over is the beginning of a line.
  read -r -t 0.05 part; status=$?
  order+=$part
  if ((status == 0)); then
    if [ "$(cat /run/stage/mode)" != deaf ]; then
      echo "$order" >> /run/stage/orders
      case "$order" in cover*) echo "covered ${order#cover }" ;; esac
    fi
    order=
  elif ((status <= 128)); then
    exit 0
  fi
done
"#;

/// Runs the scene on a stage: starts the test of this name again inside, and there `scene`.
fn on_stage(test: &str, scene: fn()) {
    if std::env::var_os(ROLE).is_some() {
        return;
    }
    if std::env::var_os(STAGE).is_some() {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
        set();
        return scene();
    }
    let inside = Command::new("unshare")
        .args(["--mount", "--pid", "--net", "--ipc", "--fork", "--mount-proc", "--kill-child", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("stage::scenes::{test}"), "--nocapture"])
        .env(STAGE, "1")
        .stdin(Stdio::null())
        .output();
    let Ok(inside) = inside.inspect_err(|e| eprintln!("SKIPPED {test}: unshare: {e}")) else { return };
    let (said, erred) = (String::from_utf8_lossy(&inside.stdout), String::from_utf8_lossy(&inside.stderr));
    if erred.contains("unshare: ") {
        eprintln!("SKIPPED {test}: it needs root and namespaces of its own ({})", erred.trim());
        return;
    }
    assert!(inside.status.success() && said.contains("1 passed"), "{said}\n{erred}");
}

fn set() {
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
    };
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "stage", "/run"]);
    fs::create_dir(HOME).unwrap();
    // Out of the hidden folder before it is hidden: the checkout may lie anywhere.
    let me = std::env::current_exe().unwrap();
    for name in ["xrdp-sesman", "Xorg", "Xvnc", "xrdp", "other"] {
        if fs::hard_link(format!("{HOME}/xrdp-sesman"), format!("{HOME}/{name}")).is_err() {
            fs::copy(&me, format!("{HOME}/{name}")).unwrap();
        }
    }
    run("mount", &["-t", "tmpfs", "-o", "mode=1777", "stage", "/tmp"]);
    run("ip", &["link", "set", "lo", "up"]);
    for (path, text) in
        [("passwd", ACCOUNTS), ("group", GROUPS), ("nsswitch.conf", "passwd: files\ngroup: files\n")]
    {
        let mine = format!("{HOME}/{path}");
        fs::write(&mine, text).unwrap();
        run("mount", &["--bind", &mine, &format!("/etc/{path}")]);
    }
    for folder in ["/tmp/.X11-unix", "/run/sockdir"] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).unwrap();
    }
    for (name, uid) in [("alice", ALICE), ("bob", BOB)] {
        let home = format!("{HOME}/{name}");
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(uid), Some(uid)).unwrap();
    }
    fs::write(format!("{HOME}/guard"), GUARD).unwrap();
    fs::write(format!("{HOME}/build"), sudare_base::BUILD).unwrap();
    fs::set_permissions(format!("{HOME}/guard"), fs::Permissions::from_mode(0o755)).unwrap();
    for file in ["guards", "dismissed", "orders"] {
        fs::write(file_of(file), "").unwrap();
        fs::set_permissions(file_of(file), fs::Permissions::from_mode(0o666)).unwrap();
    }
    mode("covered");
}

fn file_of(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}

/// What guards say from now on.
fn mode(mode: &str) {
    let new = file_of("mode.new");
    fs::write(&new, mode).unwrap();
    fs::rename(new, file_of("mode")).unwrap();
}

/// The guards that were started so far: arguments, cookie, ids, pid.
fn guards() -> Vec<Vec<String>> {
    let text = fs::read_to_string(file_of("guards")).unwrap();
    text.lines().map(|line| line.split(" | ").map(str::to_owned).collect()).collect()
}

/// Waits for it to become true, bounded by minutes: no scene fails because a machine is slow. How long it took.
fn until(what: &str, mut is: impl FnMut() -> bool) -> u64 {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
    u64::try_from(started.elapsed().as_millis()).unwrap()
}

fn sleep(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// A supervisor that runs in this process.
struct Running {
    stopper: Stopper,
    thread: Option<thread::JoinHandle<()>>,
}

fn options() -> Options {
    Options {
        guard_program: file_of("guard"),
        config: Some("/run/stage/host.toml".into()),
        run_as: "sudare".into(),
        xrdp_group: "xrdp".into(),
        run_dir: "/run/sudare".into(),
        x_sockets: "/tmp/.X11-unix".into(),
        max_sessions: 4,
    }
}

fn supervise() -> Running {
    supervise_with(options())
}

fn supervise_with(options: Options) -> Running {
    let supervisor = Supervisor::new(options).unwrap();
    let stopper = supervisor.stopper();
    Running { stopper, thread: Some(thread::spawn(|| supervisor.run().unwrap())) }
}

impl Running {
    fn stop(mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}
