//! Our own use of the camera: a preview, or an enrolment. One thread, which has the camera open as long as it lives.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sudare_client_core::evidence::Picture;
use sudare_client_core::face::marked::Marked;
use sudare_client_core::face::rotate::Known;
use sudare_client_core::frame::Frame;
use sudare_client_runtime::operator::{self, OperatorError};
use sudare_client_runtime::random::random;
use sudare_client_runtime::{clock, drift};
use sudare_protocol::eyes::Recognition;
use sudare_vision::camera::{self, CameraFault, FrameSource, SourceOptions, SourceSpec};
use sudare_vision::engine::Engine;
use sudare_vision::enroll::{self, Clip, LOOKS_MIN, Progress, Request};
use sudare_vision::{Mode, Vision};

use crate::model::{Event, Progressed, Taken, Use};
use crate::post::Post;
use crate::said::Said;
use crate::shown::{Shown, operator_file};

/// A second thread may wait so long for the first to release the camera.
const HAND_OVER: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(20);

/// Opens and closes it.
pub(crate) struct Camera {
    home: PathBuf,
    post: Post,
    running: Option<Running>,
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Camera {
    pub(crate) fn new(home: PathBuf, post: Post) -> Self {
        Camera { home, post, running: None }
    }

    /// Opens it for this use, in place of any other.
    pub(crate) fn open(&mut self, of: Use, source: &str) {
        self.close();
        let before = self.running.take();
        let stop = Arc::new(AtomicBool::new(false));
        let (home, post, source) = (self.home.clone(), self.post.clone(), source.to_owned());
        let work = Work { home, post: post.clone(), stop: Arc::clone(&stop), of: of.clone() };
        let body = move || {
            wait_for(before);
            let ended = work.run(&source);
            if work.of == Use::Enrol {
                if let Err(error) = ended {
                    work.post.send(Event::Enrolled(Err(Said::error(&error))));
                }
                work.post.send(Event::CameraOver(Use::Enrol, None));
            } else {
                let why = ended.err().filter(|_| !work.is_stopped()).map(|error| Said::error(&error));
                work.post.send(Event::CameraOver(work.of.clone(), why));
            }
        };
        match thread::Builder::new().name("camera".into()).spawn(body) {
            Ok(thread) => self.running = Some(Running { stop, thread }),
            Err(error) => {
                post.send(Event::CameraOver(of, Some(Said::english(error.to_string()))));
            }
        }
    }

    /// It is released within one picture.
    pub(crate) fn close(&self) {
        if let Some(running) = &self.running {
            running.stop.store(true, Ordering::Release);
        }
    }
}

fn wait_for(before: Option<Running>) {
    let Some(before) = before else { return };
    for _ in 0..HAND_OVER.as_millis() / STEP.as_millis() {
        if before.thread.is_finished() {
            return;
        }
        thread::sleep(STEP);
    }
}

/// What a thread works with.
struct Work {
    home: PathBuf,
    post: Post,
    stop: Arc<AtomicBool>,
    of: Use,
}

impl Work {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn run(&self, source: &str) -> anyhow::Result<()> {
        let spec: SourceSpec = source.parse()?;
        let source = camera::open(&spec, SourceOptions::default(), clock::boottime_ms)?;
        let started_ms = (!spec.is_live()).then(clock::boottime_ms);
        let mut tap = Tap { source, started_ms, work: self };
        if self.of == Use::Enrol { self.enrol(&mut tap) } else { self.preview(&mut tap, &spec) }
    }

