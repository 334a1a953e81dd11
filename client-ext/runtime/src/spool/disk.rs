//! The spool's folder: sealed incidents that no host has acknowledged, over restarts.
//!
//! ```text
//! <home>/spool/               0700
//!   lock                      held while folders are created or taken over
//!   <16 hex digits>/          one per process, random
//!     lock                    held for as long as the process lives
//!     <host>-<time>-<incident>.sealed        0600
//!   aside/                    damaged and foreign files, at most ASIDE_MAX
//! ```
//! When a process dies, its lock is released: the next process that talks to the same host takes over its files by
//! renaming them, so that each file is in one folder at any time. Trusted: the user's own file permissions. The files
//! are sealed; whoever has the user's permissions can delete them, but not read them.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sudare_client_core::spool::HostKey;
use sudare_protocol::client::Evidence;
use sudare_protocol::limits::SPOOL_MAX_BYTES;
use sudare_protocol::message::{Ack, Id};
use sudare_protocol::reason::Reason;

use super::parcel::{self, Name, PARCEL_MAX_BYTES};
use crate::durable::{self, PART, Step};
use crate::random::random;
use crate::receipts::{Receipt, Receipts};

const ASIDE: &str = "aside";
const ASIDE_MAX: usize = 64;
const LOCK: &str = "lock";
/// How many files and folders are read at most, whatever the folder contains.
const LISTED_MAX: usize = 4_096;
/// How often and in which steps the common lock is tried; it is held for milliseconds.
const LOCK_TRIES: u32 = 40;
const LOCK_STEP: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error(
        "{path}: {source}. The incident is kept in memory only; free disk space, or check the folder's permissions"
    )]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the spool folder holds {SPOOL_MAX_BYTES} bytes, because hosts have not acknowledged evidence for too long. The incident is kept in memory only; tell the VDI administrator that the host does not keep evidence"
    )]
    Full,
    #[error(
        "another program has held the spool's lock for too long. The incident is kept in memory only; end Sudare programs that hang"
    )]
    Locked,
    #[error(
        "the operating system provides no random numbers: {0}. The incident is kept in memory only; restart this computer"
    )]
    Random(#[from] getrandom::Error),
}

/// Evidence waiting in the folder, of all processes and hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    pub incidents: usize,
    pub bytes: u64,
    /// Unix time of the oldest.
    pub oldest_ms: Option<u64>,
    /// Files that could not be read.
    pub set_aside: usize,
}

/// One process's part of the folder.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    receipts: Receipts,
    own: Option<Own>,
    /// Incidents that this process has to deliver, on disk or not.
    held: BTreeMap<Id, Held>,
}

#[derive(Debug)]
struct Own {
    folder: PathBuf,
    /// Locked; the system releases it however the process ends.
    lock: File,
}

#[derive(Debug)]
struct Held {
    host: HostKey,
    reason: Reason,
    wall_ms: u64,
    /// `None`: in memory only.
    path: Option<PathBuf>,
}

impl Disk {
    /// Creates nothing before there is something to keep.
    pub(super) fn new(home: &Path) -> Self {
        Disk { root: home.join("spool"), receipts: Receipts::at(home), own: None, held: BTreeMap::new() }
    }

    /// Stores an incident durably. After an error it is held in memory only.
    pub(super) fn store(&mut self, host: &HostKey, evidence: &Evidence) -> Result<(), DiskError> {
        self.hold(host, evidence, None);
        let steps = self.store_steps(host, evidence)?;
        durable::run(&steps).map_err(|source| at(&self.root, source))?;
        let path = self.own_folder()?.join(Name::of(host, evidence).file_name());
        self.hold(host, evidence, Some(path));
        Ok(())
    }

    fn store_steps(&mut self, host: &HostKey, evidence: &Evidence) -> Result<Vec<Step>, DiskError> {
        let file = parcel::encode(host, evidence);
        if waiting(&self.root).bytes + file.len() as u64 > SPOOL_MAX_BYTES as u64 {
            return Err(DiskError::Full);
        }
        Ok(durable::put(&self.own_folder()?.join(Name::of(host, evidence).file_name()), file))
    }

