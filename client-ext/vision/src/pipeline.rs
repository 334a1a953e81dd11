//! From frames to faces: who is at the seat, how near, and looking where.
//!
//! ```text
//! frame ─ motion ─ attention ─ prepare ─ detector ─ tracker ─────────► faces seen
//!                  (how closely)         (YuNet)      │  ▲ verdicts
//!                                    aligned, quality │  │ cosines
//!                                                     ▼  │
//!                                   worker thread: embedder (SFace), rotate, compare
//!                  beside it: cues (phones, pictures of faces)
//! ```
//! Any failure here shows as a lost camera or an undecided face, and both cover. A picture in which nothing can have
//! changed is not looked at: the look before it still holds.

use sudare_client_core::attention::{Attention, Situation};
use sudare_client_core::evidence::{Area, Mark};
use sudare_client_core::face::facing::Facing;
use sudare_client_core::face::gathered::Gathered;
use sudare_client_core::face::identity::Thresholds;
use sudare_client_core::face::marked::Marked;
use sudare_client_core::face::quality::{Grade, Quality};
use sudare_client_core::face::rotate::Known;
use sudare_client_core::face::track::{Tracked, Tracker};
use sudare_client_core::face::{Face, pose};
use sudare_client_core::frame::Frame;
use sudare_client_core::lens::Lens;
use sudare_client_core::light;
use sudare_client_core::live::Liveness;
use sudare_client_core::live::patches::{self, Patches};
use sudare_client_core::motion::Motion;
use sudare_client_core::phone::PhoneView;
use sudare_client_core::presence::{CameraView, FaceSeen, Observation, Who, weight_of};
use sudare_client_core::screens::Screens;
use sudare_models::EmbedderFacts;
use sudare_protocol::eyes::Recognition;

use crate::align::{self, AlignedFace};
use crate::cues::Cues;
use crate::engine::{Engine, EngineError};
use crate::faces::Detector;
use crate::mesh::FaceMesh;
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
    /// Tracks that vanished where nobody leaves the picture.
    pub hidden: Vec<u64>,
    /// How bright the operator's face is, for the host's check by light.
    pub light: Option<Patches>,
    /// The same faces and those just missed, with their places in the frame; `None` if it could not be examined.
    pub marks: Option<Vec<Mark>>,
    pub phone: PhoneView,
    /// Where phones were last seen, while any may be in view.
    pub phones: Vec<Area>,
    /// Of the operator's face.
    pub liveness: Liveness,
}

impl Seen {
    /// For the decision.
    #[must_use]
    pub fn observed(&self, t_ms: u64) -> Observation {
        let Seen { camera, phone, liveness, light, .. } = *self;
        let (faces, hidden) = (self.faces.clone(), self.hidden.clone());
        Observation { t_ms, camera, faces, hidden, phone, liveness, light }
    }

    /// Nothing could be examined.
    fn nothing(camera: CameraView) -> Self {
        let (phone, liveness) = (PhoneView::Unknown, Liveness::None);
        let (faces, hidden, phones) = (Vec::new(), Vec::new(), Vec::new());
        Seen { faces, camera, hidden, light: None, marks: None, phone, phones, liveness }
    }
}

/// A face of this width (of the picture's) is better seen enlarged: farther than 2 m.
const FAR_SHARE: f32 = 0.054;
/// What the camera sees behind people is learnt this often.
const LEARN_MS: u64 = 500;
/// Good looks at the operator that wait to be asked for.
const OWN_LOOKS_MAX: usize = 16;

/// Watches frame after frame.
#[derive(Debug)]
pub struct Vision {
    detector: Detector,
    /// Until it fails.
    mesh: Option<FaceMesh>,
    facing: Facing,
    embedder_facts: EmbedderFacts,
    thresholds: Thresholds,
    tracker: Tracker,
    motion: Motion,
    attention: Attention,
    lens: Lens,
    screens: Screens,
    /// When it last learnt.
    learnt_ms: Option<u64>,
    /// When the detector last looked.
    looked_ms: u64,
    /// A battery is to be spared.
    thrift: bool,
    /// Reused from picture to picture.
    gathered: Gathered,
    bodies: Vec<Area>,
    far: Vec<Area>,
    boxes: Vec<Area>,
    worker: Worker,
    cues: Cues,
    mode: Mode,
    /// Where operators said at enrolment that nobody ever is.
    marked: Marked,
    /// Cosines of good looks at the operator.
    own_looks: Vec<f32>,
    /// No face is ever compared.
    only_presence: bool,
}

