//! Looks for phones on its own thread, so that 15 to 25 ms of it never delay a frame.
//!
//! One picture at a time: its buffer goes there and comes back with what was found, and is reused.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sudare_client_core::evidence::Area;
use sudare_client_core::frame::Frame;
use sudare_client_core::phone::Phone;
use sudare_models::PhoneFacts;

use crate::phones::{Letterbox, PhoneDetector};

/// A look that takes longer has failed (it takes 25 ms on a slow core).
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a look.
#[derive(Debug)]
pub(crate) enum Answer {
    Found(Vec<Phone>),
    /// The network failed.
    Failed,
}

/// The thread and its queues, of one place each.
#[derive(Debug)]
pub(crate) struct PhoneWorker {
    facts: PhoneFacts,
    /// `None` while it is being taken down.
    pictures: Option<SyncSender<Letterbox>>,
    answers: Receiver<(Letterbox, Answer)>,
    /// The buffer, while no look is under way.
    idle: Option<Letterbox>,
    /// It was said that the network does not work.
    told: bool,
    thread: Option<JoinHandle<()>>,
}

impl PhoneWorker {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub(crate) fn start(mut detector: PhoneDetector) -> std::io::Result<Self> {
        let (pictures, theirs) = sync_channel::<Letterbox>(1);
        let (sender, answers) = sync_channel(1);
        let facts = detector.facts().clone();
        let thread = std::thread::Builder::new().name("phones".to_owned()).spawn(move || {
            while let Ok(picture) = theirs.recv() {
                let answer = match detector.find(&picture) {
                    Ok(found) => Answer::Found(found),
                    Err(error) => {
                        tracing::debug!(%error, "a look for phones failed");
                        Answer::Failed
                    }
                };
                if sender.send((picture, answer)).is_err() {
                    return;
                }
            }
        })?;
        let (idle, thread) = (Some(Letterbox::default()), Some(thread));
        Ok(Self { facts, pictures: Some(pictures), answers, idle, told: false, thread })
    }

    /// Whether it can take a picture.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.is_some()
    }

    /// Begins a look at a part of a frame, or all of it, unless one is under way.
    pub(crate) fn look(&mut self, frame: &Frame, part: Option<Area>) {
        let (Some(mut picture), Some(pictures)) = (self.idle.take(), &self.pictures) else { return };
        picture.fill(frame, part, &self.facts);
        // If the thread is gone, the next answer says so.
        pictures.send(picture).ok();
    }

    /// The look that is done by now; with `wait`, the one under way.
    pub(crate) fn answer(&mut self, wait: bool) -> Option<Answer> {
        if self.is_idle() {
            return None;
        }
        let answer = if wait {
            self.answers.recv_timeout(LOOK_TIMEOUT)
        } else {
            self.answers.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        };
        let answer = match answer {
            Ok((picture, answer)) => {
                self.idle = Some(picture);
                answer
            }
            Err(RecvTimeoutError::Timeout) if !wait => return None,
            Err(_) => Answer::Failed,
        };
        if matches!(answer, Answer::Failed) && !self.told {
            self.told = true;
            tracing::error!("the phone-detector does not work: phones are not noticed. Run: sudare doctor");
        }
        Some(answer)
    }
}

impl Drop for PhoneWorker {
    fn drop(&mut self) {
        self.pictures = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported already.
            drop(thread.join());
        }
    }
}
