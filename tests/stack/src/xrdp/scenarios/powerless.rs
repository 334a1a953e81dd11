//! What the session's user tries at what runs on the host for others: signals, looks into memory, and sockets. The kernel
//! refuses all of it.

use rustix::process::Pid;

use super::takeover::named;
use crate::xrdp::report::Report;
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::User;

/// The system's: the first one of whoever runs the tests may lie where the user may not go.
const PYTHON: &str = "/usr/bin/python3";
const OWNER_SOCKET: &str = "/run/sudare-owner/socket";

pub(super) fn tries(user: &User, sudare: &Sudare, report: &mut Report) -> anyhow::Result<()> {
    let mut all = vec![("recorder", sudare.recorder_pid()?)];
    all.extend(named("sudare-gate")?.into_iter().map(|pid| ("gate", pid)));
    all.extend(named("sudare-owner")?.into_iter().map(|pid| ("owner", pid)));
    // One of the gates accepts connections, the other one serves.
    report.check("recorder, gates and owner run", all.len() == 4, format!("{all:?}"));
    for (name, pid) in &all {
        at_process(user, name, *pid, report)?;
    }
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    report.figure("ptrace_scope", scope.map_or_else(|_| "none".to_owned(), |scope| scope.trim().to_owned()));
    let [socket, store] = sudare.recorder_paths();
    let run = user.command("ls").arg(&store).output()?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    report.check("the user cannot read the evidence", said.contains("denied"), said.trim());
    let sockets = [("recorder", socket.display().to_string()), ("owner", OWNER_SOCKET.to_owned())];
    for (name, socket) in sockets {
        at_socket(user, name, &socket, report)?;
    }
    let left = named("sudare-gate")?.len() + named("sudare-owner")?.len();
    report.check("all of them still run", left == 3, left);
    Ok(())
}

fn at_process(user: &User, name: &str, pid: Pid, report: &mut Report) -> anyhow::Result<()> {
    let number = pid.as_raw_nonzero();
    for attempt in ["kill -KILL", "kill -STOP", "kill -TERM"] {
        let run = user.command("sh").args(["-c", &format!("{attempt} {number}")]).output()?;
        let said = String::from_utf8_lossy(&run.stderr);
        let refused = !run.status.success() && said.contains("not permitted");
        report.check(&format!("the user cannot {attempt} the {name}"), refused, said.trim());
    }
    let run = user.command("sh").args(["-c", &format!("head -c 1 /proc/{number}/mem")]).output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    let refused = !run.status.success() && said.contains("denied");
    report.check(&format!("the user cannot look into the {name}"), refused, said.trim());
    let said = ptrace(user, pid)?;
    // 1 is EPERM, for each of the two requests.
    report.check(&format!("the user cannot ptrace the {name}"), said == "1 1", said);
    Ok(())
}

fn at_socket(user: &User, name: &str, socket: &str, report: &mut Report) -> anyhow::Result<()> {
    let listen = format!(
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('{socket}'); \
         s.settimeout(5); print(s.recv(10))"
    );
    let run = user.command(PYTHON).args(["-c", &listen]).output()?;
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let refused = ["PermissionError", "ConnectionResetError"].iter().any(|word| said.contains(word))
        || run.stdout == b"b''\n";
    report.check(&format!("the {name} does not listen to the user"), refused, said.trim());
    Ok(())
}

/// The error numbers that PTRACE_SEIZE and PTRACE_ATTACH give the user for this process. The same
/// program first seizes a child of its own, so that the refusal is not one of everything.
fn ptrace(user: &User, pid: Pid) -> anyhow::Result<String> {
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
