//! Entries about kept evidence, written by the recorder that runs, so that nobody has to stop it.
//!
//! ```text
//! sudare-audit ── Report{40, 41, 42; receipt} ──► recorder      (root, or the recorder's own user)
//!              ◄── Recorded{leaf, checkpoint} ──  durable, and under a checkpoint of this very log
//! files of erased pictures are deleted here, after that
//! ```
//! An answer that was lost is asked for again: the recorder knows what it has recorded.

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

/// How often a recorder that does not answer is asked; it is back soon after a restart.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Why nothing was written into the log, or why nobody can be sure that it was.
#[derive(Debug, Error)]
pub enum TendError {
    /// The recorder.
    #[error(transparent)]
    Recorder(#[from] StoreError),
    /// It keeps another log.
    #[error(
        "The recorder at {socket} keeps the log {theirs}, not the one whose key was given. Give the socket of the \
         recorder that this evidence is of."
    )]
    OtherLog {
        /// Where it listens.
        socket: PathBuf,
        /// The key of its log.
        theirs: String,
    },
    /// The folder is a copy.
    #[error(
        "No recorder has {0} open: it is a copy, or its recorder does not run. Give the folder that the recorder \
         keeps evidence in; copies are erased by whoever made them."
    )]
    NotLive(PathBuf),
    /// Nobody can tell whether the folder is a copy.
    #[error("{path} cannot be opened: {source}. Run this as root or as the recorder's user.")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The receipt proves nothing.
    #[error(
        "The recorder's receipt does not cover what it was told ({0}). Nothing was deleted or opened. Run \
         `sudare-audit verify`, and see that recorder and sudare-audit are of one version."
    )]
    Receipt(String),
    /// No randomness.
    #[error("The system gave no randomness: {0}. Nothing was done.")]
    Random(#[from] getrandom::Error),
}

/// A connection to a running recorder, for what is said about evidence that it keeps.
#[derive(Debug)]
pub struct Tender {
    socket: PathBuf,
    verifier: VerifierKey,
    source: Id,
    last_serial: u64,
    remote: Option<Remote>,
}

impl Tender {
    /// Connects, and makes sure that it is the recorder of this log.
    pub fn connect(socket: &Path, verifier: &VerifierKey) -> Result<Self, TendError> {
        let source = clock::random()?;
        let (socket, verifier) = (socket.to_owned(), verifier.clone());
        let mut tender = Self { socket, verifier, source, last_serial: 0, remote: None };
        tender.remote()?;
        Ok(tender)
    }

    /// Records entries; returns the index of the last once all are durable and under a checkpoint.
    pub fn record(&mut self, drafts: Vec<Draft>) -> Result<u64, TendError> {
        let entries: Vec<NewEntry> = drafts.into_iter().map(new_entry).collect();
        let mut last = 0;
        for part in entries.chunks(ENTRIES_MAX) {
            last = self.report(part.to_vec())?;
        }
        Ok(last)
    }

    fn report(&mut self, entries: Vec<NewEntry>) -> Result<u64, TendError> {
        let serial = self.last_serial + 1;
        let expected = self.last_serial + entries.len() as u64;
        let new = NewEntries { source: self.source, serial, entries, receipt: true, once: None };
        let recorded = self.ask(&new)?;
        if recorded.last_serial != expected {
            return Err(TendError::Receipt("it counts other entries".to_owned()));
        }
        self.last_serial = expected;
        covered(&recorded, &self.verifier)?;
        Ok(recorded.leaf_index)
    }

    fn ask(&mut self, new: &NewEntries) -> Result<Recorded, TendError> {
        let mut tries = 1;
        loop {
            let answer = self.remote().and_then(|remote| Ok(remote.record(new)?));
            match answer {
                Err(TendError::Recorder(StoreError::NoRecorder { .. })) if tries < TRIES => {
                    self.remote = None;
                    tries += 1;
                    thread::sleep(PAUSE);
                }
                answer => return answer,
            }
        }
    }

    fn remote(&mut self) -> Result<&mut Remote, TendError> {
        let remote = match self.remote.take() {
            Some(remote) => remote,
            None => self.reconnect()?,
        };
        Ok(self.remote.insert(remote))
    }

    fn reconnect(&self) -> Result<Remote, TendError> {
        let remote = Remote::connect(&self.socket, self.source)?;
        let theirs = remote.log_vkey();
        if theirs.parse::<VerifierKey>().is_ok_and(|theirs| theirs == self.verifier) {
            return Ok(remote);
        }
        Err(TendError::OtherLog { socket: self.socket.clone(), theirs: theirs.to_owned() })
    }
}

/// The receipt must be of this log, and cover the entry.
fn covered(recorded: &Recorded, verifier: &VerifierKey) -> Result<(), TendError> {
    let receipt = recorded.receipt.as_ref().ok_or_else(|| TendError::Receipt("there is none".to_owned()))?;
    let refused = |error: NoteError| TendError::Receipt(error.to_string());
    let checkpoint = SignedCheckpoint::open(receipt.note.as_bytes(), verifier).map_err(refused)?;
    if checkpoint.size() > recorded.leaf_index {
        return Ok(());
    }
    let (size, leaf) = (checkpoint.size(), recorded.leaf_index);
    Err(TendError::Receipt(format!("it covers {size} entries, and the new one is {leaf}")))
}

fn new_entry(draft: Draft) -> NewEntry {
    let (kind, body) = draft.event.encode();
    let Draft { session_id, incident_id, reason, blobs, .. } = draft;
    NewEntry { session_id, incident_id, reason: reason.map(Reason::number), blobs, kind, body }
}

/// A store whose recorder runs.
#[derive(Debug)]
pub struct LiveStore {
    pub(super) tender: Tender,
    pub(super) dir: PathBuf,
}

impl LiveStore {
    /// `dir` must be the folder that a recorder has open: in a copy, files would go while the log that says so
    /// is elsewhere.
    pub fn open(dir: &Path, socket: &Path, verifier: &VerifierKey) -> Result<Self, TendError> {
        let path = dir.join("lock");
        let held = match File::open(&path) {
            Ok(lock) => lock.try_lock(),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => return Err(TendError::Lock { path, source }),
        };
        match held {
            Ok(()) => Err(TendError::NotLive(dir.to_owned())),
            Err(TryLockError::WouldBlock) => {
                Ok(Self { tender: Tender::connect(socket, verifier)?, dir: dir.to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(TendError::Lock { path, source }),
        }
    }
}
