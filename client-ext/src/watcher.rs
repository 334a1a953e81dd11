//! The thread that looks at the seat while a session is live.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sudare_protocol::template::OperatorTemplate;
use tokio::sync::mpsc;

use crate::camera::live::boottime_ms;
use crate::camera::{Frame, FrameSource};
use crate::operator;
use crate::presence::Observation;
use crate::vision::engine::Engine;
use crate::vision::rotate::Rotation;
use crate::vision::{Mode, Vision};
use crate::watch::view_of;

/// Looks that wait for a slow consumer; more make the camera thread wait.
const LOOKS_MAX: usize = 4;

/// One look at the seat, and the picture it was made from.
#[derive(Debug)]
pub struct Look {
    pub observation: Observation,
    pub frame: Option<Arc<Frame>>,
}

/// Whatever can look at the seat. The benchmark has one without a camera.
pub trait Watcher: Send {
    /// Starts looking for these operators; called when the session is live.
    fn start(&mut self, operators: Vec<OperatorTemplate>) -> anyhow::Result<mpsc::Receiver<Look>>;
}

/// A camera (or a film shown as one) and the face models.
pub struct CameraWatcher {
    parts: Option<Parts>,
}

struct Parts {
    source: Box<dyn FrameSource>,
    /// Whether the source has its own pace; a film is shown at its own speed.
    live: bool,
    engine: Engine,
    rotation: Rotation,
}

impl std::fmt::Debug for CameraWatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CameraWatcher")
    }
}

impl CameraWatcher {
    pub fn new(source: Box<dyn FrameSource>, live: bool, engine: Engine, rotation: Rotation) -> Self {
        CameraWatcher { parts: Some(Parts { source, live, engine, rotation }) }
    }
}

impl Watcher for CameraWatcher {
    fn start(&mut self, operators: Vec<OperatorTemplate>) -> anyhow::Result<mpsc::Receiver<Look>> {
        let parts = self.parts.take().ok_or_else(|| anyhow::anyhow!("this camera is watched already"))?;
        let known = operator::from_templates(operators, parts.rotation, parts.engine.embedder_sha256)?;
        let vision = Vision::new(parts.engine, known, Mode::Live)?;
        let (looks, receiver) = mpsc::channel(LOOKS_MAX);
        let (source, live) = (parts.source, parts.live);
        thread::Builder::new().name("camera".into()).spawn(move || look(source, live, vision, &looks))?;
        Ok(receiver)
    }
}

/// Looks until nobody listens. A fault is told as a lost camera, and the source is asked again.
fn look(mut source: Box<dyn FrameSource>, live: bool, mut vision: Vision, looks: &mpsc::Sender<Look>) {
    let started_ms = boottime_ms();
    loop {
        let look = match source.next_frame() {
            Ok(mut frame) => {
                if !live {
                    frame.t_ms += started_ms;
                    thread::sleep(Duration::from_millis(frame.t_ms.saturating_sub(boottime_ms())));
                }
                let seen = vision.process(&frame);
                let observation = Observation { t_ms: frame.t_ms, camera: seen.camera, faces: seen.faces };
                Look { observation, frame: Some(Arc::new(frame)) }
            }
            Err(fault) => {
                tracing::warn!(%fault, "no picture");
                if fault.is_final() {
                    // Nothing more will come: the same answer at the pace of attestations.
                    thread::sleep(Duration::from_millis(500));
                }
                let observation =
                    Observation { t_ms: boottime_ms(), camera: view_of(&fault), faces: Vec::new() };
                Look { observation, frame: None }
            }
        };
        if looks.blocking_send(look).is_err() {
            return;
        }
    }
}
