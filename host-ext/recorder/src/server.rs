//! The recorder's socket and threads: one for each guard, and one that owns the ledger.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sudare_base::clock;
use sudare_evidence::report::socket::{Connection, Listener};
use sudare_evidence::store::StoreError;

use crate::blob_intake::BlobIntake;
use crate::committer::{Committer, LogRequest, OpenLedger};
use crate::guard_connection::GuardConnection;
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::role::Role;

/// Guards that can be connected at once; there is one for each session.
const GUARDS_MAX: usize = 1100;
/// Requests that wait for the committer; each guard has one.
const WAITING_MAX: usize = GUARDS_MAX;
const TICK: Duration = Duration::from_millis(200);
/// Pause after a connection could not be accepted, which may last, so as not to flood the journal.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// How to run a recorder.
pub struct Options {
    /// Where guards connect.
    pub socket: PathBuf,
    /// Users whose processes may report; root always may. Of these, only the recorder's own user may also report
    /// that evidence was erased or opened.
    pub allowed_uids: Vec<u32>,
    /// Opens the ledger; called again after a failure.
    pub open: OpenLedger,
    /// Where what happens is counted.
    pub metrics: Metrics,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Options({})", self.socket.display())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the recorder's socket {path} cannot be created: {source}. Its folder must exist and belong to the recorder's user"
    )]
    Socket { path: PathBuf, source: io::Error },
    #[error("a thread of the recorder cannot be started: {0}. Check the limits for processes and memory")]
    Thread(io::Error),
}

/// A running recorder. Dropping it answers open requests, puts everything under a checkpoint and ends.
#[derive(Debug)]
pub struct RunningRecorder {
    /// The public line of the log, which auditors receive out of band.
    pub log_vkey: String,
    listener: Arc<Listener>,
    connections: Connections,
    threads: Vec<JoinHandle<()>>,
    ended: Option<Receiver<&'static str>>,
}

impl RunningRecorder {
    /// Receives the name of a thread that ended unasked. Nothing is recorded without it, so the process should end and
    /// be restarted.
    pub fn take_ended(&mut self) -> Option<Receiver<&'static str>> {
        self.ended.take()
    }
}

/// The open connections, so that they can be closed from outside.
type Connections = Arc<Mutex<BTreeMap<u64, Connection>>>;

/// Opens the store, so that a fault shows before the first guard connects, and serves.
pub fn start(options: Options) -> Result<RunningRecorder, RecorderError> {
    let mut committer = Committer::new(options.open, options.metrics.clone())?;
    let (log_vkey, store) = (committer.log_vkey().to_owned(), committer.dir().to_owned());
    let intake = BlobIntake::open(&store);
    let listener = Listener::bind(&options.socket)
        .map_err(|source| RecorderError::Socket { path: options.socket.clone(), source })?;
    let listener = Arc::new(listener);
    let (requests, queue) = sync_channel(WAITING_MAX);
    let connections = Connections::default();
    let acceptor = Acceptor {
        listener: listener.clone(),
        allowed_uids: options.allowed_uids,
        connections: connections.clone(),
        requests,
        intake,
        store,
        metrics: options.metrics,
    };
    let (tell, ended) = sync_channel(2);
    let watched = |name| Watched { name, tell: tell.clone(), listener: listener.clone() };
    let threads = vec![
        spawn(watched("log"), move || commit(&mut committer, &queue))?,
        spawn(watched("acceptor"), move || acceptor.run())?,
    ];
    Ok(RunningRecorder { log_vkey, listener, connections, threads, ended: Some(ended) })
}

impl Drop for RunningRecorder {
    fn drop(&mut self) {
        self.listener.stop();
        lock(&self.connections).values().for_each(Connection::close);
        // The acceptor ends first, then the last guard, and with it the last sender of the committer's queue.
        for thread in self.threads.drain(..).rev() {
            if thread.join().is_err() {
                tracing::error!("a thread of the recorder panicked; the next start recovers the log");
            }
        }
    }
}

