//! Looks at everything that a client shows: all pixels of its screen, and its pointer, which is a picture as well; and
//! hears whether it rings.
//!
//! It begins before the cover. From the first picture on that is black outside the cover's words, any pixel that is not
//! black is a leak, whoever drew it; so is any pixel of the user among the words, and so is any pointer of the user.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use sudare_protocol::screen::panel;
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xkb::{ConnectionExt as _, EventType, ID, MapPart, SelectEventsAux};
use x11rb::rust_connection::RustConnection;

use super::client::PrivateScreen;
use super::framebuffer::{self, Framebuffer, PIXEL_BYTES, is_lit};
use super::palette::{self, Owner};
use super::screen;

/// The rest between two looks. It keeps two cores from doing nothing but this, and hands out 400 looks a second.
const PAUSE: Duration = Duration::from_millis(2);
/// Whoever looks goes before all that is looked at: otherwise the busiest attacker would be seen the least.
const FIRST_OF_ALL: i32 = -20;

/// Of a screen's own pointer, which is a small cross.
const POINTER_PIXELS_MAX: usize = 32 * 32;

/// What was seen from the first black picture on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub samples: u64,
    pub samples_per_second: f64,
    pub sample_gap_ms_max: f64,
    pub leaked_frames: u64,
    /// Pictures of an empty screen: the client has closed its window, as it does when its connection ends.
    pub closed_frames: u64,
    /// The most pixels in one of them.
    pub leaked_pixels_max: usize,
    pub pointers_seen: u64,
    pub bells_heard: u64,
    /// When the first black picture had been read, by the clock of the plugin's log.
    pub black_boot_ms: Option<f64>,
    /// Before it: pictures that showed something, pointers, and bells.
    pub lit_before: u64,
    pub pointers_before: u64,
    pub bells_before: u64,
}

/// A thread that looks until it is told to stop.
#[derive(Debug)]
pub struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Observed>>,
}

