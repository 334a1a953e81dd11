//! Asks `sudare-owner` whose desktop the host shows, and goes on asking.
//!
//! ```text
//!  session ── ask(n) ──► this task ── packet ──► sudare-owner
//!     ▲                      │ ▲                     │
//!     └── (n, owner) ────────┘ └──── packet ─────────┘   also unasked, when it changes
//! ```
//! While it cannot be reached, it is not known whose desktop it is, and the guard covers. What was unknown is asked
//! for again by connecting again.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use sudare_guard::transport::Owner;
use sudare_owner::wire::{self, Answer};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Between two attempts to reach the service.
const AGAIN: Duration = Duration::from_millis(500);
/// Answers that wait for the session, which takes each at once.
const WAITING_MAX: usize = 8;

/// The session's end.
#[derive(Debug)]
pub(crate) struct Owners {
    asks: watch::Sender<u32>,
    told: mpsc::Receiver<(u32, Owner)>,
    task: JoinHandle<()>,
    last: Option<Owner>,
    /// The ask without whose answer nothing more of the host is taken.
    awaited: Option<u32>,
}

impl Owners {
    /// Begins to ask, at the socket of the service.
    pub(crate) fn ask_at(socket: PathBuf) -> Self {
        let (asks, asked) = watch::channel(0);
        let (tell, told) = mpsc::channel(WAITING_MAX);
        let task = tokio::spawn(run(socket, asked, tell));
        Self { asks, told, task, last: None, awaited: None }
    }

    /// What the service says next.
    pub(crate) async fn next(&mut self) -> (u32, Owner) {
        match self.told.recv().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }

    /// Whether what the host has just sent may be somebody's desktop without the gate knowing. So it is at a log-on
    /// screen: whoever signs in there is shown a desktop next. Then nothing of it is taken before the service has
    /// looked again, at a moment after it came.
    pub(crate) fn ask_first(&mut self) -> bool {
        if self.last != Some(Owner::LoginScreen) {
            return false;
        }
        let mut number = 0;
        self.asks.send_modify(|newest| {
            *newest = newest.wrapping_add(1).max(1);
            number = *newest;
        });
        self.awaited = Some(number);
        true
    }

    /// Whether an answer has to come before anything of the host is taken.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited.is_some()
    }

    /// Takes an answer. Anything but a log-on screen covers or is known, so that nothing has to wait for it.
    pub(crate) fn take(&mut self, number: u32, owner: &Owner) {
        if self.awaited == Some(number) || *owner != Owner::LoginScreen {
            self.awaited = None;
        }
        self.last = Some(owner.clone());
    }
}

impl Drop for Owners {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(socket: PathBuf, mut asked: watch::Receiver<u32>, tell: mpsc::Sender<(u32, Owner)>) {
    let mut logged = None;
    loop {
        let Err(error) = converse(&socket, &mut asked, &tell).await;
        if logged != Some(error.kind()) {
            logged = Some(error.kind());
            tracing::warn!(
                %error,
                socket = %socket.display(),
                "sudare-owner cannot be asked whose desktop this is, so it stays covered. Start sudare-owner, or look \
                 at who may open its socket"
            );
        }
        if tell.send((0, Owner::Unknown(named(&error)))).await.is_err() {
            return;
        }
        sleep(AGAIN).await;
    }
}

async fn converse(
    socket: &Path,
    asked: &mut watch::Receiver<u32>,
    tell: &mpsc::Sender<(u32, Owner)>,
) -> io::Result<std::convert::Infallible> {
    let service = reach(socket)?;
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    // An ask from before this connection was answered by the failure of the one before.
    asked.mark_unchanged();
    loop {
        tokio::select! {
            answer = receive(&service) => {
                let (number, answer) = answer?;
                tell.send((number, owner(answer))).await.map_err(gone)?;
            }
            changed = asked.changed() => {
                changed.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
                let packet = wire::ask(*asked.borrow_and_update());
                service.async_io(Interest::WRITABLE, || Ok(rustix::io::write(&service, &packet)?)).await?;
            }
        }
    }
}

/// Connects. Each read of such a socket is one packet, whatever the type says.
fn reach(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    UnixStream::from_std(socket.into())
}

/// The next packet. Not by tokio's own read: it takes a buffer that is not full for a stream that is empty, and would
/// leave a second packet where it is until a third one comes.
async fn receive(service: &UnixStream) -> io::Result<(u32, Answer)> {
    let mut packet = [0; wire::ANSWER_BYTES + 1];
    let length = service.async_io(Interest::READABLE, || Ok(rustix::io::read(service, &mut packet)?)).await?;
    match packet.get(..length) {
        None | Some([]) => Err(Errno::CONNRESET.into()),
        Some(packet) => wire::read_answer(packet).map_err(io::Error::other),
    }
}

fn owner(answer: Answer) -> Owner {
    match answer {
        Answer::LoginScreen => Owner::LoginScreen,
        Answer::SigningIn => Owner::SigningIn,
        Answer::Session { uid } => Owner::Session { uid },
        Answer::Refused(refused) => {
            tracing::warn!(errno = refused.errno, "whose desktop this is: {}", refused.why.advice());
            let why = format!("{:?}", refused.why);
            Owner::Unknown(if refused.errno == 0 {
                why
            } else {
                format!("{why}, {}", io::Error::from_raw_os_error(refused.errno))
            })
        }
    }
}

fn named(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno).to_string(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvFlags, SendFlags, accept, bind, listen, recv, send};
    use std::os::fd::OwnedFd;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn service(path: &Path) -> OwnedFd {
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        listen(&socket, 4).unwrap();
        socket
    }

