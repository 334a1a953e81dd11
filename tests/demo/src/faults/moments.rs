//! When to kill: as soon as a named step of somebody's work can be seen on the disk, or at any moment.

use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use super::place::Place;

/// Folders watched below one.
const DEPTH: usize = 4;

/// A change that shows how far somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: &'static str,
    place: Where,
    /// Folder below it, with all that are in it.
    folder: &'static str,
    flags: WatchFlags,
    /// How the file's name ends.
    ending: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Store,
    Clients,
}

const fn step(
    name: &'static str,
    place: Where,
    folder: &'static str,
    flags: WatchFlags,
    ending: &'static str,
) -> Step {
    Step { name, place, folder, flags, ending }
}

/// The life of an incident as the file system sees it.
pub(super) const STEPS: &[Step] = &[
    step("spool: a file is begun", Where::Clients, "spool", WatchFlags::CREATE, ".part"),
    step("spool: a file has its name", Where::Clients, "spool", WatchFlags::MOVED_TO, ".sealed"),
    step("blob: its body is begun", Where::Store, "blobs", WatchFlags::CREATE, ".tmp"),
    step("blob: its body has its name", Where::Store, "blobs", WatchFlags::MOVED_TO, ""),
    step("blob: its header is begun", Where::Store, "headers", WatchFlags::CREATE, ".tmp"),
    step("blob: its header has its name", Where::Store, "headers", WatchFlags::MOVED_TO, ""),
    step("log: entries are written", Where::Store, "", WatchFlags::MODIFY, "wal"),
    step("log: a tile is begun", Where::Store, "tile", WatchFlags::CREATE, ".tmp"),
    step("log: a tile has its name", Where::Store, "tile", WatchFlags::MOVED_TO, ""),
    step("log: a checkpoint is begun", Where::Store, "", WatchFlags::CREATE, "checkpoint.tmp"),
    step("log: a checkpoint has its name", Where::Store, "", WatchFlags::MOVED_TO, "checkpoint"),
    step("log: the write-ahead file is begun anew", Where::Store, "", WatchFlags::CREATE, "wal.tmp"),
    step("log: an incident is noted as complete", Where::Store, "completed", WatchFlags::MOVED_TO, ""),
    step("receipt: a file is begun", Where::Clients, "receipts", WatchFlags::CREATE, ".part"),
    step("receipt: a file has its name", Where::Clients, "receipts", WatchFlags::MOVED_TO, ".json"),
    step("spool: a file is removed", Where::Clients, "spool", WatchFlags::DELETE, ".sealed"),
];

/// Waits for the step; false if it did not come within `patience`.
pub(super) fn wait_for(step: Step, place: &Place, pairs: usize, patience: Duration) -> anyhow::Result<bool> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let bases: Vec<PathBuf> = match step.place {
        Where::Store => vec![place.evidence()?],
        Where::Clients => (0..pairs).map(|number| place.client(number)).collect(),
    };
    for folder in bases.iter().flat_map(|base| folders(&base.join(step.folder), step.folder.is_empty())) {
        if let Err(error) = inotify::add_watch(&fd, &folder, step.flags) {
            tracing::debug!(%error, "one that went away meanwhile shows no steps");
        }
    }
    let begun = Instant::now();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    loop {
        let Some(left) = patience.checked_sub(begun.elapsed()) else { return Ok(false) };
        let timeout =
            Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: i64::from(left.subsec_nanos()) };
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout))?;
        let mut reader = Reader::new(&fd, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::IGNORED) {
                continue;
            }
            let name = event.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.ends_with(step.ending) {
                return Ok(true);
            }
        }
    }
}

/// The folder and those below it, unless it is watched alone.
fn folders(folder: &Path, is_alone: bool) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut level = found.clone();
    for _ in 0..if is_alone { 0 } else { DEPTH } {
        let below = level.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        level = below.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        found.extend(level.iter().cloned());
    }
    found
}
