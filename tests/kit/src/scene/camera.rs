//! The camera of the demo: plays the present scene into a FIFO, 10 pictures a second.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{ALONE, FPS, Glow, Scene, Seat, jpeg};

/// What a white screen adds to the room's light on the face: a laptop of 14 inches at half a metre, under a lamp.
const SCREEN_ADDS: f32 = 0.36;

/// Plays until the program ends.
#[derive(Debug, Clone)]
pub struct Camera {
    scene: Arc<Mutex<Scene>>,
    glow: Glow,
}

impl Camera {
    /// Makes the FIFO and starts to play; a client may come and go.
    pub fn start(seat: Seat, fifo: &Path) -> anyhow::Result<Self> {
        make_fifo(fifo)?;
        let camera = Camera { scene: Arc::new(Mutex::new(ALONE)), glow: Glow::default() };
        let (shared, fifo) = (camera.clone(), fifo.to_owned());
        std::thread::Builder::new().name("scene".into()).spawn(move || {
            loop {
                if !shared.scene().plugged {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                // Opening waits for a reader; writing to one that went away ends this round.
                if let Err(error) = shared.play(&seat, &fifo) {
                    tracing::debug!("the scene's reader went away: {error:#}");
                }
            }
        })?;
        Ok(camera)
    }

    /// The light of the window before which the people of the scene sit. It is dark until somebody tells of one.
    pub fn glow(&self) -> Glow {
        self.glow.clone()
    }

    pub fn show(&self, scene: Scene) {
        *self.scene.lock().unwrap_or_else(PoisonError::into_inner) = scene;
    }

    /// The stranger walks in within `time`.
    pub fn walk_in(&self, time: Duration) {
        let started = Instant::now();
        while started.elapsed() < time {
            let stranger = started.elapsed().as_secs_f32() / time.as_secs_f32();
            self.show(Scene { stranger, ..ALONE });
            std::thread::sleep(Duration::from_millis(50));
        }
        self.show(Scene { stranger: 1.0, ..ALONE });
    }

    fn scene(&self) -> Scene {
        *self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play(&self, seat: &Seat, fifo: &Path) -> anyhow::Result<()> {
        let mut out = std::fs::OpenOptions::new().write(true).open(fifo)?;
        let mut exposure = seat.exposure();
        let mut due = Instant::now();
        for n in 0.. {
            let now = self.scene();
            if !now.plugged {
                return Ok(());
            }
            let light = self.glow.gathered(Instant::now()).map(|colour| colour * SCREEN_ADDS);
            out.write_all(&jpeg(&seat.lit(&now, n, light, &mut exposure))?)?;
            // Pictures that nobody took in time are not made up for: each shows the light of its own moment.
            due = (due + Duration::from_millis(1000 / FPS)).max(Instant::now());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

fn make_fifo(path: &Path) -> anyhow::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .with_context(|| format!("cannot make the FIFO {}", path.display()))
}
