//! Gates come, and are told whose desktop they show: at once when they ask, and whenever it changes.
//!
//! A thread for each gate, because a look may have to wait for the kernel, and no gate waits for another one.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen,
    recv, send, socket_with, sockopt,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use sudare_base::clock;

use crate::find::{self, Served};
use crate::process::Process;
use crate::sockets::Gate;
use crate::wire::{self, Answer};

/// Gates at the same time. A gate is a connection of a client, and this is more than one machine serves.
const GATES_MAX: usize = 1_100;
/// Until a user's desktop is attached, and as long as somebody may sign in.
const SOON: Duration = Duration::from_millis(10);
/// Once it is attached.
const LATER: Duration = Duration::from_secs(1);
/// While xrdp does not take the connection: every process is looked at.
const SEARCH: Duration = Duration::from_millis(250);
/// xrdp takes a connection within milliseconds, unless its machine is busy. Then that is said.
const SERVER_MAX: Duration = Duration::from_secs(5);
const BACKLOG: i32 = 64;
/// A thread reads small files only.
const STACK_BYTES: usize = 256 * 1024;

/// Why no gate can be answered.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen at {path}: {source}. Start this program by its unit, which makes the folder")]
    Listen { path: String, source: io::Error },
    #[error(
        "pidfd_getfd is refused ({0}), so nobody can be told whose desktop it is. Allow it where this machine's \
         container or unit filters system calls"
    )]
    Kernel(io::Error),
}

/// Who may ask: the gates' user, and root.
#[derive(Debug, Clone)]
pub struct Askers(Arc<AtomicU32>);

impl Askers {
    #[must_use]
    pub fn new(gates_uid: u32) -> Self {
        Self(Arc::new(AtomicU32::new(gates_uid)))
    }

    /// The gates run as another user from here on.
    pub fn change(&self, gates_uid: u32) {
        self.0.store(gates_uid, Ordering::Relaxed);
    }

    fn include(&self, uid: u32) -> bool {
        uid == 0 || uid == self.0.load(Ordering::Relaxed)
    }
}

/// Listens at this path.
///
/// # Errors
/// If the socket cannot be made.
pub fn open(path: &Path) -> Result<OwnedFd, ServerError> {
    let made = || -> io::Result<OwnedFd> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        // The folder's group comes with it.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o660))?;
        listen(&socket, BACKLOG)?;
        Ok(socket)
    };
    made().map_err(|source| ServerError::Listen { path: path.display().to_string(), source })
}

/// Whether the kernel gives away a socket at all. Of another process it may still refuse, which gates are told.
///
/// # Errors
/// If it does not.
pub fn check(own: &OwnedFd) -> Result<(), ServerError> {
    let tried = || -> rustix::io::Result<OwnedFd> {
        let this = pidfd_open(getpid(), PidfdFlags::empty())?;
        pidfd_getfd(this, std::os::fd::AsRawFd::as_raw_fd(own), PidfdGetfdFlags::empty())
    };
    tried().map(drop).map_err(|e| ServerError::Kernel(e.into()))
}

/// Serves gates as long as the process lives.
pub fn run(listener: &OwnedFd, askers: &Askers) {
    let gates = Arc::new(AtomicUsize::new(0));
    loop {
        let socket = match accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "a gate could not be let in; it tries again");
                std::thread::sleep(SOON);
                continue;
            }
        };
        let seat = Seat::take(&gates);
        let thread = std::thread::Builder::new().name("gate".into()).stack_size(STACK_BYTES);
        let served = seat.map(|seat| {
            let askers = askers.clone();
            thread.spawn(move || {
                let _seat = seat;
                match gate_of(&socket, &askers) {
                    Ok(gate) => {
                        // It ends with the gate, which is no news.
                        let ended = serve(&socket, &gate);
                        tracing::debug!(?ended, "a gate left");
                    }
                    Err(error) => tracing::warn!(%error, "somebody was not answered"),
                }
            })
        });
        match served {
            None => {
                tracing::warn!(
                    GATES_MAX,
                    "too many gates ask at once; one was turned away and stays covered"
                );
            }
            Some(Err(error)) => tracing::warn!(%error, "no thread for a gate; it stays covered"),
            Some(Ok(_)) => {}
        }
    }
}

/// One of the places for gates.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(gates: &Arc<AtomicUsize>) -> Option<Self> {
        let seat = Self(Arc::clone(gates));
        (gates.fetch_add(1, Ordering::Relaxed) < GATES_MAX).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn gate_of(socket: &OwnedFd, askers: &Askers) -> io::Result<Gate> {
    let them = sockopt::socket_peercred(socket)?;
    let uid = them.uid.as_raw();
    if !askers.include(uid) {
        return Err(io::Error::other(
            "somebody else than a gate asks. Check who is in the group sudare, and `run_as` in host.toml",
        ));
    }
    Ok(Gate { process: Process::hold(them.pid)?, uid })
}

