//! What a witness remembers, in files that survive a crash.
//!
//! ```text
//! state/                     0700
//!   witness.vkey             name and public key; written once, together with the key
//!   logs                     the logs it watches, one vkey a line, as `serve` was told last
//!   checked                  the logs that `check` cosigned, one vkey a line; silence of them is no alarm
//!   seen/<SHA-256(origin)>   the last checkpoint that it cosigned, with its own cosignature
//!   alarms.jsonl             what it noticed
//!   lock                     held during each change
//! ```
//! Nothing is kept in memory between two requests: the file decides, and its signatures are
//! checked each time it is read. So a restart, also after kill -9, changes nothing, and a pull
//! may run beside the server. A file is replaced in the steps of [`crate::store::durable`].

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::cosignature::{attach, check};
use sudare_protocol::tlog::note::{MAX_NOTE_BYTES, MAX_VKEY_BYTES};
use sudare_protocol::tlog::{NoteError, SignedCheckpoint, VerifierKey, WitnessKey};

use super::error::WitnessError;
use crate::store::{Disk, Durable, StoreError};

/// Logs that one witness watches at most.
pub const MAX_LOGS: usize = 4096;
const LOGS: &str = "logs";
const CHECKED: &str = "checked";
/// A change takes milliseconds; whoever holds the lock longer has a sick disk.
const LOCK_TRIES: u32 = 300;
const LOCK_WAIT_MS: u64 = 10;

/// The memory of one witness.
#[derive(Debug)]
pub struct Memory<D: Disk> {
    dir: PathBuf,
    durable: Durable<D>,
    witness: WitnessKey,
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
    /// Makes the memory of a new witness; its own that is there already is left as it is.
    pub fn create(disk: D, dir: &Path, witness: WitnessKey) -> Result<Self, WitnessError> {
        let found = read_witness(&disk, dir)?;
        let mut durable = Durable::new(disk, dir);
        match found {
            Some(found) if found != witness => return Err(WitnessError::ForeignMemory(dir.to_owned())),
            Some(_) => {}
            None => {
                durable.make_dirs(&dir.join("seen"))?;
                durable.replace(&dir.join("witness.vkey"), format!("{witness}\n").as_bytes())?;
            }
        }
        Ok(Self { dir: dir.to_owned(), durable, witness })
    }

    /// Opens the memory, which must have been made for `witness`.
    pub fn open(disk: D, dir: &Path, witness: &WitnessKey) -> Result<Self, WitnessError> {
        let memory = Self::open_any(disk, dir)?;
        if memory.witness == *witness { Ok(memory) } else { Err(WitnessError::ForeignMemory(dir.to_owned())) }
    }

    /// Opens the memory of whatever witness it belongs to, for somebody without its key.
    pub fn open_any(disk: D, dir: &Path) -> Result<Self, WitnessError> {
        let witness = read_witness(&disk, dir)?.ok_or_else(|| WitnessError::NoMemory(dir.to_owned()))?;
        Ok(Self { dir: dir.to_owned(), durable: Durable::new(disk, dir), witness })
    }

    /// Whose memory this is.
    pub fn witness(&self) -> &WitnessKey {
        &self.witness
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What was cosigned last for this log, if anything. One of `keys` must have signed it.
    pub fn seen(&self, origin: &str, keys: &[VerifierKey]) -> Result<Option<Seen>, WitnessError> {
        let path = self.seen_path(origin);
        let Some(note) = self.read(&path, MAX_NOTE_BYTES)? else { return Ok(None) };
        let damaged = |detail: String| WitnessError::Damaged { path: path.clone(), detail };
        let keys = keys.iter().filter(|key| key.name() == origin);
        let opened = keys.map(|key| SignedCheckpoint::open(&note, key));
        let opened = opened.reduce(|first, second| first.or(second));
        let checkpoint = opened.ok_or_else(|| damaged("no key of this log was given".to_owned()))?;
        let checkpoint = checkpoint.map_err(|error| damaged(error.to_string()))?;
        let times = check(&note, std::slice::from_ref(&self.witness));
        let times = times.map_err(|error| damaged(error.to_string()))?;
        let last = times.iter().map(|seen| seen.time_s).max();
        let time_s = last.ok_or_else(|| damaged("the cosignature of this witness is missing".to_owned()))?;
        Ok(Some(Seen { checkpoint, time_s }))
    }

    /// Remembers a checkpoint together with its cosignature; once this returns, a crash does not undo it.
    pub fn remember(&mut self, checkpoint: &SignedCheckpoint, line: &str) -> Result<(), WitnessError> {
        let path = self.seen_path(&checkpoint.checkpoint().origin);
        Ok(self.durable.replace(&path, attach(checkpoint.note(), line).as_bytes())?)
    }

    /// The logs that `serve` was told last.
    pub fn logs(&self) -> Result<Vec<VerifierKey>, WitnessError> {
        self.keys(LOGS)
    }

    /// Remembers which logs are watched, for `status`.
    pub fn set_logs(&mut self, logs: &[VerifierKey]) -> Result<(), WitnessError> {
        self.set_keys(LOGS, logs)
    }

    /// The logs that `check` cosigned without network.
    pub fn checked(&self) -> Result<Vec<VerifierKey>, WitnessError> {
        self.keys(CHECKED)
    }

    /// Remembers such a log, for `status`. Beyond [`MAX_LOGS`] the oldest is forgotten.
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

    /// One of the small files, or `None` if there is none.
    pub fn read(&self, path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, WitnessError> {
        read(self.durable.disk(), path, max_bytes)
    }

    /// Replaces one of the small files.
    pub fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<(), WitnessError> {
        Ok(self.durable.replace(path, bytes)?)
    }

    /// Runs one change while nobody else, in any process, makes one.
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

    /// An origin may hold slashes, so its hash names the file.
    fn seen_path(&self, origin: &str) -> PathBuf {
        let digest: [u8; 32] = Sha256::digest(origin).into();
        self.dir.join("seen").join(hex(&digest))
    }
}

fn read_witness<D: Disk>(disk: &D, dir: &Path) -> Result<Option<WitnessKey>, WitnessError> {
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
    use crate::store::OsDisk;
    use crate::witness::testing::{TestLog, cosigner};
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
