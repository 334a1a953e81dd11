//! The screen observer: a client of its own that reads the whole screen as fast as it can and counts the
//! frames in which anything but the cover is seen.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use rustix::fs::{MemfdFlags, memfd_create};
use sudare_blanker::wire::Rect;
use x11rb::connection::Connection as _;
use x11rb::cookie::Cookie;
use x11rb::protocol::shm::{ConnectionExt as _, GetImageReply, Seg};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, Window};
use x11rb::rust_connection::RustConnection;

use super::display::Access;

/// The largest screen that is read: 4K. The memory is taken only as far as it is used.
const SCREEN_MAX_BYTES: u64 = 4096 * 2160 * 4;
/// Half a megabyte at 1920 columns.
const ROWS_AT_ONCE: u16 = 64;

/// What the screen observer saw.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    pub samples: u64,
    pub leaked_frames: u64,
    pub sample_gap_ms_max: f64,
    pub seconds: f64,
}

/// Reads the screen of a display.
#[derive(Debug)]
pub struct Screen {
    x: RustConnection,
    root: Window,
    segment: Seg,
    memory: File,
    pub width: u16,
    pub height: u16,
    pixels: Vec<u8>,
}

impl Screen {
    pub fn open(access: &Access) -> anyhow::Result<Self> {
        let x = access.connect()?;
        let root = x.setup().roots[0].root;
        let size = x.get_geometry(root)?.reply()?;
        let memory = File::from(memfd_create("screen", MemfdFlags::CLOEXEC)?);
        memory.set_len(SCREEN_MAX_BYTES)?;
        let segment = x.generate_id()?;
        x.shm_attach_fd(segment, memory.try_clone()?, false)?.check()?;
        Ok(Self { x, root, segment, memory, width: size.width, height: size.height, pixels: Vec::new() })
    }

    /// The whole screen, BGRX, top row first. A screen that changes its size is followed.
    pub fn read(&mut self) -> anyhow::Result<&[u8]> {
        for _ in 0..100 {
            let bytes = usize::from(self.width) * usize::from(self.height) * 4;
            ensure!(bytes as u64 <= SCREEN_MAX_BYTES, "the screen is larger than 4K");
            let image = self.image(0, 0, self.width, self.height)?;
            if image {
                self.pixels.resize(bytes, 0);
                self.memory.read_exact_at(&mut self.pixels, 0)?;
                return Ok(&self.pixels);
            }
            let size = self.x.get_geometry(self.root)?.reply()?;
            (self.width, self.height) = (size.width, size.height);
        }
        Err(anyhow!("the screen changes its size too often to be read"))
    }

    /// One pixel as 0xRRGGBB.
    pub fn pixel(&mut self, x: u16, y: u16) -> anyhow::Result<u32> {
        ensure!(self.image(x, y, 1, 1)?, "{x},{y} is not on the screen");
        let mut pixel = [0; 4];
        self.memory.read_exact_at(&mut pixel, 0)?;
        Ok(u32::from_le_bytes(pixel) & 0xff_ff_ff)
    }

    /// Whether all these pixels are black, in one round trip: who measures must not be what is slow.
    pub fn are_black(&self, points: impl IntoIterator<Item = (u16, u16)>) -> anyhow::Result<bool> {
        let mut arriving = Vec::new();
        for (x, y) in points {
            let (x, y) = (i16::try_from(x)?, i16::try_from(y)?);
            arriving.push(self.x.get_image(ImageFormat::Z_PIXMAP, self.root, x, y, 1, 1, !0)?);
        }
        let mut black = true;
        for image in arriving {
            black &= image.reply()?.data.iter().take(3).all(|part| *part == 0);
        }
        Ok(black)
    }

    /// Whether the screen is black outside `panel`.
    pub fn is_covered(&mut self, panel: Rect) -> anyhow::Result<bool> {
        self.read()?;
        Ok(strangers(&self.pixels, self.width, 0, panel) == 0)
    }

    /// Pixels outside `panel` that are not black.
    pub fn strangers(&mut self, panel: Rect) -> anyhow::Result<usize> {
        self.read()?;
        Ok(strangers(&self.pixels, self.width, 0, panel))
    }