    /// Takes over what dead processes left for this host, oldest first.
    pub(super) fn adopt(&mut self, host: &HostKey) -> Result<Vec<Evidence>, DiskError> {
        if !self.root.is_dir() {
            return Ok(Vec::new());
        }
        let own = self.own_folder()?;
        let common = self.common_lock()?;
        let mut found = Vec::new();
        for folder in folders(&self.root).into_iter().filter(|folder| *folder != own) {
            match take_over(&folder, &own, host) {
                Ok(names) => found.extend(names),
                Err(source) => tracing::warn!("{}", at(&folder, source)),
            }
        }
        drop(common);
        found.sort_unstable();
        Ok(found.into_iter().filter_map(|name| self.read(&own, name)).collect())
    }

    /// A host keeps the incident: stores the receipt, then forgets the incident. Does nothing if it was not waiting.
    pub(super) fn delivered(&mut self, ack: &Ack, wall_ms: u64) -> Result<(), DiskError> {
        let done = self.delivered_steps(ack, wall_ms).and_then(|steps| durable::run(&steps));
        done.map_err(|source| at(&self.root, source))?;
        if self.held.remove(&ack.incident_id).is_some() {
            self.receipts.trim();
        }
        Ok(())
    }

    fn delivered_steps(&self, ack: &Ack, wall_ms: u64) -> io::Result<Vec<Step>> {
        let Some(held) = self.held.get(&ack.incident_id) else { return Ok(Vec::new()) };
        let receipt = Receipt::new(ack, &held.host, held.reason, held.wall_ms, wall_ms);
        let mut steps = self.receipts.put_steps(&receipt)?;
        steps.extend(held.path.iter().flat_map(|path| durable::remove(path)));
        Ok(steps)
    }

    fn hold(&mut self, host: &HostKey, evidence: &Evidence, path: Option<PathBuf>) {
        let manifest = &evidence.manifest;
        let (reason, wall_ms) = (manifest.reason, manifest.wall_ms);
        self.held.insert(manifest.incident_id, Held { host: host.clone(), reason, wall_ms, path });
    }

    /// Reads a file of our own folder. An unusable one is set aside; one with a receipt is removed.
    fn read(&mut self, own: &Path, name: Name) -> Option<Evidence> {
        let path = own.join(name.file_name());
        let (host, evidence) = match read_parcel(&path) {
            Ok(Ok(parcel)) if Name::of(&parcel.0, &parcel.1) == name => parcel,
            Ok(Ok(_)) => return self.set_aside(&path, "its name belongs to another incident"),
            Ok(Err(error)) => return self.set_aside(&path, &error.to_string()),
            Err(error) => return self.set_aside(&path, &error.to_string()),
        };
        if self.receipts.has(&evidence.manifest.incident_id) {
            // The process died between the receipt and this.
            if let Err(error) = durable::run(&durable::remove(&path)) {
                tracing::warn!("{}", at(&path, error));
            }
            return None;
        }
        self.hold(&host, &evidence, Some(path));
        Some(evidence)
    }

    fn set_aside<T>(&self, path: &Path, why: &str) -> Option<T> {
        tracing::warn!("{}: {why}. It was set aside; it cannot be sent, and may be deleted", path.display());
        let aside = self.root.join(ASIDE);
        let to = aside.join(path.file_name().unwrap_or_default());
        let moved = durable::create_folder(&aside).and_then(|()| durable::run(&durable::relocate(path, &to)));
        if let Err(error) = moved {
            tracing::warn!("{}", at(path, error));
        }
        let mut there = names(&aside);
        there.sort_unstable();
        for name in there.iter().rev().skip(ASIDE_MAX) {
            fs::remove_file(aside.join(name)).ok();
        }
        None
    }

