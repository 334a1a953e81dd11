//! Sign-ins: a user who signs in gets the running session from xrdp, whose desktop may be visible at that moment. So
//! PAM asks here first, and sesman tells xrdp of the session only once it is covered.
//!
//! ```text
//!  sesman ─ PAM (account) ─► sudare-sign-in ── UID ──► socket ─► SignIns ─► guards: cover N
//!                                  ▲                                │          │
//!                                  └────── covered | refused ───────┴◄─────────┘ covered N
//! ```
//! [`ask`] is one end of the socket, [`open`] the other; `sign_ins` decides. Only root reaches the socket. PAM asks
//! after it accepted the password. With xrdp 0.10, users may also sign in at sesman without a password and so cover
//! their own desktops.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rustix::net::sockopt;

use crate::inbox::Inbox;

const SOCKET: &str = "sign-in";
/// How long the guards may take together; a cover takes about 20 ms.
const COVER_MAX_MS: u64 = 1_500;
/// Longer than that, so that the supervisor's own refusal arrives.
const ANSWER_MAX_MS: u64 = 3_000;
const LINE_MAX_BYTES: u64 = 32;
/// Questions that are answered at the same time: one user's slow guard must not make others wait.
const QUESTIONS_MAX: usize = 16;
/// Pause after the system had no file or thread left for a question.
const SHORTAGE_MS: u64 = 50;
const COVERED: &str = "covered";

/// Why a user may not sign in now. The session stays with the client that it has.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error(
        "the supervisor does not answer at {path}: {source}. Nobody can sign in at xrdp without it: start the service sudare-supervisor"
    )]
    NoSupervisor { path: PathBuf, source: io::Error },
    #[error(
        "a running session of this user could not be covered in time, so it is not handed over. Try again; `journalctl -u sudare-supervisor` says why"
    )]
    NotCovered,
    #[error("{path}: {source}. Correct `run_dir`, or make the folder (docs/guide/vdi-admin.md)")]
    Socket { path: PathBuf, source: io::Error },
}

/// Asks the supervisor of this machine to cover that user's sessions, and waits until they are covered.
pub fn ask(run_dir: &Path, uid: u32) -> Result<(), SignInError> {
    let path = run_dir.join(SOCKET);
    let answer = || -> io::Result<String> {
        let mut stream = UnixStream::connect(&path)?;
        stream.set_read_timeout(Some(Duration::from_millis(ANSWER_MAX_MS)))?;
        writeln!(stream, "{uid}")?;
        read_line(stream)
    };
    match answer() {
        Ok(line) if line == COVERED => Ok(()),
        Ok(_) => Err(SignInError::NotCovered),
        Err(source) => Err(SignInError::NoSupervisor { path, source }),
    }
}

/// Listens for [`ask`]; each sign-in goes to the inbox.
pub(crate) fn open(run_dir: &Path, inbox: SyncSender<Inbox>) -> Result<(), SignInError> {
    let path = run_dir.join(SOCKET);
    let listen = || -> io::Result<()> {
        // A previous supervisor's; the lock proves that it has ended.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        std::thread::Builder::new().name("sign-ins".into()).spawn(move || serve(&listener, &inbox))?;
        Ok(())
    };
    listen().map_err(|source| SignInError::Socket { path: path.clone(), source })
}

/// Runs as long as the supervisor, whatever happens to single questions: without it nobody can sign in.
fn serve(listener: &UnixListener, inbox: &SyncSender<Inbox>) {
    let questions = Arc::new(());
    loop {
        // A sign-in without an answer is refused.
        if let Err(error) = take(listener, inbox, &questions) {
            tracing::error!(%error, "a sign-in was refused because it could not be answered");
            std::thread::sleep(Duration::from_millis(SHORTAGE_MS));
        }
    }
}