    /// Looks at the picture that arrived last, a few rows at a time: they stay in the processor's cache,
    /// while the server writes the next picture to memory.
    fn shows_cover(&mut self, panel: Rect) -> anyhow::Result<bool> {
        let row_bytes = usize::from(self.width) * 4;
        let mut first = 0;
        while first < self.height {
            let rows = ROWS_AT_ONCE.min(self.height - first);
            self.pixels.resize(usize::from(rows) * row_bytes, 0);
            self.memory.read_exact_at(&mut self.pixels, u64::from(first) * row_bytes as u64)?;
            if strangers(&self.pixels, self.width, first, panel) > 0 {
                return Ok(false);
            }
            first += rows;
        }
        Ok(true)
    }

    fn image(&self, x: u16, y: u16, width: u16, height: u16) -> anyhow::Result<bool> {
        arrived(self.ask_for(x, y, width, height)?)
    }

    /// Has the server write a picture, without waiting for it.
    fn ask(&self) -> anyhow::Result<Arriving<'_>> {
        let arriving = self.ask_for(0, 0, self.width, self.height)?;
        self.x.flush()?;
        Ok(arriving)
    }

    fn ask_for(&self, x: u16, y: u16, width: u16, height: u16) -> anyhow::Result<Arriving<'_>> {
        let (format, planes) = (ImageFormat::Z_PIXMAP.into(), !0);
        let (x, y) = (i16::try_from(x)?, i16::try_from(y)?);
        Ok(self.x.shm_get_image(self.root, x, y, width, height, planes, format, self.segment, 0)?)
    }
}

/// A picture that the server writes.
type Arriving<'a> = Cookie<'a, RustConnection, GetImageReply>;

/// Waits for it; it is refused when the screen became smaller meanwhile.
fn arrived(arriving: Arriving<'_>) -> anyhow::Result<bool> {
    match arriving.reply() {
        Ok(_) => Ok(true),
        Err(x11rb::errors::ReplyError::X11Error(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Watches a display until it is told to stop.
#[derive(Debug)]
pub struct ScreenObserver {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Seen>>,
}

impl ScreenObserver {
    /// Everything outside `panel` must be black from now on.
    pub fn start(access: &Access, panel: Rect) -> anyhow::Result<Self> {
        let mut screens = [Screen::open(access)?, Screen::open(access)?];
        for screen in &mut screens {
            screen.read()?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || watch(screens, panel, &stopped));
        Ok(Self { stop, thread })
    }

    /// What was seen until now.
    pub fn finish(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the screen observer panicked"))?
    }
}

/// While one picture is looked at, the server writes the next.
fn watch(screens: [Screen; 2], panel: Rect, stopped: &AtomicBool) -> anyhow::Result<Seen> {
    let [mut now, mut next] = screens;
    let mut seen = Seen::default();
    let start = Instant::now();
    let (mut last, mut gap) = (start, Duration::ZERO);
    while !stopped.load(Ordering::Relaxed) {
        let arriving = next.ask()?;
        seen.samples += 1;
        seen.leaked_frames += u64::from(!now.shows_cover(panel)?);
        let is_whole = arrived(arriving)?;
        if !is_whole {
            next.read()?;
        }
        let at = Instant::now();
        gap = gap.max(at - last);
        last = at;
        std::mem::swap(&mut now, &mut next);
    }
    seen.sample_gap_ms_max = gap.as_secs_f64() * 1e3;
    seen.seconds = start.elapsed().as_secs_f64();
    Ok(seen)
}

/// Counts the pixels outside `panel` that are not black, in rows of a screen from its row `first` on.
fn strangers(pixels: &[u8], width: u16, first: u16, panel: Rect) -> usize {
    let row_bytes = usize::from(width) * 4;
    let (left, right) = (usize::from(panel.x) * 4, usize::from(panel.x + panel.width) * 4);
    let panel_rows = usize::from(panel.y)..usize::from(panel.y + panel.height);
    let mut count = 0;
    for (y, row) in (usize::from(first)..).zip(pixels.chunks_exact(row_bytes)) {
        if panel_rows.contains(&y) {
            count += lit(&row[..left.min(row_bytes)]) + lit(&row[right.min(row_bytes)..]);
        } else {
            count += lit(row);
        }
    }
    count
}

fn lit(part: &[u8]) -> usize {
    // A comparison of memory is a hundred times faster than a look at each pixel.
    const BLACK: [u8; 4096 * 4] = [0; 4096 * 4];
    if BLACK.get(..part.len()).is_some_and(|black| black == part) {
        return 0;
    }
    part.chunks_exact(4).filter(|pixel| pixel[..3] != [0, 0, 0]).count()
}
