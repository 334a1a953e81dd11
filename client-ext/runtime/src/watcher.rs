//! The thread that looks at the seat while a session is live.
//!
//! ```text
//!  start ─► thread: models, camera ─► look, look, … ─► LookSender
//!  pause ─►   "     camera released, models kept
//!  stop  ─►   "     ends: camera released, operators wiped
//! ```
//! A camera that cannot be opened (in use, unplugged) is tried again and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use sudare_client_core::evidence::Picture;
use sudare_client_core::presence::{CameraView, Observation};
use sudare_protocol::eyes::Recognition;
use sudare_protocol::message::CameraKind;
use sudare_protocol::template::OperatorTemplate;
use sudare_vision::camera::{self, CameraFault, FrameSource, SourceOptions, SourceSpec};
use sudare_vision::engine::Engine;
use sudare_vision::finder::Finder;
use sudare_vision::watch::view_of;
use sudare_vision::{Mode, Vision};

use crate::battery::{Battery, Sparing};
use crate::drift::DriftWatch;
use crate::inbox::LookSender;
use crate::{clock, operator};

/// The pause between two attempts to open a camera.
const RETRY: Duration = Duration::from_millis(500);
/// How often a paused watch checks whether it should continue.
const PAUSED_STEP: Duration = Duration::from_millis(50);
/// How long a new watch waits for the previous one to release the camera. A driver that hangs may hold it longer;
/// then the new watch finds it in use, and says so.
const HAND_OVER: Duration = Duration::from_secs(3);

/// One look at the seat, and the picture it was made from.
#[derive(Debug)]
pub struct Look {
    pub observation: Observation,
    pub frame: Option<Picture>,
}

/// Anything that can look at the seat. The benchmark has one without a camera.
pub trait Watcher: Send {
    /// Starts looking for these operators, as surely as the policy asks, instead of those before. Must not wait.
    ///
    /// # Errors
    /// It cannot start.
    fn start(
        &mut self,
        operators: Vec<OperatorTemplate>,
        recognition: Recognition,
        looks: LookSender,
    ) -> anyhow::Result<()>;

    /// Turns the camera off for a while, or on again.
    fn pause(&mut self, on: bool);

    /// Turns the camera off and forgets the operators. Must not wait.
    fn stop(&mut self);

    /// Finds faces in single pictures again, more carefully than while watching. Without it, the faces seen while
    /// watching must do.
    fn finder(&self) -> Option<Finder> {
        None
    }
}

/// A camera (or a film shown as one) and the face models.
pub struct CameraWatcher {
    spec: SourceSpec,
    /// Folder of the device's seed.
    home: PathBuf,
    sparing: Sparing,
    /// Opened in advance by a program that wants errors at once.
    source: Option<Box<dyn FrameSource>>,
    engine: Option<Engine>,
    running: Option<Running>,
}

struct Running {
    wish: Arc<AtomicU8>,
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for CameraWatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CameraWatcher({:?})", self.spec)
    }
}

const LOOK: u8 = 0;
const PAUSE: u8 = 1;
const STOP: u8 = 2;

impl CameraWatcher {
    pub fn new(spec: SourceSpec, home: PathBuf) -> Self {
        let sparing = Sparing::default();
        CameraWatcher { spec, home, sparing, source: None, engine: None, running: None }
    }

    /// Uses this source for the first watch.
    #[must_use]
    pub fn with_source(mut self, source: Box<dyn FrameSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// Spares the battery in this way, and not only while the PC runs on it.
    #[must_use]
    pub fn with_sparing(mut self, sparing: Sparing) -> Self {
        self.sparing = sparing;
        self
    }

    /// Uses these models for the first watch.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    fn wish(&self, wish: u8) {
        if let Some(running) = &self.running {
            running.wish.store(wish, Ordering::Release);
        }
    }
}

impl Watcher for CameraWatcher {
    fn start(
        &mut self,
        operators: Vec<OperatorTemplate>,
        recognition: Recognition,
        looks: LookSender,
    ) -> anyhow::Result<()> {
        self.stop();
        let wish = Arc::new(AtomicU8::new(LOOK));
        let before = self.running.take().map(|running| running.thread);
        let (source, engine) = (self.source.take(), self.engine.take());
        let (spec, home, sparing) = (self.spec.clone(), self.home.clone(), self.sparing);
        let watch = Watch { spec, home, sparing, recognition, wish: Arc::clone(&wish), looks };
        let body = move || {
            wait_for(before);
            if let Err(error) = watch.run(source, engine, operators) {
                // No picture will come: tell the host the truth, and the operator the reason.
                watch.looks.trouble(format!("{error:#}"));
                watch.looks.send(nothing(CameraView::Lost));
            }
        };
        let thread = thread::Builder::new().name("camera".into()).spawn(body)?;
        self.running = Some(Running { wish, thread });
        Ok(())
    }

