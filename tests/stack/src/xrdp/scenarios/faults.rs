//! What breaks, or is broken on purpose: it stays covered, comes back, or is disconnected.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sudare_test_kit::scene::{ALONE, AWAY};
use sudare_test_kit::{Pace, wait_until};

use super::acts::{Acts, KEYS_TAKE, POLICY};
use crate::xrdp::client::Client;
use crate::xrdp::namespace::PROGRAMS;
use crate::xrdp::process;
use crate::xrdp::report::Report;
use crate::xrdp::session::{Process, processes};
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::{GUARD, User};

/// Time for one KillClient or two: more in a minute than the guard takes are another scene.
const KILL_MS: &str = "40";
/// How long it is watched after each fault.
const WATCHED: Duration = Duration::from_secs(2);
/// The supervisor's 500 ms, and a client that takes its leave. A slow machine has as much more as it is slower.
const DISCONNECT: Duration = Duration::from_secs(5);

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    let mut sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let mut client = acts.log_on("log-on", true)?;
    the_user_can_do_nothing(&acts.stack.user.clone(), &sudare, acts.report)?;
    without_a_supervisor(&mut acts, &mut sudare)?;
    killed_while_covered(&mut acts, "blanker killed", false)?;
    killed_while_covered(&mut acts, "guard and blanker killed", true)?;
    its_connection_killed(&mut acts)?;
    client.ensure_running()?;
    acts.uncovers("operator alone after the kills", &mut client, ALONE)?;
    killed_while_visible(&mut acts, &mut client)?;
    without_a_recorder(&mut acts, &mut sudare, &mut client)?;
    let session = acts.stack.session()?;
    a_stopped_server_disconnects(&mut acts, client, session.server)?;
    session.wait_connected(false)?;
    let client = acts.log_on("connected again", true)?;
    a_third_failure_disconnects(&mut acts, client)?;
    acts.report.check("the session outlived the kills", session.is_alive(), session.display);
    session.end()
}

/// By a program of the session: KillClient ends the blanker's connection and destroys its windows.
/// What it leaves behind must cover until the guard's next blanker does.
fn its_connection_killed(acts: &mut Acts<'_>) -> anyhow::Result<()> {
    let before = ours()?;
    let access = acts.stack.session()?.access()?;
    let watch = acts.stack.watch("connection-killed")?;
    let mut hostile = access.command(Path::new(PROGRAMS).join("sudare-hostile"));
    let told = process::output(hostile.args(["kill-client", KILL_MS]))?;
    wait_until("a blanker after KillClient", || Ok(ours().ok().filter(|now| now.blanker != before.blanker)))?;
    std::thread::sleep(WATCHED);
    let seen = watch.stop()?;
    let detail = format!("{seen:?}, strikes and keys {}", told.trim());
    acts.report.check("KillClient: stays covered", seen.leaked_frames == 0, detail);
    acts.report.check("KillClient: the guard goes on", ours()?.guard == before.guard, "");
    Ok(())
}

/// The desktop is shown when the guard dies: covered at once, and shown again by its successor.
fn killed_while_visible(acts: &mut Acts<'_>, client: &mut Client) -> anyhow::Result<()> {
    let guard = ours()?.guard;
    let started = Instant::now();
    kill_process(guard, Signal::KILL)?;
    acts.stack.wait_picture("the cover after the guard died", client, |count| count.is_cover())?;
    acts.report.figure("guard_killed_to_black_ms", millis(started.elapsed()));
    acts.picture("guard killed while visible")?;
    acts.report.check("a guard killed while the desktop is seen covers it", true, "");
    acts.uncovers("desktop by the next guard", client, ALONE)
}

/// The user may stop the session's X server, which is the user's own. Then nothing can be covered,
/// and so nobody may look.
fn a_stopped_server_disconnects(acts: &mut Acts<'_>, mut client: Client, server: Pid) -> anyhow::Result<()> {
    let pace = Pace::start();
    kill_process(server, Signal::STOP)?;
    let started = Instant::now();
    acts.camera.show(AWAY);
    let ended = disconnected(&mut client, started, &pace);
    acts.report.figure("server_stopped_to_disconnected_ms", millis(started.elapsed()));
    kill_process(server, Signal::CONT)?;
    let detail = ended.as_ref().map_or_else(ToString::to_string, |()| "disconnected".to_owned());
    acts.report.check("a stopped X server disconnects the client", ended.is_ok(), detail);
    Ok(())
}