impl Vision {
    /// Starts watching for these operators. Without any, every face is a stranger's. `recognition` says how alike a
    /// face must be, and is the policy's.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn new(
        engine: Engine,
        operators: Known,
        recognition: Recognition,
        mode: Mode,
    ) -> Result<Self, EngineError> {
        let embedder_facts = engine.embedder.facts().clone();
        let marked = operators.marked.clone();
        let worker = Worker::start(engine.embedder, operators).map_err(|e| EngineError::Runtime {
            detail: format!("cannot start a thread for the embedder: {e}"),
        })?;
        let cues = Cues::start(engine.anti_spoof, engine.phones).map_err(|e| EngineError::Runtime {
            detail: format!("cannot start a thread that looks for phones: {e}"),
        })?;
        Ok(Self {
            detector: engine.detector,
            mesh: engine.mesh,
            facing: Facing::default(),
            thresholds: thresholds(&embedder_facts).at(recognition),
            embedder_facts,
            tracker: Tracker::default(),
            motion: Motion::default(),
            attention: Attention::default(),
            lens: Lens::default(),
            screens: Screens::default(),
            learnt_ms: None,
            looked_ms: 0,
            thrift: false,
            gathered: Gathered::default(),
            bodies: Vec::new(),
            far: Vec::new(),
            boxes: Vec::new(),
            worker,
            cues,
            mode,
            marked,
            own_looks: Vec::new(),
            only_presence: recognition == Recognition::Presence,
        })
    }

    /// Spares a battery from now on, or no longer: an operator alone is looked at less often.
    pub fn set_thrift(&mut self, on: bool) {
        self.thrift = on;
    }

    /// Looks at one frame. Time stamps must not go backwards.
    pub fn process(&mut self, frame: &Frame) -> Seen {
        if !frame.is_consistent() {
            tracing::error!("a frame does not have the size it claims");
            return Seen::nothing(CameraView::Lost);
        }
        match self.look(frame) {
            Ok(faces) => {
                // A face lit by the screen alone makes a very dark picture, although nothing blocks the camera.
                if faces == Some(0) && (light::is_blocked(frame) || self.lens.has_lost_view(frame)) {
                    return Seen::nothing(CameraView::Blocked);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a frame could not be examined");
                return Seen::nothing(CameraView::Lost);
            }
        }
        if let Err(WorkerGone) = self.identify(frame) {
            tracing::error!("the thread that compares faces has ended");
            return Seen::nothing(CameraView::Lost);
        }
        let known = self.tracker.known(self.looked_ms);
        self.cues.look(frame, &self.motion, known, self.mode == Mode::Lockstep);
        self.seen(frame)
    }

    /// Has the detector look, as closely as is worth it; how many faces it found, or `None` if it need not look.
    fn look(&mut self, frame: &Frame) -> Result<Option<usize>, EngineError> {
        let size = [precise(frame.width), precise(frame.height)];
        let known = self.tracker.known(self.looked_ms);
        note_bodies(&mut self.bodies, known, size[1]);
        let moved = self.motion.update(frame, &self.bodies);
        self.screens.update(frame.t_ms, &self.motion.changes(), size);
        let unsettled = known.iter().any(|t| !t.seen || (t.who == Who::Undecided && t.sure));
        let is_far = |t: &&Tracked| t.seen && t.who != Who::Operator && t.face.bbox[2] < FAR_SHARE * size[0];
        self.far.clear();
        self.far.extend(known.iter().filter(is_far).map(|t| t.face.bbox));
        // Nobody else, not even a poster: who sat as still as one may lean forward.
        let alone = !known.is_empty() && known.iter().all(|t| t.seen && t.who == Who::Operator);
        let thrift = self.thrift && alone;
        let situation = Situation { t_ms: frame.t_ms, size, moved, unsettled, far: &self.far, thrift };
        let passes = self.attention.plan(&situation);
        self.gathered.clear();
        let score_min = self.detector.score_min();
        for pass in passes.iter().flatten() {
            let found = self.detector.watch(frame, pass)?;
            found.iter().for_each(|face| self.gathered.add(pass, *face, score_min, size));
        }
        match passes {
            [None, None] => return Ok(None),
            [None, Some(_)] => self.gathered.keep(known.iter().filter(|t| t.seen).map(|t| t.face)),
            [Some(_), _] => {}
        }
        let (found, questions) = self.gathered.settle();
        questions.iter().for_each(|place| self.attention.ask(*place));
        self.tracker.set_screens(self.screens.known());
        self.tracker.update(frame.t_ms, found, size);
        let count = found.len();
        self.looked_ms = frame.t_ms;
        self.ask_mesh(frame);
        self.learn(frame);
        Ok(Some(count))
    }

    /// Asks the mesh about one face whose direction matters.
    fn ask_mesh(&mut self, frame: &Frame) {
        let Some(mesh) = &mut self.mesh else { return };
        let known = self.tracker.known(frame.t_ms);
        self.facing.keep(known);
        let Some(tracked) = self.facing.due(frame.t_ms, known, precise(frame.width)) else { return };
        match mesh.look(frame, &tracked.face) {
            Ok(mesh) => self.facing.answered(frame.t_ms, &tracked, mesh.as_ref()),
            Err(error) => {
                tracing::error!(%error, "directions are told from five landmarks from now on");
                self.mesh = None;
            }
        }
    }

    /// Learns what the camera sees behind people, now and then while somebody is recognised.
    fn learn(&mut self, frame: &Frame) {
        let known = self.tracker.known(frame.t_ms);
        let is_due = self.learnt_ms.is_none_or(|at| frame.t_ms.saturating_sub(at) >= LEARN_MS);
        if is_due && known.iter().any(|tracked| tracked.seen && tracked.who == Who::Operator) {
            self.learnt_ms = Some(frame.t_ms);
            note_bodies(&mut self.bodies, known, precise(frame.height));
            self.lens.learn(frame, &self.bodies);
        }
    }

    /// What the newest look and all comparisons so far say.
    fn seen(&mut self, frame: &Frame) -> Seen {
        let size = [precise(frame.width), precise(frame.height)];
        let known = self.tracker.known(self.looked_ms);
        let operator = known.iter().find(|t| t.seen && t.who == Who::Operator).map(|t| t.face);
        self.boxes.clear();
        self.boxes.extend(known.iter().map(|t| t.face.bbox));
        let light = operator.map(|face| patches::measure(frame, &face, &self.boxes));
        // Given away, to the decision and to the record on other threads: not reused.
        let (mut faces, mut marks) = (Vec::with_capacity(known.len()), Vec::with_capacity(known.len()));
        let mut hidden = Vec::new();
        for tracked in known {
            let tracked = set_aside(*tracked, &self.marked, size);
            let Tracked { id: track, who, cosine, seen, sure, still, .. } = tracked;
            let width_share = tracked.width / size[0];
            let yaw_deg = self.facing.yaw_deg(self.looked_ms, &tracked);
            let still = still || self.facing.is_still(&tracked);
            let face = FaceSeen { track, who, width_share, yaw_deg, sure, still };
            faces.extend(seen.then_some(face));
            hidden.extend(tracked.hidden.then_some(track));
            marks.push(Mark { track, area: tracked.face.bbox, who, weight: weight_of(&face), cosine, seen });
        }
        let (phone, phones, liveness) = (self.cues.phone(), self.cues.phones(), self.cues.liveness());
        Seen { faces, camera: CameraView::Clear, hidden, light, marks: Some(marks), phone, phones, liveness }
    }

    /// Cosines of good looks at the operator since the last call, for [`sudare_client_core::face::drift`].
    pub fn take_own_looks(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.own_looks)
    }

    /// Those in use, for the record.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Hands new faces to the worker and takes its results.
    fn identify(&mut self, frame: &Frame) -> Result<(), WorkerGone> {
        if self.only_presence {
            self.tracker.presume(frame.t_ms);
            return Ok(());
        }
        self.note(false)?;
        for (track, face) in self.tracker.due(frame.t_ms) {
            let refused = match align::align(frame, &face.landmarks, &self.embedder_facts.landmarks_px) {
                Some(aligned) => {
                    let quality = quality(&face, &aligned);
                    self.worker.submit(Job { track, t_ms: frame.t_ms, face: aligned, quality })
                }
                None => Some(Look { track, t_ms: frame.t_ms, result: None }),
            };
            if let Some(look) = refused {
                self.tracker.looked(look.track, look.t_ms, look.result, &self.thresholds);
            }
        }
        if self.mode == Mode::Lockstep { self.note(true) } else { Ok(()) }
    }

    fn keep_own(&mut self, look: &Look) {
        let Some((cosine, quality)) = look.result else { return };
        let known = self.tracker.known(self.looked_ms);
        let is_own = known.iter().any(|tracked| tracked.id == look.track && tracked.who == Who::Operator);
        if is_own && quality.grade() == Grade::Good && self.own_looks.len() < OWN_LOOKS_MAX {
            self.own_looks.push(cosine);
        }
    }

    fn note(&mut self, all: bool) -> Result<(), WorkerGone> {
        let looks = if all { self.worker.all()? } else { self.worker.done()? };
        for look in looks {
            self.tracker.looked(look.track, look.t_ms, look.result, &self.thresholds);
            self.keep_own(&look);
        }
        Ok(())
    }
}

