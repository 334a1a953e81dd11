//! An evidence store opened for writing: the log writer on the real disk, its entries stamped with the host's clocks.
//!
//! The recorder's ledger owns one; `sudare-audit` opens one to record an erasure while no recorder runs. Calls block
//! until the disk has confirmed, so the owner gives it a thread of its own.
//!
//! For one incident: append the client's signed messages and `incident-open` → store each picture → append
//! `incident-complete`, which lists all of them → checkpoint. The index of that last entry and the checkpoint's note
//! are the receipt; only then does the client hear that it may delete the pictures.

use std::path::{Path, PathBuf};

use sudare_base::clock;
use sudare_protocol::evidence::event::{HostKeyChange, LogStart, RecorderStart};
use sudare_protocol::evidence::{BlobRef, Event, Id, Label, Media, Stamp};
use sudare_protocol::seal::Sealed;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey};

use super::draft::{Draft, LogKeys};
use super::recovery::Opened;
use super::writer::LogWriter;
use crate::store::{BlobStore, Disk, OsDisk, StoreError, blobs};

/// Which store to open, and as whom.
#[derive(Debug)]
pub struct Settings {
    /// Folder of the store; made if it is missing.
    pub dir: PathBuf,
    /// Name and keys of the log.
    pub keys: LogKeys,
    /// Host record signed by the organisation; empty without one.
    pub host_record: Vec<u8>,
    /// Changes when CLOCK_BOOTTIME starts again; the same as in HELLO.
    pub boot_id: Id,
}

/// An open evidence store.
#[derive(Debug)]
pub struct LogStore {
    writer: LogWriter<OsDisk>,
    blobs: BlobStore,
    boot_id: Id,
    dir: PathBuf,
    verifier: VerifierKey,
}

impl LogStore {
    /// Opens the store or makes it, and records that it did.
    pub fn open(settings: Settings) -> Result<Self, StoreError> {
        let Settings { dir, keys, host_record, boot_id } = settings;
        let verifier = keys.verifier().map_err(StoreError::Checkpoint)?;
        let nonce = clock::random().map_err(|e| {
            StoreError::io(Path::new("/dev/urandom"), "read", std::io::Error::other(e.to_string()))
        })?;
        let (mut writer, opened) = LogWriter::open(OsDisk, &dir, keys, nonce)?;
        let first = opening(&writer, &opened, host_record);
        writer.append_all(first.into_iter().map(|event| (Draft::of(event), now(boot_id))).collect())?;
        writer.checkpoint()?;
        Ok(Self { blobs: BlobStore::new(&dir), writer, boot_id, dir, verifier })
    }

    /// Stores a sealed picture durably; the result goes into an entry.
    pub fn put_blob(
        &mut self,
        blob_id: Id,
        label: Label,
        media: Media,
        sealed: &Sealed,
    ) -> Result<BlobRef, StoreError> {
        let blob = blobs::describe(blob_id, label, media, sealed);
        self.blobs.put(self.writer.durable(), &blob, &sealed.ciphertext)?;
        Ok(blob)
    }

    /// Appends an entry, stamped with the clocks of this moment; returns its leaf index.
    pub fn append(&mut self, draft: Draft) -> Result<u64, StoreError> {
        self.append_all(vec![draft])
    }

    /// Appends several entries under one sync, all or none; returns the leaf index of the last.
    pub fn append_all(&mut self, drafts: Vec<Draft>) -> Result<u64, StoreError> {
        // Before the tombstone: a crash between the two must not let a picture come back.
        for draft in &drafts {
            if let Event::Tombstone(tombstone) = &draft.event {
                let erased: Vec<Id> = tombstone.blobs.iter().map(|blob| blob.0).collect();
                self.blobs.mark_erased(self.writer.durable(), &erased)?;
            }
        }
        let stamp = now(self.boot_id);
        self.writer.append_all(drafts.into_iter().map(|draft| (draft, stamp)).collect())?;
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

    /// The public line of the log, which auditors receive out of band.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The store's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The first entries after a log was opened: how it begins or continues, and which host key is in force unless the
/// newest entries say so already.
pub(super) fn opening<D: Disk>(writer: &LogWriter<D>, opened: &Opened, host_record: Vec<u8>) -> Vec<Event> {
    let host_key = writer.host_key();
    if writer.size() == 0 {
        let log_key = writer.log_key().to_bytes();
        return vec![Event::LogStart(LogStart { host_key, log_key, host_record })];
    }
    let Opened { torn_bytes, recovered_entries, wal_behind, .. } = *opened;
    let mut events = vec![Event::RecorderStart(RecorderStart { torn_bytes, recovered_entries, wal_behind })];
    if opened.host_key != Some(host_key) {
        events.push(Event::HostKeyChange(HostKeyChange { host_key, host_record }));
    }
    events
}

/// The time of an entry that is appended now.
fn now(boot_id: Id) -> Stamp {
    Stamp { wall_ms: clock::wall_ms(), boot_ms: clock::boot_ms(), boot_id }
}