/// Accepts connections of guards, and refuses everybody else.
struct Acceptor {
    listener: Arc<Listener>,
    allowed_uids: Vec<u32>,
    connections: Connections,
    requests: SyncSender<LogRequest>,
    intake: BlobIntake,
    store: PathBuf,
    metrics: Metrics,
}

impl Acceptor {
    fn run(&self) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        let mut refusals = Refusals::default();
        for number in 0_u64.. {
            threads.retain(|thread| !thread.is_finished());
            let connection = match self.listener.accept() {
                Ok(connection) => connection,
                Err(_) if self.listener.is_stopped() => break,
                Err(error) => {
                    tracing::error!(%error, "cannot accept a guard; check the limits for open files and memory");
                    thread::sleep(ACCEPT_AGAIN);
                    continue;
                }
            };
            if let Err(error) = self.admit(number, connection, &mut threads, &mut refusals)
                && let Some(untold) = refusals.tell(clock::monotonic_ms())
            {
                tracing::warn!(%error, untold, "dropped a connection");
            }
        }
        lock(&self.connections).values().for_each(Connection::close);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("the thread of a guard's connection panicked; the guard will report again");
            }
        }
    }

    fn admit(
        &self,
        number: u64,
        connection: Connection,
        threads: &mut Vec<JoinHandle<()>>,
        refusals: &mut Refusals,
    ) -> io::Result<()> {
        let uid = connection.peer_uid()?;
        if uid != 0 && !self.allowed_uids.contains(&uid) {
            if let Some(untold) = refusals.tell(clock::monotonic_ms()) {
                tracing::warn!(
                    uid,
                    untold,
                    "refused a process of this user, which may not report to the recorder"
                );
            }
            return Ok(());
        }
        if threads.len() >= GUARDS_MAX {
            return Err(io::Error::other("too many guards at once"));
        }
        lock(&self.connections).insert(number, connection.try_clone()?);
        let (connections, intake) = (self.connections.clone(), self.intake.share(&self.store));
        let role = Role::of(uid, rustix::process::geteuid().as_raw());
        let mut guard =
            GuardConnection::new(connection, self.requests.clone(), intake, role, self.metrics.clone());
        let served = thread::Builder::new().name("guard".into()).spawn(move || {
            guard.serve();
            lock(&connections).remove(&number);
        });
        match served {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                lock(&self.connections).remove(&number);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Takes everything that waits as one batch, until the last sender is gone.
fn commit(committer: &mut Committer, queue: &Receiver<LogRequest>) {
    loop {
        match queue.recv_timeout(TICK) {
            Ok(first) => committer.commit(first, queue),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return committer.finish(),
        }
        // Also under constant requests: entries must become verifiable.
        committer.tick();
    }
}

/// Reports the end of its thread, also by a panic.
struct Watched {
    name: &'static str,
    tell: SyncSender<&'static str>,
    listener: Arc<Listener>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.listener.is_stopped() && self.tell.try_send(self.name).is_err() {
            tracing::error!(thread = self.name, "a thread of the recorder ended, and nobody was told");
        }
    }
}

fn spawn(watched: Watched, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, RecorderError> {
    let thread = thread::Builder::new().name(watched.name.into());
    let work = move || {
        let _watched = watched;
        work();
    };
    thread.spawn(work).map_err(RecorderError::Thread)
}

/// A map is whole after every statement, so a panicked holder leaves nothing half done.
fn lock(connections: &Connections) -> std::sync::MutexGuard<'_, BTreeMap<u64, Connection>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the folder of the socket, open to everybody: the kernel says who connects.
pub fn make_socket_dir(socket: &Path) -> io::Result<()> {
    match socket.parent() {
        Some(folder) if !folder.is_dir() => {
            std::fs::create_dir_all(folder)?;
            // Whatever the umask is.
            std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755))
        }
        _ => Ok(()),
    }
}