/// The supervisor dies: its guard ends covered, and a successor finds the session again.
fn without_a_supervisor(acts: &mut Acts<'_>, sudare: &mut Sudare) -> anyhow::Result<()> {
    let before = ours()?;
    let watch = acts.stack.watch("without-supervisor")?;
    sudare.kill_supervisor()?;
    std::thread::sleep(WATCHED);
    sudare.supervise()?;
    let guard = wait_until("a guard of the next supervisor", || {
        Ok(ours().ok().map(|now| now.guard).filter(|guard| *guard != before.guard))
    })?;
    std::thread::sleep(WATCHED);
    let seen = watch.stop()?;
    acts.report.check("without a supervisor: stays covered", seen.leaked_frames == 0, format!("{seen:?}"));
    acts.report.check("the next supervisor starts a guard", true, format!("{guard:?}"));
    Ok(())
}

/// Evidence is required: while nobody keeps it, nobody sees the desktop.
fn without_a_recorder(acts: &mut Acts<'_>, sudare: &mut Sudare, client: &mut Client) -> anyhow::Result<()> {
    let started = Instant::now();
    sudare.kill_recorder()?;
    acts.stack.wait_picture("the cover after the recorder died", client, |count| count.is_cover())?;
    acts.report.figure("recorder_killed_to_black_ms", millis(started.elapsed()));
    acts.picture("recorder killed")?;
    acts.report.check("without a recorder the desktop is covered", true, "");
    sudare.record()?;
    acts.uncovers("desktop with the next recorder", client, ALONE)
}

/// By root, for nobody else can.
fn killed_while_covered(acts: &mut Acts<'_>, name: &str, guard: bool) -> anyhow::Result<()> {
    let before = ours()?;
    let watch = acts.stack.watch(&name.replace(' ', "-"))?;
    if guard {
        // First: it would start another blanker.
        kill_process(before.guard, Signal::KILL)?;
    }
    kill_process(before.blanker, Signal::KILL)?;
    let after = wait_until("their successors", || {
        let others = |now: &Ours| now.blanker != before.blanker && (!guard || now.guard != before.guard);
        Ok(ours().ok().filter(others))
    })?;
    std::thread::sleep(WATCHED);
    let seen = watch.stop()?;
    acts.picture(name)?;
    acts.report.check(&format!("{name}: stays covered"), seen.leaked_frames == 0, format!("{seen:?}"));
    acts.report.check(&format!("{name}: replaced"), true, format!("{before:?} by {after:?}"));
    Ok(())
}

/// Whoever makes guards fail gets a session that nobody sees.
fn a_third_failure_disconnects(acts: &mut Acts<'_>, mut client: Client) -> anyhow::Result<()> {
    let watch = acts.stack.watch("third-failure")?;
    let pace = Pace::start();
    kill_process(ours()?.guard, Signal::KILL)?;
    let ended = disconnected(&mut client, Instant::now(), &pace);
    let seen = watch.stop()?;
    let detail = ended.as_ref().map_or_else(ToString::to_string, |()| "disconnected".to_owned());
    acts.report.check("a third failed guard disconnects the client", ended.is_ok(), detail);
    acts.report.check("and shows nothing before", seen.leaked_frames == 0, format!("{seen:?}"));
    Ok(())
}

/// Waits for the end of the client, which must come in time.
fn disconnected(client: &mut Client, since: Instant, pace: &Pace) -> anyhow::Result<()> {
    client.wait_ended()?;
    let (took, allowed) = (since.elapsed(), pace.allow(DISCONNECT));
    ensure!(took <= allowed, "disconnected only after {took:?}, allowed are {allowed:?}");
    Ok(())
}

/// The system's: the first one of whoever runs the tests may lie where the user may not go.
const PYTHON: &str = "/usr/bin/python3";