    fn pause(&mut self, on: bool) {
        self.wish(if on { PAUSE } else { LOOK });
    }

    fn stop(&mut self) {
        self.wish(STOP);
    }

    fn finder(&self) -> Option<Finder> {
        Some(Finder::from_cache())
    }
}

impl Drop for CameraWatcher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wait_for(before: Option<JoinHandle<()>>) {
    let Some(before) = before else { return };
    let steps = HAND_OVER.as_millis() / PAUSED_STEP.as_millis();
    for _ in 0..steps {
        if before.is_finished() {
            return;
        }
        thread::sleep(PAUSED_STEP);
    }
}

/// One watch, on its own thread.
struct Watch {
    spec: SourceSpec,
    home: PathBuf,
    /// Of the policy of the host that is live.
    recognition: Recognition,
    sparing: Sparing,
    wish: Arc<AtomicU8>,
    looks: LookSender,
}

impl Watch {
    fn run(
        &self,
        mut source: Option<Box<dyn FrameSource>>,
        engine: Option<Engine>,
        operators: Vec<OperatorTemplate>,
    ) -> anyhow::Result<()> {
        let engine = engine.map_or_else(Engine::from_cache, Ok)?;
        let rotation = operator::device_rotation(&self.home)?;
        let known = operator::from_templates(operators, rotation, *engine.embedder_sha256.as_bytes())
            .context("no operator can be recognised")?;
        let mut drift = DriftWatch::new(&self.home, known.self_cosine);
        let mut vision = Vision::new(engine, known, self.recognition, Mode::Live)?;
        let mut battery = Battery::new(self.sparing);
        let kind = self.spec.kind();
        let paces_itself = self.spec.is_live();
        let mut opened_ms = clock::boottime_ms();
        loop {
            let wanted = match self.wish.load(Ordering::Acquire) {
                STOP => return Ok(()),
                PAUSE => {
                    source = None;
                    thread::sleep(PAUSED_STEP);
                    continue;
                }
                _ => match &mut source {
                    Some(source) => {
                        vision.set_thrift(battery.is_spared(clock::boottime_ms()));
                        look(source.as_mut(), kind, (!paces_itself).then_some(opened_ms), &mut vision)
                    }
                    None => {
                        opened_ms = clock::boottime_ms();
                        match camera::open(&self.spec, SourceOptions::default(), clock::boottime_ms) {
                            Ok(opened) => {
                                source = Some(opened);
                                continue;
                            }
                            Err(fault) => no_picture(&fault, true),
                        }
                    }
                },
            };
            // If a pause or stop was requested during the look, its picture is dropped.
            if self.wish.load(Ordering::Acquire) == LOOK && !self.looks.send(wanted) {
                return Ok(());
            }
            if drift.take(&mut vision) && !self.looks.enrol_again() {
                return Ok(());
            }
        }
    }
}

/// One look. A film (`started_ms` is given) plays at its own speed. A fault is reported, and the source is tried
/// again.
fn look(
    source: &mut dyn FrameSource,
    kind: CameraKind,
    started_ms: Option<u64>,
    vision: &mut Vision,
) -> Look {
    match source.next_frame() {
        Ok(mut frame) => {
            if let Some(started_ms) = started_ms {
                frame.t_ms += started_ms;
                thread::sleep(Duration::from_millis(frame.t_ms.saturating_sub(clock::boottime_ms())));
            }
            let seen = vision.process(&frame);
            let observation = seen.observed(frame.t_ms);
            let (frame, thresholds) = (Arc::new(frame), vision.thresholds());
            let (marks, phones) = (seen.marks, seen.phones);
            let picture = Picture { frame, marks, phones, camera: Some(kind), thresholds };
            Look { observation, frame: Some(picture) }
        }
        // A film that ended gives nothing more: repeat the fault, slowly.
        Err(fault) => no_picture(&fault, fault.is_final()),
    }
}

fn no_picture(fault: &CameraFault, wait: bool) -> Look {
    tracing::warn!(%fault, "no picture");
    if wait {
        thread::sleep(RETRY);
    }
    nothing(view_of(fault))
}

fn nothing(camera: CameraView) -> Look {
    Look { observation: Observation::new(clock::boottime_ms(), camera, Vec::new()), frame: None }
}