impl Observer {
    /// Looks at a screen; the worst leak is saved as `evidence`.
    pub fn start(private: &PrivateScreen, evidence: PathBuf) -> anyhow::Result<Self> {
        let eye = Eye::open(private.framebuffer()?);
        let signals = Signals::open(&private.display)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("observer".into()).spawn(move || {
            go_first()?;
            let mut looks = Looks { eye, signals, observed: Observed::default(), evidence };
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

/// Gives the calling thread the processor before others.
pub fn go_first() -> anyhow::Result<()> {
    rustix::process::setpriority_process(None, FIRST_OF_ALL).context("this thread cannot go before others")
}

struct Looks {
    eye: Eye,
    signals: Signals,
    observed: Observed,
    evidence: PathBuf,
}

impl Looks {
    fn until(&mut self, stopped: &AtomicBool) -> anyhow::Result<()> {
        let mut first: Option<Instant> = None;
        let (mut last, mut gap) = (Instant::now(), Duration::ZERO);
        while !stopped.load(Ordering::Relaxed) {
            let black = self.eye.sees_black()?;
            let at = Instant::now();
            let (pointer, bells) = self.signals.look()?;
            let seen = &mut self.observed;
            if black && first.is_none() {
                (first, last) = (Some(at), at);
                seen.black_boot_ms = Some(boot_ms());
            }
            if first.is_some() {
                seen.samples += 1;
                seen.pointers_seen += u64::from(pointer);
                seen.bells_heard += bells;
                gap = gap.max(at - last);
                last = at;
                if !black && self.eye.sees_no_client()? {
                    seen.closed_frames += 1;
                } else if !black {
                    seen.leaked_frames += 1;
                    self.keep()?;
                }
            } else {
                seen.lit_before += u64::from(!black);
                seen.pointers_before += u64::from(pointer);
                seen.bells_before += bells;
            }
            std::thread::sleep(PAUSE);
        }
        let seconds = first.map_or(0.0, |first| (last - first).as_secs_f64());
        let samples = f64::from(u32::try_from(self.observed.samples).unwrap_or(u32::MAX));
        self.observed.samples_per_second = samples / seconds.max(1e-3);
        self.observed.sample_gap_ms_max = gap.as_secs_f64() * 1e3;
        Ok(())
    }

    /// Keeps a leak that is worse than those before.
    fn keep(&mut self) -> anyhow::Result<()> {
        let leaked = self.eye.leak(&self.evidence, self.observed.leaked_pixels_max)?;
        self.observed.leaked_pixels_max = self.observed.leaked_pixels_max.max(leaked);
        Ok(())
    }
}

/// Reads a screen, and knows the words that were on it last.
#[derive(Debug)]
pub struct Eye {
    screen: Framebuffer,
    /// Of the words: columns in bytes, then rows.
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    /// What was between them when it was looked at last, and was nobody's.
    words: Vec<u8>,
    buffer: Vec<u8>,
}

impl Eye {
    pub fn open(screen: Framebuffer) -> Self {
        let [left, top, right, bottom] = panel(screen.width, screen.height).map(usize::from);
        let (columns, rows) = (left * PIXEL_BYTES..right * PIXEL_BYTES, top..bottom);
        let words = vec![0; columns.len() * rows.len()];
        Self { screen, columns, rows, words, buffer: Vec::new() }
    }

    /// Whether all is black but the words, and nothing of the user is among these.
    pub fn sees_black(&mut self) -> anyhow::Result<bool> {
        let Self { screen, columns, rows, words, buffer } = self;
        let (mut black, row_bytes) = (true, screen.row_bytes());
        screen.rows(buffer, |first, part| {
            black = (first..).zip(part.chunks_exact(row_bytes)).all(|(y, row)| {
                if !rows.contains(&y) {
                    return !is_lit(row);
                }
                let (left, rest) = row.split_at(columns.start);
                let (inside, right) = rest.split_at(columns.len());
                let known = &mut words[(y - rows.start) * columns.len()..][..columns.len()];
                !is_lit(left) && !is_lit(right) && is_nobodys(inside, known)
            });
            black
        })?;
        Ok(black)
    }

    /// Whether there is nothing but the screen's own backdrop and its pointer.
    fn sees_no_client(&mut self) -> anyhow::Result<bool> {
        let [red, green, blue] = palette::BACKDROP;
        let mut others = 0;
        self.screen.rows(&mut self.buffer, |_, part| {
            let pixels = part.as_chunks::<PIXEL_BYTES>().0.iter();
            others += pixels.filter(|[b, g, r, _]| [*r, *g, *b] != [red, green, blue]).count();
            others <= POINTER_PIXELS_MAX
        })?;
        Ok(others <= POINTER_PIXELS_MAX)
    }

    /// Counts what leaks at this moment, and saves it if it is more than `most`.
    fn leak(&mut self, evidence: &Path, most: usize) -> anyhow::Result<usize> {
        let mut picture = Vec::new();
        self.screen.read(&mut picture)?;
        let rows = (0..).zip(picture.chunks_exact(self.screen.row_bytes()));
        let leaked = rows.map(|(y, row)| {
            if self.rows.contains(&y) {
                framebuffer::lit(&row[..self.columns.start])
                    + framebuffer::lit(&row[self.columns.end..])
                    + users(&row[self.columns.clone()])
            } else {
                framebuffer::lit(row)
            }
        });
        let leaked = leaked.sum();
        if leaked > most {
            screen::save(&self.screen, &picture, evidence)?;
        }
        Ok(leaked)
    }
}

/// Whether a row of the words has nothing of the user. Words seldom change, so it is mostly the one that is known.
fn is_nobodys(row: &[u8], known: &mut [u8]) -> bool {
    if row == known {
        return true;
    }
    let nobodys = users(row) == 0;
    if nobodys {
        known.copy_from_slice(row);
    }
    nobodys
}

fn users(row: &[u8]) -> usize {
    let pixels = row.as_chunks::<PIXEL_BYTES>().0.iter();
    pixels
        .filter(|[blue, green, red, _]| {
            let owner = palette::owner([*red, *green, *blue]);
            matches!(owner, Owner::Desktop | Owner::Moving | Owner::Hostile)
        })
        .count()
}

/// The pointer of a display, asked for when it has changed, and its bell.
struct Signals {
    x: RustConnection,
    is_secret: bool,
}

impl Signals {
    fn open(display: &str) -> anyhow::Result<Self> {
        let (x, number) = x11rb::connect(Some(display))
            .with_context(|| format!("the display {display} cannot be opened"))?;
        x.xfixes_query_version(5, 0)?.reply()?;
        let root = x.setup().roots.get(number).context("the display has no screen")?.root;
        x.xfixes_select_cursor_input(root, CursorNotifyMask::DISPLAY_CURSOR)?.check()?;
        x.xkb_use_extension(1, 0)?.reply()?;
        let (keyboard, none, parts) = (ID::USE_CORE_KBD.into(), EventType::from(0_u16), MapPart::from(0_u16));
        let details = SelectEventsAux::new();
        x.xkb_select_events(keyboard, none, EventType::BELL_NOTIFY, parts, parts, &details)?.check()?;
        let mut signals = Signals { x, is_secret: false };
        signals.look_at_pointer()?;
        Ok(signals)
    }

    /// Whether the pointer is of the attacker's colour, and how often it rang since the last look.
    fn look(&mut self) -> anyhow::Result<(bool, u64)> {
        let (mut changed, mut bells) = (false, 0);
        while let Some(event) = self.x.poll_for_event()? {
            changed |= matches!(event, Event::XfixesCursorNotify(_));
            bells += u64::from(matches!(event, Event::XkbBellNotify(_)));
        }
        if changed {
            self.look_at_pointer()?;
        }
        Ok((self.is_secret, bells))
    }

    fn look_at_pointer(&mut self) -> anyhow::Result<()> {
        let image = self.x.xfixes_get_cursor_image()?.reply()?.cursor_image;
        self.is_secret = image.iter().any(|pixel| pixel & 0x00FF_FFFF == SECRET_POINTER);
        Ok(())
    }
}

/// `inside::POINTER` with 8 bits each.
const SECRET_POINTER: u32 = 0x00FF_7800;

/// The clock of the plugin's log.
pub fn boot_ms() -> f64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}
