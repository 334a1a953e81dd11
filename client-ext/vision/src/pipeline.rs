//! From frames to faces: who is at the seat, how near, and looking where.
//!
//! ```text
//! frame ─ quality ─ prepare ─ detector ─ tracker ────────────► faces seen
//!                   (320 px)   (YuNet)     │  ▲ verdicts
//!                                   aligned│  │ cosines
//!                                          ▼  │
//!                                   worker thread: embedder (SFace), rotate, compare
//! ```
//! Any failure here shows as a lost camera or an undecided face, and both cover.

use sudare_client_core::evidence::Mark;
use sudare_client_core::face::pose;
use sudare_client_core::face::rotate::Known;
use sudare_client_core::face::track::{Tracked, Tracker};
use sudare_client_core::face::verdict::Thresholds;
use sudare_client_core::frame::Frame;
use sudare_client_core::light;
use sudare_client_core::presence::{CameraView, FaceSeen, weight_of};
use sudare_models::EmbedderFacts;

use crate::align;
use crate::engine::{Engine, EngineError};
use crate::faces::Detector;
use crate::worker::{Job, Look, Worker, WorkerGone};

/// When the result of a comparison counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With the first frame after it is ready: for live sources.
    Live,
    /// With the frame itself, however long that takes: for files, whose results must not depend on the machine.
    Lockstep,
}

/// What one frame shows, in the terms of [`sudare_client_core::presence`].
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub faces: Vec<FaceSeen>,
    pub camera: CameraView,
    /// The same faces and those just missed, with their places in the frame; `None` if it could not be examined.
    pub marks: Option<Vec<Mark>>,
}

/// Watches frame after frame.
#[derive(Debug)]
pub struct Vision {
    detector: Detector,
    embedder_facts: EmbedderFacts,
    thresholds: Thresholds,
    tracker: Tracker,
    worker: Worker,
    mode: Mode,
}

impl Vision {
    /// Starts watching for these operators. Without any, every face is a stranger's.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn new(engine: Engine, operators: Known, mode: Mode) -> Result<Self, EngineError> {
        let embedder_facts = engine.embedder.facts().clone();
        let worker = Worker::start(engine.embedder, operators).map_err(|e| EngineError::Runtime {
            detail: format!("cannot start a thread for the embedder: {e}"),
        })?;
        Ok(Self {
            detector: engine.detector,
            thresholds: thresholds(&embedder_facts),
            embedder_facts,
            tracker: Tracker::default(),
            worker,
            mode,
        })
    }

    /// Looks at one frame. Time stamps must not go backwards.
    pub fn process(&mut self, frame: &Frame) -> Seen {
        let nothing = |camera| Seen { faces: Vec::new(), camera, marks: None };
        let faces = match self.detector.watch(frame) {
            Ok(faces) => faces,
            Err(error) => {
                tracing::error!(%error, "a frame could not be examined");
                return nothing(CameraView::Lost);
            }
        };
        // A face lit by the screen alone makes a very dark picture, although nothing blocks the camera.
        if faces.is_empty() && light::is_blocked(frame) {
            self.tracker.update(frame.t_ms, &[]);
            return nothing(CameraView::Blocked);
        }
        self.tracker.update(frame.t_ms, &faces);
        if let Err(WorkerGone) = self.identify(frame) {
            tracing::error!("the thread that compares faces has ended");
            return nothing(CameraView::Lost);
        }
        let width = precise(frame.width);
        let (mut faces, mut marks) = (Vec::new(), Vec::new());
        for tracked in self.tracker.known(frame.t_ms) {
            let face = FaceSeen {
                who: tracked.who,
                width_share: tracked.face.bbox[2] / width,
                yaw_deg: pose::yaw_deg(&tracked.face.landmarks),
            };
            faces.extend(tracked.seen.then_some(face));
            let Tracked { id: track, who, cosine, seen, .. } = tracked;
            marks.push(Mark { track, area: tracked.face.bbox, who, weight: weight_of(&face), cosine, seen });
        }
        Seen { faces, camera: CameraView::Clear, marks: Some(marks) }
    }

    /// For the record.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Hands new faces to the worker and takes its results.
    fn identify(&mut self, frame: &Frame) -> Result<(), WorkerGone> {
        self.note(false)?;
        for (track, face) in self.tracker.due(frame.t_ms) {
            let aligned = align::align(frame, &face.landmarks, &self.embedder_facts.landmarks_px);
            let refused = match aligned {
                Some(face) => self.worker.submit(Job { track, t_ms: frame.t_ms, face }),
                None => Some(Look { track, t_ms: frame.t_ms, cosine: None }),
            };
            if let Some(look) = refused {
                self.tracker.looked(look.track, look.t_ms, look.cosine, &self.thresholds);
            }
        }
        if self.mode == Mode::Lockstep { self.note(true) } else { Ok(()) }
    }

    fn note(&mut self, all: bool) -> Result<(), WorkerGone> {
        let looks = if all { self.worker.all()? } else { self.worker.done()? };
        for look in looks {
            self.tracker.looked(look.track, look.t_ms, look.cosine, &self.thresholds);
        }
        Ok(())
    }
}

fn thresholds(facts: &EmbedderFacts) -> Thresholds {
    Thresholds {
        operator_min: facts.operator_min,
        same_person_min: facts.same_person_min,
        stranger_max: facts.stranger_max,
    }
}

/// Picture sides are at most 65,535, which f32 holds exactly.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn precise(side: u32) -> f32 {
    side.max(1) as f32
}
