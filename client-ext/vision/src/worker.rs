//! Compares faces on its own thread, so that 45 ms of embedding never delay a frame.
//!
//! The queue holds at most one job per track and [`MAX_TRACKS`] in all; a newer picture of a track replaces the
//! waiting one. Vectors of faces stay in this thread: only a cosine comes out, and a stranger's vector is wiped
//! right after the comparison.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sudare_client_core::face::quality::Quality;
use sudare_client_core::face::rotate::Known;
use sudare_client_core::face::track::MAX_TRACKS;

use crate::align::AlignedFace;
use crate::identity::Embedder;

/// A comparison that takes longer has failed (it takes 50 ms on a slow core).
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// One face to compare.
#[derive(Debug)]
pub struct Job {
    pub track: u64,
    pub t_ms: u64,
    pub face: AlignedFace,
    pub quality: Quality,
}

/// The best cosine with any operator, and how much the look is worth; `None` if the network failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub track: u64,
    pub t_ms: u64,
    pub result: Option<(f32, Quality)>,
}

/// The thread and its queues.
#[derive(Debug)]
pub struct Worker {
    queue: Arc<Queue>,
    looks: Receiver<Look>,
    waiting: usize,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn start(embedder: Embedder, known: Known) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let (sender, looks) = channel();
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("identity".to_owned())
            .spawn(move || work(&theirs, &sender, embedder, &known))?;
        Ok(Self { queue, looks, waiting: 0, thread: Some(thread) })
    }

    /// Queues a job. A waiting job of the same track is replaced; when the queue is full, the new job is returned as
    /// failed.
    pub fn submit(&mut self, job: Job) -> Option<Look> {
        let mut jobs = self.queue.lock();
        if let Some(waiting) = jobs.waiting.iter_mut().find(|waiting| waiting.track == job.track) {
            *waiting = job;
            return None;
        }
        if jobs.waiting.len() >= MAX_TRACKS {
            return Some(Look { track: job.track, t_ms: job.t_ms, result: None });
        }
        jobs.waiting.push_back(job);
        self.waiting += 1;
        self.queue.changed.notify_all();
        None
    }

    /// The looks that are done by now.
    ///
    /// # Errors
    /// The thread has ended.
    pub fn done(&mut self) -> Result<Vec<Look>, WorkerGone> {
        let mut looks = Vec::new();
        loop {
            match self.looks.try_recv() {
                Ok(look) => looks.push(look),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(WorkerGone),
            }
        }
        self.waiting = self.waiting.saturating_sub(looks.len());
        Ok(looks)
    }

    /// Waits until every queued job is done.
    ///
    /// # Errors
    /// The thread has ended or hangs.
    pub fn all(&mut self) -> Result<Vec<Look>, WorkerGone> {
        let mut looks = Vec::new();
        while self.waiting > 0 {
            match self.looks.recv_timeout(LOOK_TIMEOUT) {
                Ok(look) => looks.push(look),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(WorkerGone),
            }
            self.waiting -= 1;
        }
        Ok(looks)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.lock().stop = true;
        self.queue.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // Joined so that templates are wiped before the program continues. A panic there was reported already.
            drop(thread.join());
        }
    }
}

/// The comparing thread is gone: nobody can be recognised any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerGone;

#[derive(Debug, Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    stop: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next job; `None` means stop.
    fn next(&self) -> Option<Job> {
        let idle = |jobs: &mut Jobs| jobs.waiting.is_empty() && !jobs.stop;
        let mut jobs = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if jobs.stop { None } else { jobs.waiting.pop_front() }
    }
}

fn work(queue: &Queue, looks: &Sender<Look>, mut embedder: Embedder, known: &Known) {
    while let Some(job) = queue.next() {
        let result = match embedder.embed(&job.face) {
            Ok(embedding) => {
                let rotated = known.rotation.apply(&embedding);
                let cosines = known.vectors.iter().map(|vector| vector.cosine(&rotated));
                Some((cosines.fold(-1.0, f32::max), job.quality))
            }
            Err(error) => {
                tracing::error!(%error, "a face could not be compared");
                None
            }
        };
        if looks.send(Look { track: job.track, t_ms: job.t_ms, result }).is_err() {
            return;
        }
    }
}
