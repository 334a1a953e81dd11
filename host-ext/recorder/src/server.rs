//! The recorder's socket and threads: one for each guard, and one that has the log.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sudare_evidence::report::socket::{Connection, Listener};
use sudare_evidence::store::StoreError;

use crate::blob_intake::BlobIntake;
use crate::committer::{Ask, Committer, OpenLedger};
use crate::guard_connection::GuardConnection;
use crate::role::Role;

/// Guards connected at the same time; there is one for each session.
const GUARDS_MAX: usize = 1100;
/// Reports that wait for the log's thread; each guard has one.
const WAITING_MAX: usize = GUARDS_MAX;
const TICK: Duration = Duration::from_millis(200);
/// After a connection could not be taken, which may last: not to fill the journal.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// How a recorder is run.
pub struct Options {
    /// Where guards connect.
    pub socket: PathBuf,
    /// Users whose processes may report; root always may. Of these, only the recorder's own user may also say
    /// that evidence was erased or looked at.
    pub allowed_uids: Vec<u32>,
    /// Opens the log; called again when it has failed.
    pub open: OpenLedger,
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
        "the recorder's socket {path} cannot be made: {source}. Its folder must exist and belong to the recorder's user"
    )]
    Socket { path: PathBuf, source: io::Error },
    #[error("a thread of the recorder cannot be started: {0}. The system is short of memory or processes")]
    Thread(io::Error),
}

/// A running recorder. Dropping it answers what was asked, makes everything verifiable and ends.
#[derive(Debug)]
pub struct RunningRecorder {
    /// The line that auditors are given out of band.
    pub log_vkey: String,
    listener: Arc<Listener>,
    connections: Connections,
    threads: Vec<JoinHandle<()>>,
    ended: Option<Receiver<&'static str>>,
}

impl RunningRecorder {
    /// Hears the name of a thread that ended although nobody asked it to. Without it nothing is recorded any
    /// more, so the process should end and be started anew.
    pub fn take_ended(&mut self) -> Option<Receiver<&'static str>> {
        self.ended.take()
    }
}

/// Connections of guards that are here, so that they can be ended.
type Connections = Arc<Mutex<BTreeMap<u64, Connection>>>;

/// Opens the store, so that a fault is known before the first guard, and serves.
pub fn start(options: Options) -> Result<RunningRecorder, RecorderError> {
    let mut committer = Committer::new(options.open)?;
    let (log_vkey, store) = (committer.log_vkey().to_owned(), committer.dir().to_owned());
    let intake = BlobIntake::open(&store);
    let listener = Listener::bind(&options.socket)
        .map_err(|source| RecorderError::Socket { path: options.socket.clone(), source })?;
    let listener = Arc::new(listener);
    let (asks, queue) = sync_channel(WAITING_MAX);
    let connections = Connections::default();
    let acceptor = Acceptor {
        listener: listener.clone(),
        allowed_uids: options.allowed_uids,
        connections: connections.clone(),
        asks,
        intake,
        store,
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
        // The door ends first, then the last guard, and with it the last sender of the log's queue.
        for thread in self.threads.drain(..).rev() {
            if thread.join().is_err() {
                tracing::error!("a thread of the recorder panicked; the log is recovered at the next start");
            }
        }
    }
}

/// Lets guards in, and nobody else.
struct Acceptor {
    listener: Arc<Listener>,
    allowed_uids: Vec<u32>,
    connections: Connections,
    asks: SyncSender<Ask>,
    intake: BlobIntake,
    store: PathBuf,
}

impl Acceptor {
    fn run(&self) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        for number in 0_u64.. {
            threads.retain(|thread| !thread.is_finished());
            let connection = match self.listener.accept() {
                Ok(connection) => connection,
                Err(_) if self.listener.is_stopped() => break,
                Err(error) => {
                    tracing::error!(%error, "a guard cannot be let in; see whether the system is short of files or memory");
                    thread::sleep(ACCEPT_AGAIN);
                    continue;
                }
            };
            if let Err(error) = self.admit(number, connection, &mut threads) {
                tracing::warn!(%error, "a connection is not served");
            }
        }
        lock(&self.connections).values().for_each(Connection::close);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread for a guard panicked; the guard reports again");
            }
        }
    }

    fn admit(
        &self,
        number: u64,
        connection: Connection,
        threads: &mut Vec<JoinHandle<()>>,
    ) -> io::Result<()> {
        let uid = connection.peer_uid()?;
        if uid != 0 && !self.allowed_uids.contains(&uid) {
            tracing::warn!(uid, "a process of this user tried to report to the recorder; it may not");
            return Ok(());
        }
        if threads.len() >= GUARDS_MAX {
            return Err(io::Error::other("too many guards at once"));
        }
        lock(&self.connections).insert(number, connection.try_clone()?);
        let (connections, intake) = (self.connections.clone(), self.intake.share(&self.store));
        let role = Role::of(uid, rustix::process::geteuid().as_raw());
        let mut guard = GuardConnection::new(connection, self.asks.clone(), intake, role);
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

/// Takes what waits, all at once, until the last sender is gone.
fn commit(committer: &mut Committer, queue: &Receiver<Ask>) {
    loop {
        match queue.recv_timeout(TICK) {
            Ok(first) => committer.commit(first, queue),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return committer.finish(),
        }
        // Also while somebody always asks: what is recorded must become verifiable by others.
        committer.tick();
    }
}

/// Says so when its thread ends, also by a panic.
struct Watched {
    name: &'static str,
    tell: SyncSender<&'static str>,
    listener: Arc<Listener>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.listener.is_stopped() && self.tell.try_send(self.name).is_err() {
            tracing::error!(thread = self.name, "a thread of the recorder ended, and nobody listens");
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

/// The folder of the socket, private to nobody: the kernel says who connects.
pub fn make_socket_dir(socket: &Path) -> io::Result<()> {
    match socket.parent() {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    }
}