/// A face in a region that the operator marked is part of the room, and nobody's.
fn set_aside(tracked: Tracked, marked: &Marked, size: [f32; 2]) -> Tracked {
    if marked.hides(&tracked.face.bbox, size) {
        return Tracked { who: Who::Undecided, still: true, hidden: false, ..tracked };
    }
    tracked
}

/// Where those whom the newest look showed may move.
fn note_bodies(bodies: &mut Vec<Area>, known: &[Tracked], height: f32) {
    bodies.clear();
    bodies.extend(known.iter().filter(|t| t.seen).map(|t| body(&t.face.bbox, height)));
}

/// Where somebody with this face may move without being somebody else: head, shoulders, and what is below them.
fn body([x, y, w, h]: &Area, height: f32) -> Area {
    let top = y - h * 0.7;
    [x - w, top, w * 3.0, height - top]
}

fn quality(face: &Face, aligned: &AlignedFace) -> Quality {
    Quality {
        size_px: face.bbox[2],
        score: face.score,
        yaw_deg: pose::yaw_deg(&face.landmarks),
        sharp: aligned.sharpness(),
        light: aligned.light(),
    }
}

/// Those of a model, which are the normal ones.
#[must_use]
pub fn thresholds(facts: &EmbedderFacts) -> Thresholds {
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
