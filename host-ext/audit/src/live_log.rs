//! Writes entries about stored evidence through the running recorder, so that nobody has to stop it.
//!
//! ```text
//! sudare-audit ── Report{40, 41, 42; receipt} ──► recorder      (root, or the recorder's own user)
//!              ◄── Recorded{leaf, checkpoint} ──  durable, and under a checkpoint of this very log
//! only then are the files of erased pictures deleted, by sudare-audit
//! ```
//! After a lost answer the report is sent again: the recorder knows which serial numbers it has recorded.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{io, thread};

use sudare_base::clock;
use sudare_evidence::log::Draft;
use sudare_evidence::report::wire::{ENTRIES_MAX, NewEntry, Recorded};
use sudare_evidence::report::{EvidenceSink as _, NewEntries, Remote};
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::Id;
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::{NoteError, SignedCheckpoint, VerifierKey};
use thiserror::Error;

/// How often an unreachable recorder is tried; after a restart it is back soon.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Why nothing was written to the log, or why nobody can be sure that it was.
#[derive(Debug, Error)]
pub enum LiveLogError {
    /// The recorder refused, or cannot be reached.
    #[error(transparent)]
    Recorder(#[from] StoreError),
    /// The recorder writes another log.
    #[error(
        "the recorder at {socket} writes the log {theirs}, not the one whose key was given. Give the socket of the \
         recorder that this evidence comes from"
    )]
    OtherLog {
        /// Where the recorder listens.
        socket: PathBuf,
        /// The key of its log.
        theirs: String,
    },
    /// The folder is a copy.
    #[error(
        "no recorder has {0} open: it is a copy, or its recorder is not running. Give the folder in which the recorder \
         keeps its evidence; copies are erased by whoever made them"
    )]
    NotLive(PathBuf),
    /// Whether the folder is a copy cannot be determined.
    #[error("{path} cannot be opened: {source}. Run this as root or as the recorder's user")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The receipt proves nothing.
    #[error(
        "the recorder's receipt does not cover the reported entries ({0}), so nothing was deleted or opened. Run \
         `sudare-audit verify`, and make sure that recorder and sudare-audit have the same version"
    )]
    Receipt(String),
    /// The system's random source failed.
    #[error("the system's random source failed: {0}. Nothing was changed; try again")]
    Random(#[from] getrandom::Error),
}

/// A connection to the running recorder, over which an audit reports entries about the evidence it keeps.
#[derive(Debug)]
pub struct AuditWriter {
    socket: PathBuf,
    verifier: VerifierKey,
    source: Id,
    last_serial: u64,
    remote: Option<Remote>,
}

impl AuditWriter {
    /// Connects, and makes sure that the recorder is the one of this log.
    pub fn connect(socket: &Path, verifier: &VerifierKey) -> Result<Self, LiveLogError> {
        let source = clock::random()?;
        let (socket, verifier) = (socket.to_owned(), verifier.clone());
        let mut writer = Self { socket, verifier, source, last_serial: 0, remote: None };
        writer.remote()?;
        Ok(writer)
    }

    /// Records entries; returns the index of the last once all of them are durable and under a checkpoint.
    pub fn record(&mut self, drafts: Vec<Draft>) -> Result<u64, LiveLogError> {
        let entries: Vec<NewEntry> = drafts.into_iter().map(new_entry).collect();
        let mut last = 0;
        for part in entries.chunks(ENTRIES_MAX) {
            last = self.report(part.to_vec())?;
        }
        Ok(last)
    }

    fn report(&mut self, entries: Vec<NewEntry>) -> Result<u64, LiveLogError> {
        let serial = self.last_serial + 1;
        let expected = self.last_serial + entries.len() as u64;
        let new = NewEntries { source: self.source, serial, entries, receipt: true, once: None };
        let recorded = self.ask(&new)?;
        if recorded.last_serial != expected {
            return Err(LiveLogError::Receipt("it counts a different number of entries".to_owned()));
        }
        self.last_serial = expected;
        covered(&recorded, &self.verifier)?;
        Ok(recorded.leaf_index)
    }

    fn ask(&mut self, new: &NewEntries) -> Result<Recorded, LiveLogError> {
        let mut tries = 1;
        loop {
            let answer = self.remote().and_then(|remote| Ok(remote.record(new)?));
            match answer {
                Err(LiveLogError::Recorder(StoreError::NoRecorder { .. })) if tries < TRIES => {
                    self.remote = None;
                    tries += 1;
                    thread::sleep(PAUSE);
                }
                answer => return answer,
            }
        }
    }

    fn remote(&mut self) -> Result<&mut Remote, LiveLogError> {
        let remote = match self.remote.take() {
            Some(remote) => remote,
            None => self.reconnect()?,
        };
        Ok(self.remote.insert(remote))
    }

    fn reconnect(&self) -> Result<Remote, LiveLogError> {
        let remote = Remote::connect(&self.socket, self.source)?;
        let theirs = remote.log_vkey();
        if theirs.parse::<VerifierKey>().is_ok_and(|theirs| theirs == self.verifier) {
            return Ok(remote);
        }
        Err(LiveLogError::OtherLog { socket: self.socket.clone(), theirs: theirs.to_owned() })
    }
}

/// The receipt must belong to this log and cover the entry.
fn covered(recorded: &Recorded, verifier: &VerifierKey) -> Result<(), LiveLogError> {
    let receipt =
        recorded.receipt.as_ref().ok_or_else(|| LiveLogError::Receipt("it is missing".to_owned()))?;
    let refused = |error: NoteError| LiveLogError::Receipt(error.to_string());
    let checkpoint = SignedCheckpoint::open(receipt.note.as_bytes(), verifier).map_err(refused)?;
    if checkpoint.size() > recorded.leaf_index {
        return Ok(());
    }
    let (size, leaf) = (checkpoint.size(), recorded.leaf_index);
    Err(LiveLogError::Receipt(format!("it covers {size} entries, but the new one has index {leaf}")))
}

fn new_entry(draft: Draft) -> NewEntry {
    let (kind, body) = draft.event.encode();
    let Draft { session_id, incident_id, reason, blobs, .. } = draft;
    NewEntry { session_id, incident_id, reason: reason.map(Reason::number), blobs, kind, body }
}

/// A store whose recorder is running.
#[derive(Debug)]
pub struct LiveStore {
    pub(super) writer: AuditWriter,
    pub(super) dir: PathBuf,
}

impl LiveStore {
    /// `dir` must be the folder that a recorder has open: files of a copy would be deleted while the log that says so
    /// is elsewhere.
    pub fn open(dir: &Path, socket: &Path, verifier: &VerifierKey) -> Result<Self, LiveLogError> {
        let path = dir.join("lock");
        let held = match File::open(&path) {
            Ok(lock) => lock.try_lock(),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => return Err(LiveLogError::Lock { path, source }),
        };
        match held {
            Ok(()) => Err(LiveLogError::NotLive(dir.to_owned())),
            Err(TryLockError::WouldBlock) => {
                Ok(Self { writer: AuditWriter::connect(socket, verifier)?, dir: dir.to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(LiveLogError::Lock { path, source }),
        }
    }
}
