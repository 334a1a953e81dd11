//! Examines bundles on several threads and returns them in log order.
//!
//! ```text
//! caller: read bundle n+3 ─► jobs (bounded) ─► thread: hash and verify each leaf of a bundle
//!         take bundle n   ◄─ its own channel ◄─┘
//! ```
//! A few bundles are in memory at a time, so memory does not grow with the log.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use sudare_evidence::reader::Store;
use sudare_protocol::VerifyingKey;
use sudare_protocol::tlog::TilePath;
use sudare_protocol::tlog::tiles::{self, BundleError};
use sudare_protocol::verify::{Depth, Leaf};

use crate::error::AuditError;

/// More threads than this do not help: one of them takes the leaves in order.
const THREADS_MAX: usize = 8;
/// Bundles read ahead beyond those that threads work on.
const AHEAD: usize = 2;

/// After this many missing bundles in a row no further ones are looked for (a million entries). Whoever holds the log
/// key can sign any size, and nothing would end a walk through bundles that never were.
pub(crate) const MISSING_MAX: usize = 4096;

/// A bundle with its examined leaves.
#[derive(Debug)]
pub(super) struct Bundle {
    pub path: TilePath,
    /// `None` if the file is missing.
    pub content: Option<Content>,
}

/// Content of a bundle's file.
#[derive(Debug)]
pub(super) struct Content {
    /// The leaves, at most as many as the bundle's name says.
    pub leaves: Vec<Leaf>,
    /// Why the file could not be read further.
    pub broken: Option<BundleError>,
    /// True if the file holds more entries than its name says.
    pub too_many: bool,
}

/// Calls `take` with each bundle of the first `size` entries, in order. Returns the first bundle that was not looked for,
/// because [`MISSING_MAX`] before it are missing.
pub(super) fn examine(
    store: &Store,
    size: u64,
    key: &VerifyingKey,
    depth: Depth,
    mut take: impl FnMut(Bundle) -> Result<(), AuditError>,
) -> Result<Option<TilePath>, AuditError> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let (jobs, queue) = mpsc::sync_channel::<Job>(threads + AHEAD);
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&queue, key, depth));
        }
        // Owned by this closure, so that the threads end however it returns.
        let jobs = jobs;
        let mut under_way = VecDeque::new();
        let (mut missing, mut stopped) = (0, None);
        for path in tiles::bundles(size) {
            if missing >= MISSING_MAX {
                stopped = Some(path);
                break;
            }
            if under_way.len() >= threads + AHEAD {
                take_first(&mut under_way, &mut take)?;
            }
            let (answer, result) = mpsc::sync_channel(1);
            if let Some(bytes) = store.tile(path)? {
                // Fails only if all threads have ended; then the receiver below reports it.
                drop(jobs.send(Job { bytes, width: path.width, answer }));
                under_way.push_back((path, Some(result)));
                missing = 0;
            } else {
                under_way.push_back((path, None));
                missing += 1;
            }
        }
        while !under_way.is_empty() {
            take_first(&mut under_way, &mut take)?;
        }
        Ok(stopped)
    })
}

type UnderWay = VecDeque<(TilePath, Option<Receiver<Content>>)>;

fn take_first(
    under_way: &mut UnderWay,
    take: &mut impl FnMut(Bundle) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let Some((path, result)) = under_way.pop_front() else { return Ok(()) };
    let content = result.map(|result| result.recv().map_err(|_| AuditError::Unfinished)).transpose()?;
    take(Bundle { path, content })
}

struct Job {
    bytes: Vec<u8>,
    width: usize,
    answer: SyncSender<Content>,
}

fn work(queue: &Mutex<Receiver<Job>>, key: &VerifyingKey, depth: Depth) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { bytes, width, answer }) = next else { return };
        // The receiver is gone if the walk ended early.
        drop(answer.send(content(&bytes, width, key, depth)));
    }
}

fn content(bytes: &[u8], width: usize, key: &VerifyingKey, depth: Depth) -> Content {
    let mut content = Content { leaves: Vec::with_capacity(width), broken: None, too_many: false };
    for leaf in tiles::entries(bytes) {
        match leaf {
            _ if content.leaves.len() == width => content.too_many = true,
            Ok(leaf) => content.leaves.push(Leaf::examine(leaf, key, depth)),
            Err(error) => content.broken = Some(error),
        }
    }
    content
}
