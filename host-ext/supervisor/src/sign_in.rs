//! Sign-ins: xrdp gives whoever signs in the user's running session, with the desktop in view until
//! then. So PAM asks here first, and sesman tells xrdp of the session only once it is covered.
//!
//! ```text
//!  sesman ─ PAM (account) ─► `sudare-host sign-in` ── UID ──► door ─► SignIns ─► guards: cover N
//!                                       ▲                                │          │
//!                                       └────── covered | refused ───────┴◄─────────┘ covered N
//! ```
//! [`ask`] is the one end, [`open`] the other; [`SignIns`] is pure. Root alone reaches the socket. PAM
//! asks after the password was right; for xrdp 0.10 a user may also sign in at sesman without one, and
//! cover his own desktop with it.

use std::collections::BTreeSet;
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
/// What the guards may take together; a cover takes some 20 ms.
const COVER_MAX_MS: u64 = 1_500;
/// Longer than that, so that the supervisor's own answer arrives.
const ANSWER_MAX_MS: u64 = 3_000;
const LINE_MAX_BYTES: u64 = 32;
/// Those that nobody waits for any more are among them.
const WAITING_MAX: usize = 16;
/// Questions that are answered at the same time: a user whose guard is slow must not make others wait.
const QUESTIONS_MAX: usize = 16;
/// After the system had no file or thread left for a question.
const SHORTAGE_MS: u64 = 50;
const COVERED: &str = "covered";

/// Why somebody may not sign in now. All that is in view stays with whoever has proved something.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error(
        "the supervisor does not answer at {path}: {source}. Nobody can sign in at xrdp without it. Start the service sudare-host"
    )]
    NoSupervisor { path: PathBuf, source: io::Error },
    #[error(
        "a running session of this user could not be covered in time, so it is not handed over. The journal of sudare-host says why; try again"
    )]
    NotCovered,
    #[error("{path}: {source}. Correct `run_dir`, or make the folder (deploy/linux/host/README.md)")]
    Socket { path: PathBuf, source: io::Error },
}

/// Asks the supervisor of this machine to cover the sessions of that user, and waits until they are.
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

/// Opens the door for [`ask`]; each sign-in comes to the inbox.
pub(crate) fn open(run_dir: &Path, inbox: SyncSender<Inbox>) -> Result<(), SignInError> {
    let path = run_dir.join(SOCKET);
    let listen = || -> io::Result<()> {
        // Of a supervisor that ended; the lock says that there is no other.
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

/// For as long as the supervisor runs, whatever becomes of single questions: without this nobody signs in.
fn serve(listener: &UnixListener, inbox: &SyncSender<Inbox>) {
    let questions = Arc::new(());
    loop {
        // Whoever gets no answer is not let in.
        if let Err(error) = take(listener, inbox, &questions) {
            tracing::error!(%error, "a sign-in was refused: it could not be answered");
            std::thread::sleep(Duration::from_millis(SHORTAGE_MS));
        }
    }
}

fn take(listener: &UnixListener, inbox: &SyncSender<Inbox>, questions: &Arc<()>) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    if Arc::strong_count(questions) > QUESTIONS_MAX {
        return Err(io::Error::other("too many ask at once"));
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
        return Err(io::Error::other("another user than root asked"));
    }
    stream.set_read_timeout(Some(Duration::from_millis(COVER_MAX_MS)))?;
    let uid = read_line(stream.try_clone()?)?.parse().map_err(io::Error::other)?;
    let (sender, covered) = sync_channel(1);
    inbox.send(Inbox::SignIn { uid, answer: sender }).map_err(io::Error::other)?;
    let word = if is_covered(&covered) { COVERED } else { "refused" };
    writeln!(stream, "{word}")
}

fn is_covered(answer: &Receiver<()>) -> bool {
    let is_covered = answer.recv_timeout(Duration::from_millis(COVER_MAX_MS)).is_ok();
    if !is_covered {
        tracing::error!("a sign-in was refused: the session of that user could not be covered in time");
    }
    is_covered
}

fn read_line(stream: UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MAX_BYTES)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// A guard's run at a display.
pub(crate) type Run = (u32, u64);

/// Sign-ins that wait for guards.
#[derive(Debug)]
pub(crate) struct SignIns<A> {
    tickets: u64,
    waiting: Vec<Waiting<A>>,
}

#[derive(Debug)]
struct Waiting<A> {
    ticket: u64,
    guards: BTreeSet<Run>,
    answer: A,
}

impl<A> Default for SignIns<A> {
    fn default() -> Self {
        SignIns { tickets: 0, waiting: Vec::new() }
    }
}

impl<A> SignIns<A> {
    /// A ticket of its own.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// The ticket that these guards are to be given. Without a guard nobody sees anything yet: the answer
    /// comes back at once.
    pub(crate) fn begin(&mut self, guards: BTreeSet<Run>, answer: A) -> Result<u64, (u64, A)> {
        if guards.is_empty() {
            return Err((self.ticket(), answer));
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.remove(0);
        }
        let ticket = self.ticket();
        self.waiting.push(Waiting { ticket, guards, answer });
        Ok(ticket)
    }

    /// A guard has covered; the answer that can be given now.
    pub(crate) fn covered(&mut self, run: Run, ticket: u64) -> Option<A> {
        let at = self.waiting.iter().position(|waiting| waiting.ticket == ticket)?;
        let waiting = self.waiting.get_mut(at)?;
        waiting.guards.remove(&run);
        waiting.guards.is_empty().then(|| self.waiting.remove(at).answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_answered_once_all_guards_of_the_user_have_covered() {
        let mut sign_ins = SignIns::default();
        let first = sign_ins.begin(BTreeSet::from([(10, 1), (11, 2)]), "first").unwrap();
        let second = sign_ins.begin(BTreeSet::from([(10, 1)]), "second").unwrap();
        assert_eq!(sign_ins.covered((10, 1), first), None);
        // Another run of the same display has covered nothing yet.
        assert_eq!(sign_ins.covered((11, 3), first), None);
        assert_eq!(sign_ins.covered((10, 1), second), Some("second"));
        assert_eq!(sign_ins.covered((11, 2), first), Some("first"));
        assert_eq!(sign_ins.covered((11, 2), first), None);
        assert_eq!(sign_ins.begin(BTreeSet::new(), "nobody's"), Err((3, "nobody's")));
    }

    #[test]
    fn what_nobody_answers_does_not_pile_up() {
        let mut sign_ins = SignIns::default();
        for n in 0..1_000 {
            sign_ins.begin(BTreeSet::from([(10, 1)]), n).unwrap();
        }
        assert_eq!(sign_ins.waiting.len(), WAITING_MAX);
    }

    #[test]
    fn who_asks_is_let_in_when_covered_and_not_when_nobody_answers() {
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
        // A supervisor that comes after one that was killed finds its socket.
        open(dir.path(), sync_channel(1).0).unwrap();
    }

    #[test]
    fn who_says_nothing_makes_nobody_else_wait() {
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
        // Who comes when too many ask is refused, and answered when they are gone.
        drop(silent);
        std::thread::sleep(Duration::from_millis(300));
        let crowd: Vec<_> = (0..QUESTIONS_MAX).map(|_| connect()).collect();
        assert!(ask(dir.path(), 1000).is_err());
        drop(crowd);
        std::thread::sleep(Duration::from_millis(300));
        ask(dir.path(), 1000).unwrap();
    }
}
