//! What is on the user's screen: a window of known colours, and a file with what it received.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use x11rb::connection::Connection as _;
use x11rb::properties::WmHints;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ChangeGCAux, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, EventMask,
    Gcontext, PropMode, Rectangle, StackMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::palette::{self, Rgb};

/// Between two steps of what moves.
const FRAME: Duration = Duration::from_millis(50);
/// A window manager that is just starting may lose a request; it is made again until it is met.
const MAP_AGAIN: Duration = Duration::from_secs(1);
/// How often a hostile window raises itself.
const RAISE: Duration = Duration::from_millis(10);
/// Width of what moves.
const BAR_PX: u16 = 60;
/// A file that grows past this belongs to a test that went wrong.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// One line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Received {
    /// The window is on the screen.
    Shown,
    /// A key went down, by its code.
    Key(u8),
    /// A button of the mouse went down.
    Button(u8),
}

/// What a window does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// The user's work: managed by the window manager, and it notes what it receives.
    Work { log: PathBuf },
    /// Passes the window manager and raises itself above all others, for ever.
    Hostile,
}

/// Draws until the display goes away.
pub fn run(manner: &Manner) -> anyhow::Result<()> {
    let (connection, number) = x11rb::connect(None).context("no display. Start it in an X session")?;
    let screen = connection.setup().roots.get(number).context("the display has no screen")?;
    let size = (screen.width_in_pixels, screen.height_in_pixels);
    let hostile = *manner == Manner::Hostile;
    let window = open_window(&connection, screen.root, size, hostile)?;
    let gc = connection.generate_id()?;
    connection.create_gc(gc, window, &CreateGCAux::new())?;
    let (stripes, bar): (&[Rgb], Rgb) =
        if hostile { (&palette::HOSTILE, palette::HOSTILE[0]) } else { (&palette::DESKTOP, palette::MOVING) };
    let mut painter = Painter { connection: &connection, window, gc, stripes, bar, size, bar_x: 0 };
    let started = Instant::now();
    let mut frame = started;
    let mut map_again = Some(started + MAP_AGAIN);
    loop {
        while let Some(event) = connection.poll_for_event()? {
            if matches!(event, Event::MapNotify(_)) {
                map_again = None;
            }
            match (&event, manner) {
                (Event::ConfigureNotify(changed), _) => painter.size = (changed.width, changed.height),
                (Event::Expose(_), _) => painter.all()?,
                (_, Manner::Work { log }) => note(log, &event)?,
                (_, Manner::Hostile) => {}
            }
        }
        let now = Instant::now();
        if map_again.is_some_and(|again| now >= again) {
            connection.map_window(window)?;
            map_again = Some(now + MAP_AGAIN);
        }
        if now >= frame {
            painter.step()?;
            frame = now + FRAME;
        }
        if hostile {
            connection.configure_window(window, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE))?;
        }
        connection.flush()?;
        wait(&connection, if hostile { RAISE } else { FRAME })?;
    }
}

/// What arrived so far; a file that is not there yet has nothing.
pub fn received(log: &Path) -> anyhow::Result<Vec<Received>> {
    match std::fs::metadata(log) {
        Err(_) => Ok(Vec::new()),
        Ok(about) => {
            anyhow::ensure!(about.len() <= LOG_BYTES_MAX, "{} grew too long", log.display());
            let text = std::fs::read_to_string(log)?;
            text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
        }
    }
}

fn open_window(
    connection: &RustConnection,
    root: Window,
    (width, height): (u16, u16),
    hostile: bool,
) -> anyhow::Result<Window> {
    let window = connection.generate_id()?;
    let events = EventMask::EXPOSURE | EventMask::STRUCTURE_NOTIFY;
    let input = EventMask::KEY_PRESS | EventMask::BUTTON_PRESS;
    let attributes = CreateWindowAux::new()
        .override_redirect(u32::from(hostile))
        .background_pixel(palette::pixel_value(if hostile {
            palette::HOSTILE[0]
        } else {
            palette::DESKTOP[0]
        }))
        .event_mask(if hostile { events } else { events | input });
    let class = WindowClass::INPUT_OUTPUT;
    connection.create_window(0, window, root, 0, 0, width, height, 0, class, 0, &attributes)?;
    let atom =
        |name: &[u8]| -> anyhow::Result<u32> { Ok(connection.intern_atom(false, name)?.reply()?.atom) };
    let (state, full) = (atom(b"_NET_WM_STATE")?, atom(b"_NET_WM_STATE_FULLSCREEN")?);
    connection.change_property32(PropMode::REPLACE, window, state, AtomEnum::ATOM, &[full])?;
    // Window managers give the keyboard only to windows that ask for it.
    let hints = WmHints { input: Some(true), ..WmHints::new() };
    hints.set(connection, window)?;
    connection.map_window(window)?;
    connection.flush()?;
    Ok(window)
}

/// Appends one line, complete or not at all as far as readers can see: it is one write.
fn note(log: &Path, event: &Event) -> anyhow::Result<()> {
    let received = match event {
        Event::MapNotify(_) => Received::Shown,
        Event::KeyPress(key) => Received::Key(key.detail),
        Event::ButtonPress(button) => Received::Button(button.detail),
        _ => return Ok(()),
    };
    let line = format!("{}\n", serde_json::to_string(&received)?);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    Ok(file.write_all(line.as_bytes())?)
}

fn wait(connection: &RustConnection, time: Duration) -> anyhow::Result<()> {
    let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
    let stream = connection.stream();
    poll(&mut [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)], Some(&time))?;
    Ok(())
}

struct Painter<'a> {
    connection: &'a RustConnection,
    window: Window,
    gc: Gcontext,
    stripes: &'a [Rgb],
    bar: Rgb,
    size: (u16, u16),
    bar_x: u16,
}

impl Painter<'_> {
    fn all(&self) -> anyhow::Result<()> {
        let count = u16::try_from(self.stripes.len())?.max(1);
        let height = self.size.1.div_ceil(count);
        for (n, colour) in (0..count).zip(self.stripes) {
            self.fill(*colour, (0, n * height), (self.size.0, height))?;
        }
        Ok(())
    }

    /// Moves the bar on by its width, within the first stripe.
    fn step(&mut self) -> anyhow::Result<()> {
        let height = self.size.1 / 4;
        let first = self.stripes.first().copied().context("no colours")?;
        self.fill(first, (self.bar_x, 0), (BAR_PX, height))?;
        self.bar_x = if self.bar_x + BAR_PX < self.size.0 { self.bar_x + BAR_PX } else { 0 };
        self.fill(self.bar, (self.bar_x, 0), (BAR_PX, height))
    }

    fn fill(&self, colour: Rgb, (x, y): (u16, u16), (width, height): (u16, u16)) -> anyhow::Result<()> {
        let colour = ChangeGCAux::new().foreground(palette::pixel_value(colour));
        self.connection.change_gc(self.gc, &colour)?;
        let at = |side: u16| i16::try_from(side).unwrap_or(i16::MAX);
        let area = Rectangle { x: at(x), y: at(y), width, height };
        self.connection.poly_fill_rectangle(self.window, self.gc, &[area])?;
        Ok(())
    }
}
