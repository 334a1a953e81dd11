//! What the witness remembers, in files that survive a crash.
//!
//! ```text
//! state/                     0700
//!   witness.vkey             name and public key; written once, together with the key
//!   logs                     the logs it watches, one vkey per line, as last given to `serve`
//!   checked                  the logs that `check` cosigned, one vkey per line; their silence raises no alarm
//!   seen/<SHA-256(origin)>   the last checkpoint it cosigned, with its own cosignature
//!   alarms.jsonl             alarms
//!   lock                     held during each change
//! ```
//! Nothing is cached between requests: the files decide, and their signatures are verified at each read. So a restart,
//! even after kill -9, changes nothing, and `check` may run beside the server. Files are replaced in the steps of
//! [`sudare_evidence::store::durable`].

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sudare_evidence::store::{Disk, Durable, StoreError};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::cosignature::{attach, check};
use sudare_protocol::tlog::note::{MAX_NOTE_BYTES, MAX_VKEY_BYTES};
use sudare_protocol::tlog::{NoteError, SignedCheckpoint, VerifierKey, WitnessKey};

use crate::error::WitnessError;

/// Largest number of logs that one witness watches.
pub const MAX_LOGS: usize = 4096;
const LOGS: &str = "logs";
const CHECKED: &str = "checked";
/// A change takes milliseconds; if the lock is held for longer, the disk is failing.
const LOCK_TRIES: u32 = 300;
const LOCK_WAIT_MS: u64 = 10;

/// The memory of one witness.
#[derive(Debug)]
pub struct Memory<D: Disk> {
    dir: PathBuf,
    durable: Durable<D>,
    key: WitnessKey,
}

/// What was cosigned last for one log.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// When it was cosigned, Unix time in seconds.
    pub time_s: u64,
}

impl<D: Disk> Memory<D> {
    /// Creates the memory of a new witness. If its memory is already there, it is left as it is.
    pub fn create(disk: D, dir: &Path, key: WitnessKey) -> Result<Self, WitnessError> {
        let found = read_key(&disk, dir)?;
        let mut durable = Durable::new(disk, dir);
        match found {
            Some(found) if found != key => return Err(WitnessError::ForeignMemory(dir.to_owned())),
            Some(_) => {}
            None => {
                durable.make_dirs(&dir.join("seen"))?;
                durable.replace(&dir.join("witness.vkey"), format!("{key}\n").as_bytes())?;
            }
        }
        Ok(Self { dir: dir.to_owned(), durable, key })
    }

    /// Opens the memory, which must belong to `key`.
    pub fn open(disk: D, dir: &Path, key: &WitnessKey) -> Result<Self, WitnessError> {
        let memory = Self::open_any(disk, dir)?;
        if memory.key == *key { Ok(memory) } else { Err(WitnessError::ForeignMemory(dir.to_owned())) }
    }

    /// Opens the memory of any witness, without its secret key.
    pub fn open_any(disk: D, dir: &Path) -> Result<Self, WitnessError> {
        let key = read_key(&disk, dir)?.ok_or_else(|| WitnessError::NoMemory(dir.to_owned()))?;
        Ok(Self { dir: dir.to_owned(), durable: Durable::new(disk, dir), key })
    }

    /// Name and public key of the witness.
    pub fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was last cosigned for this log, if anything. One of `keys` must have signed it.
    pub fn seen(&self, origin: &str, keys: &[VerifierKey]) -> Result<Option<Seen>, WitnessError> {
        let path = self.seen_path(origin);
        let Some(note) = self.read(&path, MAX_NOTE_BYTES)? else { return Ok(None) };
        let damaged = |detail: String| WitnessError::Damaged { path: path.clone(), detail };
        let keys = keys.iter().filter(|key| key.name() == origin);
        let opened = keys.map(|key| SignedCheckpoint::open(&note, key));
        let opened = opened.reduce(|first, second| first.or(second));
        let checkpoint = opened.ok_or_else(|| damaged("no key of this log was given".to_owned()))?;
        let checkpoint = checkpoint.map_err(|error| damaged(error.to_string()))?;
        let times = check(&note, std::slice::from_ref(&self.key));
        let times = times.map_err(|error| damaged(error.to_string()))?;
        let last = times.iter().map(|seen| seen.time_s).max();
        let time_s = last.ok_or_else(|| damaged("the cosignature of this witness is missing".to_owned()))?;
        Ok(Some(Seen { checkpoint, time_s }))
    }

    /// Remembers a checkpoint with its cosignature; durable once this returns.
    pub fn remember(&mut self, checkpoint: &SignedCheckpoint, line: &str) -> Result<(), WitnessError> {
        let path = self.seen_path(&checkpoint.checkpoint().origin);
        Ok(self.durable.replace(&path, attach(checkpoint.note(), line).as_bytes())?)
    }

    /// The logs last given to `serve`.
    pub fn logs(&self) -> Result<Vec<VerifierKey>, WitnessError> {
        self.keys(LOGS)
    }

    /// Remembers which logs are watched, for `status`.
    pub fn set_logs(&mut self, logs: &[VerifierKey]) -> Result<(), WitnessError> {
        self.set_keys(LOGS, logs)
    }

    /// The logs that `check` cosigned.
    pub fn checked(&self) -> Result<Vec<VerifierKey>, WitnessError> {
        self.keys(CHECKED)
    }

    /// Remembers a log that `check` cosigned, for `status`. Beyond [`MAX_LOGS`] the oldest is forgotten.
    pub fn add_checked(&mut self, log: &VerifierKey) -> Result<(), WitnessError> {
        let mut keys = self.checked()?;
        if keys.contains(log) {
            return Ok(());
        }
        keys.push(log.clone());
        let beyond = keys.len().saturating_sub(MAX_LOGS);
        keys.drain(..beyond);
        self.set_keys(CHECKED, &keys)
    }