    /// The first picture is shown before the models are loaded.
    fn preview(&self, tap: &mut Tap<'_>, spec: &SourceSpec) -> anyhow::Result<()> {
        self.show(Shown::of_frame(&tap.first()?));
        let engine = Engine::from_cache()?;
        let known = self.known(*engine.embedder_sha256.as_bytes())?;
        let mut vision = Vision::new(engine, known, Recognition::Normal, Mode::Live)?;
        let kind = spec.kind();
        while !self.is_stopped() {
            let frame = match tap.next_frame() {
                Ok(frame) => frame,
                Err(fault) if fault.is_final() => return Err(fault.into()),
                Err(_) => continue,
            };
            let seen = vision.process(&frame);
            let (frame, thresholds) = (Arc::new(frame), vision.thresholds());
            let (marks, phones) = (seen.marks, seen.phones);
            let picture = Picture { frame, marks, phones, camera: Some(kind), thresholds };
            self.show(Shown::of_picture(&picture));
        }
        Ok(())
    }

    fn show(&self, shown: Option<Shown>) {
        if let Some(shown) = shown {
            self.post.picture(self.of.clone(), shown);
        }
    }

    /// The operator that this window enrolled, if there is one of this device and model. Otherwise nobody is known.
    fn known(&self, model: [u8; 32]) -> Result<Known, OperatorError> {
        let rotation = || operator::device_rotation(&self.home);
        let file = operator_file(&self.home);
        if file.exists()
            && let Ok(known) = operator::load(&[file], rotation()?, model)
        {
            return Ok(known);
        }
        let (vectors, marked) = (Vec::new(), Marked::of(std::iter::empty()));
        Ok(Known { rotation: rotation()?, vectors, marked, self_cosine: None })
    }

    fn enrol(&self, tap: &mut Tap<'_>) -> anyhow::Result<()> {
        self.show(Shown::of_frame(&tap.first()?));
        let mut engine = Engine::from_cache()?;
        let rotation = operator::device_rotation(&self.home)?;
        let operator_id = random().map_err(|_| OperatorError::NoRandomness)?;
        let request = Request { rotation: &rotation, operator_id, regions: Vec::new() };
        let mut tell = |progress: &Progress| {
            let Progress { step, good, fault } = *progress;
            self.post.send(Event::Enrolling(Progressed { step, good, fault }));
        };
        let how = Clip { guided: true, mark_still: false };
        let taken = enroll::clip(&mut engine, tap, how, request, &mut tell)?;
        if self.is_stopped() {
            return Ok(());
        }
        let (template, separation) = (&taken.enrolled.template, &taken.enrolled.separation);
        let path = operator_file(&self.home);
        operator::write_private(&path, &template.to_bytes()?)?;
        // What sessions with the template before have left says nothing about this one.
        drift::forget(&self.home);
        self.post.send(Event::Enrolled(Ok(Taken {
            looks: template.vectors.len(),
            pictures: taken.pictures,
            is_few: template.vectors.len() < LOOKS_MIN,
            is_poor: separation.is_poor(),
            margin: separation.margin,
            path: display(&path),
        })));
        Ok(())
    }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// The source, whose pictures an enrolment also shows, and which ends when the window says so.
struct Tap<'a> {
    source: Box<dyn FrameSource>,
    /// A film plays at its own speed.
    started_ms: Option<u64>,
    work: &'a Work,
}

impl Tap<'_> {
    /// A camera may take its time for the first one.
    fn first(&mut self) -> Result<Frame, CameraFault> {
        loop {
            match self.next_frame() {
                Err(fault @ CameraFault::Stalled { .. }) if self.work.is_stopped() => return Err(fault),
                Err(CameraFault::Stalled { .. }) => {}
                result => return result,
            }
        }
    }
}

impl FrameSource for Tap<'_> {
    fn describe(&self) -> String {
        self.source.describe()
    }

    fn next_frame(&mut self) -> Result<Frame, CameraFault> {
        if self.work.is_stopped() {
            return Err(CameraFault::Ended { what: self.source.describe() });
        }
        let frame = self.source.next_frame()?;
        if let Some(started_ms) = self.started_ms {
            let due_ms = started_ms.saturating_add(frame.t_ms);
            thread::sleep(Duration::from_millis(due_ms.saturating_sub(clock::boottime_ms()).min(1_000)));
        }
        if self.work.of == Use::Enrol {
            self.work.show(Shown::of_frame(&frame));
        }
        Ok(frame)
    }
}