fn take(listener: &UnixListener, inbox: &SyncSender<Inbox>, questions: &Arc<()>) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    if Arc::strong_count(questions) > QUESTIONS_MAX {
        return Err(io::Error::other("too many sign-ins at once"));
    }
    let (inbox, question) = (inbox.clone(), Arc::clone(questions));
    std::thread::Builder::new().name("sign-in".into()).spawn(move || {
        if let Err(error) = answer(stream, &inbox) {
            tracing::warn!(%error, "a sign-in was not answered");
        }
        drop(question);
    })?;
    Ok(())
}

fn answer(mut stream: UnixStream, inbox: &SyncSender<Inbox>) -> io::Result<()> {
    let peer = sockopt::socket_peercred(&stream)?.uid;
    if peer.as_raw() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("a user other than root asked"));
    }
    stream.set_read_timeout(Some(Duration::from_millis(COVER_MAX_MS)))?;
    let uid = read_line(stream.try_clone()?)?.parse().map_err(io::Error::other)?;
    let (sender, covered) = sync_channel(1);
    inbox.send(Inbox::SignIn { uid, answer: sender }).map_err(io::Error::other)?;
    let verdict = if is_covered(&covered) { COVERED } else { "refused" };
    writeln!(stream, "{verdict}")
}

fn is_covered(answer: &Receiver<()>) -> bool {
    let is_covered = answer.recv_timeout(Duration::from_millis(COVER_MAX_MS)).is_ok();
    if !is_covered {
        tracing::error!("a sign-in was refused because a session of that user could not be covered in time");
    }
    is_covered
}

fn read_line(stream: UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MAX_BYTES)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_let_in_when_covered_and_not_without_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(ask(dir.path(), 1000), Err(SignInError::NoSupervisor { .. })));
        let (sender, inbox) = sync_channel(4);
        open(dir.path(), sender).unwrap();
        let mode = std::fs::metadata(dir.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let supervisor = std::thread::spawn(move || {
            for uid in [1000, 1001] {
                let Ok(Inbox::SignIn { uid: asked, answer }) = inbox.recv() else { panic!("no sign-in") };
                assert_eq!(asked, uid);
                if uid == 1000 {
                    answer.send(()).unwrap();
                }
            }
        });
        ask(dir.path(), 1000).unwrap();
        assert!(matches!(ask(dir.path(), 1001), Err(SignInError::NotCovered)));
        supervisor.join().unwrap();
        // A supervisor that follows a killed one replaces its socket.
        open(dir.path(), sync_channel(1).0).unwrap();
    }

    #[test]
    fn a_silent_connection_makes_no_sign_in_wait() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, inbox) = sync_channel(4);
        open(dir.path(), sender).unwrap();
        let connect = || UnixStream::connect(dir.path().join(SOCKET)).unwrap();
        let silent: Vec<_> = (1..QUESTIONS_MAX).map(|_| connect()).collect();
        let mut babbler = connect();
        babbler.write_all(&[b'9'; 4096]).ok();
        assert_eq!(read_line(babbler).unwrap_or_default(), "");
        std::thread::spawn(move || {
            while let Ok(Inbox::SignIn { answer, .. }) = inbox.recv() {
                answer.send(()).unwrap();
            }
        });
        let began = std::time::Instant::now();
        ask(dir.path(), 1000).unwrap();
        assert!(began.elapsed() < Duration::from_millis(COVER_MAX_MS / 2));
        // A sign-in among too many is refused, and answered once they are gone.
        drop(silent);
        let until = std::time::Instant::now() + Duration::from_secs(120);
        let mut crowd = Vec::new();
        loop {
            crowd.extend((0..QUESTIONS_MAX).map(|_| connect()));
            if ask(dir.path(), 1000).is_err() {
                break;
            }
            assert!(std::time::Instant::now() < until, "never refused");
        }
        drop(crowd);
        while ask(dir.path(), 1000).is_err() {
            assert!(std::time::Instant::now() < until, "never answered again");
        }
    }
}