/// Guard and blanker of the one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ours {
    pub(super) guard: Pid,
    blanker: Pid,
}

pub(super) fn ours() -> anyhow::Result<Ours> {
    let uid = User::find(GUARD)?.uid;
    let all: Vec<Process> = processes()?.into_iter().filter(|process| process.uid == uid).collect();
    let find = |wanted: &dyn Fn(&Process) -> bool| all.iter().find(|process| wanted(process)).map(|p| p.pid);
    let guard = find(&|process| process.program() == "sudare-guard");
    let blanker = find(&|process| process.program() == "sudare-blanker");
    Ok(Ours { guard: guard.context("no guard runs")?, blanker: blanker.context("no blanker runs")? })
}

/// Signals and looking into their memory: refused by the kernel.
fn the_user_can_do_nothing(user: &User, sudare: &Sudare, report: &mut Report) -> anyhow::Result<()> {
    let before = ours()?;
    let recorder = sudare.recorder_pid()?;
    for (name, pid) in [("guard", before.guard), ("blanker", before.blanker), ("recorder", recorder)] {
        for attempt in ["kill -KILL", "kill -STOP", "kill -TERM"] {
            let line = format!("{attempt} {}", pid.as_raw_nonzero());
            let run = user.command("sh").args(["-c", &line]).output()?;
            let said = String::from_utf8_lossy(&run.stderr);
            let refused = !run.status.success() && said.contains("not permitted");
            report.check(&format!("the user cannot {attempt} the {name}"), refused, said.trim());
        }
        let line = format!("head -c 1 /proc/{}/mem", pid.as_raw_nonzero());
        let run = user.command("sh").args(["-c", &line]).output()?;
        let said = String::from_utf8_lossy(&run.stderr);
        report.check(
            &format!("the user cannot look into the {name}"),
            !run.status.success() && said.contains("denied"),
            said.trim(),
        );
    }
    let trace = |pid: Pid| attempt_ptrace(user, pid);
    for (name, pid) in [("guard", before.guard), ("blanker", before.blanker), ("recorder", recorder)] {
        let said = trace(pid)?;
        // 1 is EPERM, for each of the two requests.
        report.check(&format!("the user cannot ptrace the {name}"), said == "1 1", said);
    }
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    report.figure("ptrace_scope", scope.map_or_else(|_| "none".to_owned(), |scope| scope.trim().to_owned()));
    let [socket, store] = sudare.recorder_paths();
    let run = user.command("ls").arg(&store).output()?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    report.check("the user cannot read the evidence", said.contains("denied"), said.trim());
    let report_to = format!(
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('{}'); \
         s.settimeout(5); print(s.recv(10))",
        socket.display()
    );
    let run = user.command(PYTHON).args(["-c", &report_to]).output()?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let refused = ["PermissionError", "ConnectionResetError"].iter().any(|word| said.contains(word))
        || run.stdout == b"b''\n";
    report.check("the recorder does not listen to the user", refused, said.trim());
    report.check("both still run", ours()? == before, format!("{before:?}"));
    Ok(())
}

/// The error numbers that PTRACE_SEIZE and PTRACE_ATTACH give the user for this process. The same
/// program first seizes a child of its own, so that the refusal is not one of everything.
fn attempt_ptrace(user: &User, pid: Pid) -> anyhow::Result<String> {
    const PROGRAM: &str = "\
import ctypes, subprocess, sys
c = ctypes.CDLL(None, use_errno=True)
c.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
c.ptrace.restype = ctypes.c_long
def error(request, pid):
    ctypes.set_errno(0)
    return ctypes.get_errno() if c.ptrace(request, pid, None, None) else 0
SEIZE, ATTACH = 0x4206, 16
child = subprocess.Popen(['sleep', '60'])
own = error(SEIZE, child.pid)
child.kill()
print('own child', own) if own else print(error(SEIZE, int(sys.argv[1])), error(ATTACH, int(sys.argv[1])))
";
    let run = user.command(PYTHON).args(["-c", PROGRAM, &pid.as_raw_nonzero().to_string()]).output()?;
    let (said, erred) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    Ok(format!("{}{}", said.trim(), erred.trim()))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
