//! Looks at everything that a client shows: all pixels of its screen, and its pointer, which is a picture as well.
//!
//! It begins before the cover. From the first picture on that is black outside the cover's words, any pixel that is not
//! black is a leak, whoever drew it; and so is any pointer.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use sudare_blanker::wire::Rect;
use sudare_protocol::screen::panel;
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use crate::blanking::display::Access;
use crate::blanking::sampler::Screen;

/// What was seen from the first black picture on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub samples: u64,
    pub samples_per_second: f64,
    pub sample_gap_ms_max: f64,
    pub leaked_frames: u64,
    pub pointers_seen: u64,
    /// When the first black picture had been read, by the clock of the plugin's log.
    pub black_boot_ms: Option<f64>,
    /// Before it: pictures that showed something, and pointers.
    pub lit_before: u64,
    pub pointers_before: u64,
}

/// A thread that looks until it is told to stop.
#[derive(Debug)]
pub struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Observed>>,
}

impl Observer {
    /// Looks at a display that asks for no key.
    pub fn start(display: &str) -> anyhow::Result<Self> {
        let number = display.trim_start_matches(':').parse().context("a display without a number")?;
        let access = Access { number, xauthority: PathBuf::from("/dev/null"), cookie: Vec::new() };
        let mut screen = Screen::open(&access)?;
        let x = access.connect()?;
        x.xfixes_query_version(5, 0)?.reply()?;
        let words = words(screen.width, screen.height);
        screen.read()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("observer".into()).spawn(move || {
            let mut looks = Looks { screen, x, words, observed: Observed::default() };
            looks.until(&stopped)?;
            Ok(looks.observed)
        })?;
        Ok(Observer { stop, thread })
    }

    /// What was seen until now.
    pub fn finish(self) -> anyhow::Result<Observed> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the observer panicked"))?
    }
}

/// Where the words of a cover are.
pub fn words(width: u16, height: u16) -> Rect {
    let [left, top, right, bottom] = panel(width, height);
    Rect { x: left, y: top, width: right - left, height: bottom - top }
}

struct Looks {
    screen: Screen,
    x: RustConnection,
    words: Rect,
    observed: Observed,
}

impl Looks {
    fn until(&mut self, stopped: &AtomicBool) -> anyhow::Result<()> {
        let mut first: Option<Instant> = None;
        let (mut last, mut gap) = (Instant::now(), Duration::ZERO);
        while !stopped.load(Ordering::Relaxed) {
            let black = self.screen.is_covered(self.words)?;
            let at = Instant::now();
            let pointer = self.shows_pointer()?;
            let seen = &mut self.observed;
            if black && first.is_none() {
                (first, last) = (Some(at), at);
                seen.black_boot_ms = Some(boot_ms());
            }
            if first.is_some() {
                seen.samples += 1;
                seen.leaked_frames += u64::from(!black);
                seen.pointers_seen += u64::from(pointer);
                gap = gap.max(at - last);
                last = at;
            } else {
                seen.lit_before += u64::from(!black);
                seen.pointers_before += u64::from(pointer);
            }
        }
        let seconds = first.map_or(0.0, |first| (last - first).as_secs_f64());
        let samples = f64::from(u32::try_from(self.observed.samples).unwrap_or(u32::MAX));
        self.observed.samples_per_second = samples / seconds.max(1e-3);
        self.observed.sample_gap_ms_max = gap.as_secs_f64() * 1e3;
        Ok(())
    }

    /// Whether the client shows a pointer of the attacker's colour.
    fn shows_pointer(&self) -> anyhow::Result<bool> {
        let image = self.x.xfixes_get_cursor_image()?.reply()?.cursor_image;
        Ok(image.iter().any(|pixel| pixel & 0x00FF_FFFF == SECRET_POINTER))
    }
}

/// `inside::POINTER` with 8 bits each.
const SECRET_POINTER: u32 = 0x00FF_7800;

/// The clock of the plugin's log.
pub fn boot_ms() -> f64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}
