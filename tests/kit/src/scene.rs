//! A seat composed from photographs: who is in view, where, and what the camera gives.
//!
//! The photographs are cut out around the face (the places are those of the public test
//! photographs that `models/manifest.toml` pins), and put before a drawn room. Every frame has
//! a little noise of its own, as a sensor does; otherwise it would count as frozen.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use image::RgbImage;
use image::imageops::{self, FilterType};

pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 480;
pub const FPS: u64 = 10;
const JPEG_QUALITY: u8 = 85;
/// Width of a face at the seat, in pixels of the frame.
const FACE_WIDTH: u32 = 120;

/// A photograph and where its face is: x, y, width, height.
const OPERATOR: (&str, [u32; 4]) = ("obama2.jpg", [195, 225, 275, 390]);
const STRANGER: (&str, [u32; 4]) = ("biden.jpg", [435, 187, 277, 382]);
/// The operator is enrolled from other photographs than the one in the scene.
pub const ENROL: [&str; 2] = ["obama.jpg", "obama3.jpg"];

/// What the camera shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scene {
    pub operator: bool,
    /// How far the stranger has come in, 0 = out of view to 1 = beside the operator.
    pub stranger: f32,
    pub blocked: bool,
    pub plugged: bool,
}

pub const ALONE: Scene = Scene { operator: true, stranger: 0.0, blocked: false, plugged: true };

/// Draws frames.
pub struct Seat {
    operator: RgbImage,
    stranger: RgbImage,
    room: RgbImage,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat")
    }
}

impl Seat {
    pub fn load(photographs: &Path) -> anyhow::Result<Self> {
        Ok(Seat {
            operator: cut_out(photographs, OPERATOR)?,
            stranger: cut_out(photographs, STRANGER)?,
            room: room(),
        })
    }

    /// The frame number `n` of a scene.
    pub fn frame(&self, scene: &Scene, n: u64) -> RgbImage {
        let mut frame = if scene.blocked { RgbImage::new(WIDTH, HEIGHT) } else { self.room.clone() };
        if !scene.blocked {
            // People never sit quite still.
            let sway = [0, 1, 2, 1, 0, -1][usize::try_from(n % 6).unwrap_or(0)];
            if scene.operator {
                paste(&mut frame, &self.operator, 40 + sway, 20);
            }
            if scene.stranger > 0.0 {
                #[allow(clippy::cast_possible_truncation, reason = "within the frame's width")]
                let x = 640 - (300.0 * scene.stranger.min(1.0)) as i64;
                paste(&mut frame, &self.stranger, x - sway, 10);
            }
        }
        add_noise(&mut frame, n);
        frame
    }
}

/// Encodes a frame as a camera would.
pub fn jpeg(frame: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    jpeg_encoder::Encoder::new(&mut out, JPEG_QUALITY).encode(
        frame.as_raw(),
        side(frame.width()),
        side(frame.height()),
        jpeg_encoder::ColorType::Rgb,
    )?;
    Ok(out)
}

/// The camera of the demo: plays the present scene into a FIFO, 10 frames a second.
#[derive(Debug, Clone)]
pub struct Camera {
    scene: Arc<Mutex<Scene>>,
}

impl Camera {
    /// Makes the FIFO and starts to play; a client may come and go.
    pub fn start(seat: Seat, fifo: &Path) -> anyhow::Result<Self> {
        make_fifo(fifo)?;
        let scene = Arc::new(Mutex::new(ALONE));
        let (shared, fifo) = (scene.clone(), fifo.to_owned());
        std::thread::Builder::new().name("scene".into()).spawn(move || {
            loop {
                if !read(&shared).plugged {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                // Opening waits for a reader; writing to one that went away ends this round.
                if let Err(error) = play(&seat, &shared, &fifo) {
                    tracing::debug!("the scene's reader went away: {error:#}");
                }
            }
        })?;
        Ok(Camera { scene })
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
}

fn read(scene: &Mutex<Scene>) -> Scene {
    *scene.lock().unwrap_or_else(PoisonError::into_inner)
}

fn play(seat: &Seat, scene: &Mutex<Scene>, fifo: &Path) -> anyhow::Result<()> {
    let mut out = std::fs::OpenOptions::new().write(true).open(fifo)?;
    let mut due = Instant::now();
    for n in 0.. {
        let now = read(scene);
        if !now.plugged {
            return Ok(());
        }
        out.write_all(&jpeg(&seat.frame(&now, n))?)?;
        due += Duration::from_millis(1000 / FPS);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn make_fifo(path: &Path) -> anyhow::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .with_context(|| format!("cannot make the FIFO {}", path.display()))
}

/// Head and shoulders of a photograph, scaled so that the face has `FACE_WIDTH`.
fn cut_out(folder: &Path, (name, [x, y, w, h]): (&str, [u32; 4])) -> anyhow::Result<RgbImage> {
    let path = folder.join(name);
    let photograph = image::open(&path)
        .with_context(|| {
            format!("{}: cannot be read. `cargo xtask setup` fetches the photographs", path.display())
        })?
        .to_rgb8();
    let left = x.saturating_sub(w * 7 / 10);
    let top = y.saturating_sub(h * 5 / 10);
    let width = (w * 24 / 10).min(photograph.width() - left);
    let height = (h * 25 / 10).min(photograph.height() - top);
    let part = imageops::crop_imm(&photograph, left, top, width, height).to_image();
    let scaled = |side: u32| side * FACE_WIDTH / w;
    Ok(imageops::resize(&part, scaled(width), scaled(height), FilterType::Triangle))
}

/// A wall, a window and a shelf, so that the picture is neither dark nor flat.
fn room() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let wall = 150 + u8::try_from(y * 50 / HEIGHT).unwrap_or(0);
        let window = (440..600).contains(&x) && (60..260).contains(&y);
        let shelf = (20..200).contains(&x) && (380..392).contains(&y);
        match (window, shelf) {
            (true, _) => image::Rgb([170, 200, 225]),
            (_, true) => image::Rgb([110, 80, 60]),
            _ => image::Rgb([wall, wall, wall - 15]),
        }
    })
}

/// Pastes with soft edges; what lies outside the frame is left out.
fn paste(frame: &mut RgbImage, picture: &RgbImage, left: i64, top: i64) {
    const SOFT: u32 = 24;
    let (w, h) = picture.dimensions();
    for (px, py, pixel) in picture.enumerate_pixels() {
        let (Ok(x), Ok(y)) = (u32::try_from(left + i64::from(px)), u32::try_from(top + i64::from(py))) else {
            continue;
        };
        if x >= frame.width() || y >= frame.height() {
            continue;
        }
        let edge = px.min(w - 1 - px).min(py).min(h - 1 - py).min(SOFT);
        let under = *frame.get_pixel(x, y);
        let mix = |over: u8, under: u8| {
            u8::try_from((u32::from(over) * edge + u32::from(under) * (SOFT - edge)) / SOFT).unwrap_or(over)
        };
        frame.put_pixel(x, y, image::Rgb([0, 1, 2].map(|c: usize| mix(pixel.0[c], under.0[c]))));
    }
}

/// Sensor noise: a few levels, different in each frame, the same in each run.
fn add_noise(frame: &mut RgbImage, n: u64) {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for value in frame.iter_mut() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *value = value.saturating_add(u8::try_from(state & 3).unwrap_or(0));
    }
}