    async fn next(owners: &mut Owners) -> (u32, Owner) {
        let told = timeout(PATIENCE, owners.next()).await.unwrap();
        owners.take(told.0, &told.1);
        told
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_named_and_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let mut owners = Owners::ask_at(path.clone());
        let (_, told) = next(&mut owners).await;
        assert!(matches!(&told, Owner::Unknown(why) if why.contains("os error 2")), "{told:?}");
        let listener = service(&path);
        let gate = tokio::task::spawn_blocking(move || accept(&listener).unwrap()).await.unwrap();
        send(&gate, &wire::answer(0, Answer::Session { uid: 7 }), SendFlags::empty()).unwrap();
        loop {
            match next(&mut owners).await {
                (_, Owner::Unknown(_)) => {}
                (number, owner) => break assert_eq!((number, owner), (0, Owner::Session { uid: 7 })),
            }
        }
        drop(gate);
        assert!(matches!(next(&mut owners).await.1, Owner::Unknown(_)));
    }

    #[tokio::test]
    async fn answers_that_come_together_are_all_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = service(&path);
        let mut owners = Owners::ask_at(path);
        let gate = tokio::task::spawn_blocking(move || accept(&listener).unwrap()).await.unwrap();
        // This thread runs the other task only when it waits, so that all are there before it reads.
        for uid in [7, 8, 9] {
            send(&gate, &wire::answer(0, Answer::Session { uid }), SendFlags::empty()).unwrap();
        }
        for uid in [7, 8, 9] {
            assert_eq!(next(&mut owners).await, (0, Owner::Session { uid }));
        }
    }

    #[tokio::test]
    async fn at_a_log_on_screen_an_older_answer_does_not_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = service(&path);
        let mut owners = Owners::ask_at(path);
        let gate = tokio::task::spawn_blocking(move || accept(&listener).unwrap()).await.unwrap();
        assert!(!owners.ask_first(), "before an answer it is covered");
        let say = |number, answer| send(&gate, &wire::answer(number, answer), SendFlags::empty()).unwrap();
        say(0, Answer::LoginScreen);
        next(&mut owners).await;
        assert!(owners.ask_first() && owners.is_awaited());
        say(0, Answer::LoginScreen);
        next(&mut owners).await;
        assert!(owners.is_awaited());
        let mut packet = [0; 16];
        let asked = timeout(PATIENCE, async {
            loop {
                match recv(&gate, &mut packet, RecvFlags::DONTWAIT) {
                    Ok((length, _)) => break wire::read_ask(&packet[..length]).unwrap(),
                    Err(_) => sleep(Duration::from_millis(1)).await,
                }
            }
        });
        say(asked.await.unwrap(), Answer::LoginScreen);
        next(&mut owners).await;
        assert!(!owners.is_awaited());
        // What covers needs no other answer.
        assert!(owners.ask_first());
        say(0, Answer::SigningIn);
        next(&mut owners).await;
        assert!(!owners.is_awaited() && !owners.ask_first());
    }
}