    fn keys(&self, name: &str) -> Result<Vec<VerifierKey>, WitnessError> {
        let path = self.dir.join(name);
        let text = self.read(&path, MAX_LOGS * MAX_VKEY_BYTES)?.unwrap_or_default();
        let keys: Result<_, NoteError> = String::from_utf8_lossy(&text).lines().map(str::parse).collect();
        keys.map_err(|error| WitnessError::Damaged { path, detail: error.to_string() })
    }

    fn set_keys(&mut self, name: &str, logs: &[VerifierKey]) -> Result<(), WitnessError> {
        let text: String = logs.iter().map(|log| format!("{log}\n")).collect();
        Ok(self.durable.replace(&self.dir.join(name), text.as_bytes())?)
    }

    /// Reads one of the small files; `None` if it does not exist.
    pub fn read(&self, path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, WitnessError> {
        read(self.durable.disk(), path, max_bytes)
    }

    /// Replaces one of the small files.
    pub fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<(), WitnessError> {
        Ok(self.durable.replace(path, bytes)?)
    }

    /// Makes one change while no other process makes one.
    pub fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, WitnessError>,
    ) -> Result<T, WitnessError> {
        let path = self.dir.join("lock");
        for _ in 0..LOCK_TRIES {
            match self.durable.disk().lock(&path) {
                // Held until the change is durable or has failed.
                Ok(_lock) => return change(self),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(LOCK_WAIT_MS));
                }
                Err(error) => return Err(StoreError::io(&path, "locked", error).into()),
            }
        }
        Err(WitnessError::Busy(path))
    }

    /// An origin may contain slashes, so the file is named by its hash.
    fn seen_path(&self, origin: &str) -> PathBuf {
        let digest: [u8; 32] = Sha256::digest(origin).into();
        self.dir.join("seen").join(hex(&digest))
    }
}

fn read_key<D: Disk>(disk: &D, dir: &Path) -> Result<Option<WitnessKey>, WitnessError> {
    let path = dir.join("witness.vkey");
    let Some(line) = read(disk, &path, MAX_VKEY_BYTES)? else { return Ok(None) };
    let key = String::from_utf8_lossy(&line).parse();
    key.map(Some).map_err(|error| WitnessError::Damaged { path, detail: format!("{error}") })
}

fn read<D: Disk>(disk: &D, path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, WitnessError> {
    match disk.read(path, max_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(path, "read", error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestLog, cosigner};
    use sudare_evidence::store::OsDisk;
    use sudare_protocol::SigningKey;

    fn memory(dir: &Path) -> Memory<OsDisk> {
        Memory::create(OsDisk, dir, cosigner().public()).unwrap()
    }

    #[test]
    fn what_is_remembered_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new/state");
        let mut log = TestLog::new("sudare.example/log/a");
        let checkpoint = log.grow_to(3);
        let mut first = memory(&dir);
        assert!(first.seen(log.origin(), &[log.verifier()]).unwrap().is_none());
        first.remember(&checkpoint, &cosigner().cosign(&checkpoint, 77).unwrap()).unwrap();
        first.set_logs(&[log.verifier()]).unwrap();
        let again = Memory::open(OsDisk, &dir, &cosigner().public()).unwrap();
        let seen = again.seen(log.origin(), &[log.verifier()]).unwrap().unwrap();
        assert_eq!((seen.checkpoint.size(), seen.time_s), (3, 77));
        assert_eq!(again.logs().unwrap(), [log.verifier()]);
    }

    #[test]
    fn a_memory_that_was_edited_or_lost_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let checkpoint = log.grow_to(3);
        let mut memory = memory(dir.path());
        memory.remember(&checkpoint, &cosigner().cosign(&checkpoint, 77).unwrap()).unwrap();
        let file = std::fs::read_dir(dir.path().join("seen")).unwrap().next().unwrap().unwrap().path();
        // The log's own checkpoint, without the witness's line.
        std::fs::write(&file, checkpoint.note()).unwrap();
        assert!(matches!(memory.seen(log.origin(), &[log.verifier()]), Err(WitnessError::Damaged { .. })));
        std::fs::write(&file, "short").unwrap();
        assert!(matches!(memory.seen(log.origin(), &[log.verifier()]), Err(WitnessError::Damaged { .. })));
        std::fs::remove_file(dir.path().join("witness.vkey")).unwrap();
        let lost = Memory::open(OsDisk, dir.path(), &cosigner().public());
        assert!(matches!(lost, Err(WitnessError::NoMemory(_))));
    }

    #[test]
    fn a_memory_serves_the_key_that_it_was_made_for() {
        let dir = tempfile::tempdir().unwrap();
        memory(dir.path());
        let other =
            WitnessKey::new("witness.example/audit", SigningKey::from_bytes(&[1; 32]).verifying_key());
        let other = other.unwrap();
        assert!(matches!(Memory::open(OsDisk, dir.path(), &other), Err(WitnessError::ForeignMemory(_))));
        assert!(matches!(Memory::create(OsDisk, dir.path(), other), Err(WitnessError::ForeignMemory(_))));
    }

    #[test]
    fn while_another_process_changes_it_nothing_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = memory(dir.path());
        let held = OsDisk.lock(&dir.path().join("lock")).unwrap();
        assert!(matches!(memory.change(|_| Ok(())), Err(WitnessError::Busy(_))));
        drop(held);
        memory.change(|_| Ok(())).unwrap();
    }
}