/// Answers one gate until it is gone.
fn serve(socket: &OwnedFd, gate: &Gate) -> io::Result<()> {
    let begun = clock::monotonic();
    let mut served: Option<Served> = None;
    let (mut told, mut asked, mut number) = (None, false, 0);
    loop {
        if served.is_none() {
            served = match find::serves(gate) {
                Ok(served) => served,
                Err(error) => {
                    tell(socket, number, find::refused(&error), &mut told, asked)?;
                    None
                }
            };
        }
        let waited = clock::monotonic().saturating_sub(begun);
        let answer = match &served {
            Some(served) => Some(served.answer(gate)),
            None => (waited > SERVER_MAX && told.is_none()).then(find::no_server),
        };
        if let Some(answer) = answer {
            tell(socket, number, answer, &mut told, asked)?;
            asked = false;
        }
        let pause = match (told, &served) {
            (Some(Answer::Session { .. }), _) => LATER,
            (_, None) if waited > LATER => SEARCH,
            _ => SOON,
        };
        if let Some(newer) = next_ask(socket, pause)? {
            (number, asked) = (newer, true);
        }
    }
}

/// Sends an answer if it is news, or was asked for.
fn tell(
    socket: &OwnedFd,
    number: u32,
    answer: Answer,
    told: &mut Option<Answer>,
    asked: bool,
) -> io::Result<()> {
    if told.replace(answer) == Some(answer) && !asked {
        return Ok(());
    }
    if let Answer::Refused(refused) = answer {
        tracing::warn!(
            errno = refused.errno,
            "a gate is not told whose desktop it is: {}",
            refused.why.advice()
        );
    }
    // A gate that takes nothing has stopped; it covers by itself.
    send(socket, &wire::answer(number, answer), SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for an ask. None of them is older than what is looked at next, so the newest stands for all.
fn next_ask(socket: &OwnedFd, pause: Duration) -> io::Result<Option<u32>> {
    let limit = Timespec {
        tv_sec: i64::try_from(pause.as_secs()).unwrap_or(1),
        tv_nsec: i64::from(pause.subsec_nanos()),
    };
    match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)) {
        Ok(0) | Err(Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    let mut packet = [0; wire::ASK_BYTES + 1];
    let (length, _) = recv(socket, &mut packet, RecvFlags::DONTWAIT)?;
    match packet.get(..length) {
        None | Some([]) => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(packet) => wire::read_ask(packet).map(Some).map_err(io::Error::other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::connect;

    #[test]
    fn a_gate_that_nobody_serves_is_told_so_when_it_asks_and_leaves_no_seat_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = open(&path).unwrap();
        check(&listener).unwrap();
        let askers = Askers::new(rustix::process::geteuid().as_raw());
        // Ends with the process.
        std::thread::spawn(move || run(&listener, &askers));
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        connect(&socket, &SocketAddrUnix::new(path.as_path()).unwrap()).unwrap();
        send(&socket, &wire::ask(7), SendFlags::empty()).unwrap();
        let mut packet = [0; 64];
        let (length, _) = recv(&socket, &mut packet, RecvFlags::empty()).unwrap();
        assert_eq!(wire::read_answer(&packet[..length]), Ok((7, find::no_server())));
        // What no gate says ends it.
        send(&socket, b"?", SendFlags::empty()).unwrap();
        assert_eq!(recv(&socket, &mut packet, RecvFlags::empty()).unwrap().0, 0);
    }

    #[test]
    fn where_a_filter_forbids_pidfd_getfd_it_does_not_start_and_says_why() {
        use seccompiler::{SeccompAction, SeccompFilter};
        let dir = tempfile::tempdir().unwrap();
        let listener = open(&dir.path().join("socket")).unwrap();
        // pidfd_getfd has this number on all machines.
        let call = std::collections::BTreeMap::from([(438, vec![])]);
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let filter =
            SeccompFilter::new(call, SeccompAction::Allow, SeccompAction::Errno(1), machine).unwrap();
        let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
        // Of this thread only.
        let refused = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            seccompiler::apply_filter(&filter).unwrap();
            check(&listener)
        });
        let said = refused.join().unwrap().unwrap_err().to_string();
        assert!(said.contains("pidfd_getfd is refused") && said.contains("container"), "{said}");
    }

    #[test]
    fn others_than_gates_are_not_answered() {
        let (here, _there) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let me = rustix::process::geteuid().as_raw();
        let askers = Askers::new(me);
        assert!(gate_of(&here, &askers).is_ok());
        askers.change(me + 1);
        assert_eq!(gate_of(&here, &askers).is_ok(), me == 0);
        assert!(askers.include(0) && askers.include(me + 1) && !askers.include(me + 2));
    }

    #[test]
    fn there_are_only_so_many_seats() {
        let gates = Arc::new(AtomicUsize::new(GATES_MAX - 1));
        let last = Seat::take(&gates).unwrap();
        assert!(Seat::take(&gates).is_none());
        drop(last);
        assert!(Seat::take(&gates).is_some());
    }
}