    /// This process's folder, created and locked at first use.
    fn own_folder(&mut self) -> Result<PathBuf, DiskError> {
        if let Some(own) = &self.own {
            return Ok(own.folder.clone());
        }
        durable::create_folder(&self.root).map_err(|source| at(&self.root, source))?;
        let _common = self.common_lock()?;
        let folder = self.root.join(format!("{:016x}", u64::from_be_bytes(random()?)));
        let locked = durable::create_folder(&folder).and_then(|()| {
            let lock = lock_file(&folder)?;
            lock.try_lock().map_err(io::Error::from)?;
            Ok(lock)
        });
        let lock = locked.map_err(|source| at(&folder, source))?;
        self.own = Some(Own { folder: folder.clone(), lock });
        Ok(folder)
    }

    fn common_lock(&self) -> Result<File, DiskError> {
        let lock = lock_file(&self.root).map_err(|source| at(&self.root, source))?;
        for _ in 0..LOCK_TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_STEP),
                Err(TryLockError::Error(source)) => return Err(at(&self.root, source)),
            }
        }
        Err(DiskError::Locked)
    }
}

impl Drop for Disk {
    /// Removes an empty folder; one with files is left for the next process.
    fn drop(&mut self) {
        let Some(own) = &self.own else { return };
        if names(&own.folder).iter().all(|name| name == LOCK) {
            fs::remove_file(own.folder.join(LOCK)).and_then(|()| fs::remove_dir(&own.folder)).ok();
        }
        // Closing is not enough: a child that was just forked holds the same open file until it executes its program.
        own.lock.unlock().ok();
    }
}

/// Evidence below `root`, counted by file names.
pub(super) fn waiting(root: &Path) -> Waiting {
    let mut all = Waiting { set_aside: names(&root.join(ASIDE)).len(), ..Waiting::default() };
    for folder in folders(root) {
        for file in names(&folder) {
            let Some(name) = Name::parse(&file) else { continue };
            all.incidents += 1;
            all.bytes += fs::metadata(folder.join(&file)).map_or(0, |file| file.len());
            all.oldest_ms = Some(all.oldest_ms.map_or(name.wall_ms, |oldest| oldest.min(name.wall_ms)));
        }
    }
    all
}

/// Moves a host's files out of a dead process's folder. A living one's folder is left alone.
fn take_over(folder: &Path, own: &Path, host: &HostKey) -> io::Result<Vec<Name>> {
    let lock = lock_file(folder)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Vec::new()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut taken = Vec::new();
    let mut left = 0;
    for file in names(folder) {
        let path = folder.join(&file);
        match Name::parse(&file) {
            Some(name) if name.is_for(host) => {
                durable::run(&durable::relocate(&path, &own.join(&file)))?;
                taken.push(name);
            }
            // It was never complete, so nothing was promised.
            None if path.extension().is_some_and(|e| e == PART) => fs::remove_file(&path)?,
            None if file == LOCK => {}
            Some(_) | None => left += 1,
        }
    }
    if left == 0 {
        // Whoever waits for this lock finds the folder empty or gone.
        fs::remove_file(folder.join(LOCK))?;
        fs::remove_dir(folder)?;
    }
    Ok(taken)
}

fn read_parcel(path: &Path) -> io::Result<Result<(HostKey, Evidence), parcel::ParcelError>> {
    let mut file = Vec::new();
    File::open(path)?.take(PARCEL_MAX_BYTES as u64 + 1).read_to_end(&mut file)?;
    Ok(parcel::decode(&file))
}

fn lock_file(folder: &Path) -> io::Result<File> {
    durable::lock_file(&folder.join(LOCK))
}

/// Folders of processes.
fn folders(root: &Path) -> Vec<PathBuf> {
    let of_a_process = |name: &String| name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
    names(root).iter().filter(|name| of_a_process(name)).map(|name| root.join(name)).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.take(LISTED_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.collect()
}

fn at(path: &Path, source: io::Error) -> DiskError {
    DiskError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
