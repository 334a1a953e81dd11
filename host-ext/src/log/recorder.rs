//! What a session calls to keep evidence. Synchronous: a thread of its own owns it.
//!
//! For one incident: `append` the client's signed messages and `incident-open` → `put_blob`
//! for each picture → `append` `incident-complete` that lists all of them → `checkpoint`. The
//! index of that last entry and the checkpoint's note are the receipt; only then is the
//! client told that it may forget the pictures.

use std::path::{Path, PathBuf};

use sudare_protocol::evidence::event::{LogStart, RecorderStart};
use sudare_protocol::evidence::{BlobRef, Event, Id, Label, Media, Stamp};
use sudare_protocol::seal::Sealed;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey};

use super::writer::{Draft, LogKeys, LogWriter};
use crate::clock;
use crate::store::{BlobStore, OsDisk, StoreError};

/// What a recorder needs to know.
#[derive(Debug)]
pub struct Settings {
    /// Folder of the store; made if it is missing.
    pub dir: PathBuf,
    /// Name and keys of the log.
    pub keys: LogKeys,
    /// Host record signed by the organisation; empty if there is none.
    pub host_record: Vec<u8>,
    /// Changes when CLOCK_BOOTTIME starts again; the same as in HELLO.
    pub boot_id: Id,
}

/// An open evidence store.
#[derive(Debug)]
pub struct Recorder {
    writer: LogWriter<OsDisk>,
    blobs: BlobStore,
    boot_id: Id,
    dir: PathBuf,
    verifier: VerifierKey,
}

impl Recorder {
    /// Opens the store or makes it, and records that.
    pub fn open(settings: Settings) -> Result<Self, StoreError> {
        let Settings { dir, keys, host_record, boot_id } = settings;
        let verifier = keys.verifier().map_err(StoreError::Checkpoint)?;
        let nonce = clock::random().map_err(|e| {
            StoreError::io(Path::new("/dev/urandom"), "read", std::io::Error::other(e.to_string()))
        })?;
        let (mut writer, opened) = LogWriter::open(OsDisk, &dir, keys, nonce)?;
        let first = if writer.size() == 0 {
            let host_key = writer.host_key().to_bytes();
            Event::LogStart(LogStart { host_key, log_key: writer.log_key().to_bytes(), host_record })
        } else {
            Event::RecorderStart(RecorderStart {
                torn_bytes: opened.torn_bytes,
                recovered_entries: opened.recovered_entries,
                wal_behind: opened.wal_behind,
            })
        };
        writer.append(Draft::of(first), now(boot_id))?;
        writer.checkpoint()?;
        Ok(Self { blobs: BlobStore::new(&dir), writer, boot_id, dir, verifier })
    }

    /// Stores a sealed picture durably; put what it returns into an entry.
    pub fn put_blob(
        &mut self,
        blob_id: Id,
        label: Label,
        media: Media,
        sealed: &Sealed,
    ) -> Result<BlobRef, StoreError> {
        self.blobs.put(self.writer.durable(), blob_id, label, media, sealed)
    }

    /// Appends an entry, stamped with the clocks of this moment; returns its leaf index.
    pub fn append(&mut self, draft: Draft) -> Result<u64, StoreError> {
        self.writer.append(draft, now(self.boot_id))
    }

    /// Appends several entries under one sync, all or none; returns the index of the last.
    pub fn append_all(&mut self, drafts: Vec<Draft>) -> Result<u64, StoreError> {
        self.writer.append_all(drafts, now(self.boot_id))?;
        Ok(self.writer.size().saturating_sub(1))
    }

    /// Makes everything so far verifiable by others; the note of the result is the receipt.
    pub fn checkpoint(&mut self) -> Result<SignedCheckpoint, StoreError> {
        self.writer.checkpoint()
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.writer.size()
    }

    /// The line that auditors are given out of band.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Folder of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Goes over to another host key.
    pub fn change_host_key(
        &mut self,
        key: sudare_protocol::SigningKey,
        host_record: Vec<u8>,
    ) -> Result<u64, StoreError> {
        self.writer.change_host_key(key, host_record, now(self.boot_id))
    }
}

/// The clocks at this moment.
fn now(boot_id: Id) -> Stamp {
    Stamp { wall_ms: clock::wall_ms(), boot_ms: clock::boot_ms(), boot_id }
}
