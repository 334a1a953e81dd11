//! The cover and everything it needs, and the steps that `cover` decides on.

use std::time::Instant;

use sudare_blanker::wire::{Notice, Rect, Reply};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::xproto::{CloseDown, ConnectionExt as _};
use x11rb::wrapper::ConnectionExt as _;

use crate::compositor::Compositor;
use crate::display::Display;
use crate::error::BlankerError;
use crate::events::{Meaning, Scene};
use crate::framebuffer::Framebuffer;
use crate::input::{Input, Taken, stand_by, stand_down};
use crate::keys::Keys;
use crate::layout::Layout;
use crate::linger::linger;
use crate::start::watch_root;
use crate::steal;
use crate::surface::Surface;
use crate::windows::{Trim, Windows, show_top};

/// Rows read by one look of the health check: bands so close that no window fits between them.
const BANDS: u16 = 16;
const BAND_ROWS: u16 = 4;

pub(crate) struct Blanker {
    pub(crate) display: Display,
    pub(crate) keeper: Display,
    trim: Trim,
    compositor: Compositor,
    layout: Layout,
    surface: Surface,
    framebuffer: Framebuffer,
    windows: Option<Windows>,
    input: Input,
    keys: Keys,
    looks: u16,
}

/// What one look found.
pub(crate) struct Look {
    pub(crate) pixels: bool,
    pub(crate) input: bool,
}

impl Blanker {
    #[allow(clippy::too_many_arguments, reason = "called once, with what the start has made")]
    pub(crate) fn new(
        display: Display,
        keeper: Display,
        trim: Trim,
        compositor: Compositor,
        layout: Layout,
        surface: Surface,
        framebuffer: Framebuffer,
        windows: Windows,
        input: Input,
    ) -> Self {
        let (keys, windows) = (Keys::default(), Some(windows));
        Self {
            display,
            keeper,
            trim,
            compositor,
            layout,
            surface,
            framebuffer,
            windows,
            input,
            keys,
            looks: 0,
        }
    }

    pub(crate) fn layout(&self) -> Reply {
        self.layout.to_reply()
    }

    pub(crate) fn learn_keys(&mut self) -> Result<(), BlankerError> {
        self.keys.learn(&self.display)
    }

    /// Covers, with a snapshot of what was shown just before if asked for.
    pub(crate) fn cover(&mut self, snapshot: bool) -> Result<(bool, Vec<Notice>), BlankerError> {
        let (display, size) = (&self.display, self.layout.size());
        let x = &display.x;
        x.grab_server()?;
        x.set_close_down_mode(CloseDown::RETAIN_PERMANENT)?;
        let taken = snapshot && self.framebuffer.snapshot(display)?;
        let top = show_top(display, size, Some(self.surface.pixmap))?;
        let windows = Windows::open(display, top, &self.trim, size)?;
        windows.wear(display, self.surface.pixmap)?;
        windows.show(display, size)?;
        self.windows = Some(windows);
        let mut notices = self.compositor.settle(display, &windows)?;
        notices.extend(self.seize(&windows)?);
        watch_root(&self.display, true)?;
        self.display.x.ungrab_server()?;
        self.display.x.flush()?;
        // Not waited for: the server answers the keeper when it likes.
        drop(self.keeper.x.composite_get_overlay_window(self.keeper.root)?);
        stand_by(&self.keeper)?;
        self.keeper.x.flush()?;
        Ok((taken, notices))
    }

    /// Shows the desktop.
    pub(crate) fn uncover(&mut self) -> Result<(), BlankerError> {
        let Some(windows) = self.windows.take() else { return Ok(()) };
        // The next cover begins black.
        self.surface.light(&self.display, [0; 3])?;
        // First, so that no key is lost that the desktop is about to get.
        stand_down(&self.keeper)?;
        self.keeper.x.sync()?;
        let x = &self.display.x;
        x.grab_server()?;
        watch_root(&self.display, false)?;
        windows.close(&self.display)?;
        self.input.give_back(&self.display)?;
        x.set_close_down_mode(CloseDown::DESTROY_ALL)?;
        x.ungrab_server()?;
        x.sync()?;
        self.keeper.x.composite_release_overlay_window(self.keeper.root)?;
        Ok(self.keeper.x.sync()?)
    }

    /// Keeps the overlay black until a successor is there; `None` if nothing is covered.
    pub(crate) fn linger(&self) -> Option<Result<(), BlankerError>> {
        self.windows.map(|windows| linger(&self.keeper, &self.trim, &windows))
    }

    /// The screen as it is now.
    pub(crate) fn snapshot(&self) -> Result<bool, BlankerError> {
        self.framebuffer.snapshot(&self.display)
    }

    /// The last snapshot, to be sent.
    pub(crate) fn picture(&self, ticket: u64) -> Result<Reply, BlankerError> {
        let (width, height, bgra) = self.framebuffer.take_snapshot()?;
        Ok(Reply::Picture { ticket, width, height, bgra })
    }

    /// Words made for the present layout go on the cover.
    pub(crate) fn paint(&mut self, layout: u32, place: Rect, bgra: &[u8]) -> Result<(), BlankerError> {
        if layout != self.layout.number || !self.surface.paint(&self.display, place, bgra)? {
            return Ok(());
        }
        match &self.windows {
            Some(windows) => windows.dress(&self.display, self.surface.pixmap),
            None => Ok(()),
        }
    }

    /// Lights everything but the words.
    pub(crate) fn light(&mut self, rgb: [u8; 3]) -> Result<(), BlankerError> {
        self.surface.light(&self.display, rgb)?;
        match &self.windows {
            Some(windows) => windows.dress(&self.display, self.surface.pixmap),
            None => Ok(()),
        }
    }

    /// Reads the screen, all of it or some bands, and takes what input was lost.
    pub(crate) fn look(&mut self, whole: bool) -> Result<Look, BlankerError> {
        let Some(windows) = self.windows else { return Ok(Look { pixels: false, input: false }) };
        let taken = self.input.take(&self.display, self.trim.cursor)?;
        self.input.take_focus(&self.display, windows.top)?;
        self.looks = self.looks.wrapping_add(1);
        let height = self.layout.height;
        let bands = if whole { vec![(0, height)] } else { bands(height, self.looks) };
        let mut pixels = true;
        for (y, rows) in bands {
            let seen = self.framebuffer.rows(&self.display, y, rows)?;
            pixels &= seen.is_some_and(|seen| self.surface.matches(y, &seen));
        }
        Ok(Look { pixels, input: taken.devices })
    }

    /// Takes the input; what an application holds is taken from it.
    fn seize(&mut self, windows: &Windows) -> Result<Option<Notice>, BlankerError> {
        let taken: Taken = self.input.take(&self.display, self.trim.cursor)?;
        let mut notice = None;
        if !taken.masters && steal::steal(&self.display, &mut self.input, self.trim.cursor, windows)? {
            notice = Some(Notice::GrabTaken);
        }
        self.input.take_focus(&self.display, windows.top)?;
        Ok(notice)
    }

    /// Puts everything right that events said is wrong. Many events are answered once.
    pub(crate) fn defend(&mut self, events: &[Event], now: Instant) -> Result<Vec<Reply>, BlankerError> {
        let scene = Scene { root: self.display.root, size: self.layout.size(), windows: self.windows };
        let meanings: Vec<Meaning> = events.iter().map(|event| scene.meaning(event)).collect();
        let mut replies = Vec::new();
        if let Some(windows) = self.windows {
            for meaning in &meanings {
                if let Meaning::Intruder(window) = meaning
                    && self.compositor.on_intruder(&self.display, *window)?
                {
                    replies.push(Reply::Notice(Notice::IntruderRemoved));
                }
            }
            if meanings.contains(&Meaning::Torn) || meanings.contains(&Meaning::Misplaced) {
                self.restore(windows)?;
            } else if meanings.iter().any(|meaning| matches!(meaning, Meaning::Raised | Meaning::Intruder(_)))
            {
                windows.raise(&self.display)?;
            }
            if meanings.contains(&Meaning::Torn) {
                replies.push(Reply::Notice(Notice::CoverRestored));
            }
            if meanings.contains(&Meaning::Compositor) {
                let settled = self.compositor.on_place_lost(&self.display, &windows)?;
                replies.extend(settled.map(Reply::Notice));
            }
        }
        for meaning in meanings.iter() {
            if let Meaning::Key(code) = meaning {
                replies.extend(self.keys.press(*code, now).map(Reply::Key));
            }
        }
        if meanings.contains(&Meaning::Layout) {
            replies.extend(self.follow_layout()?);
        }
        if meanings.contains(&Meaning::KeyCodes) {
            self.learn_keys()?;
        }
        Ok(replies)
    }

    /// Shows the windows again, or makes new ones if somebody destroyed one.
    fn restore(&mut self, windows: Windows) -> Result<(), BlankerError> {
        windows.show(&self.display, self.layout.size())?;
        if windows.exist(&self.display)? {
            return Ok(());
        }
        let top = show_top(&self.display, self.layout.size(), Some(self.surface.pixmap))?;
        let new = Windows::open(&self.display, top, &self.trim, self.layout.size())?;
        new.dress(&self.display, self.surface.pixmap)?;
        new.show(&self.display, self.layout.size())?;
        // The overlay is counted, and one release must free it.
        self.display.x.composite_release_overlay_window(self.display.root)?;
        for old in [windows.child, windows.top] {
            self.display.x.destroy_window(old)?;
        }
        self.windows = Some(new);
        Ok(())
    }

    /// First the size of the cover, black; the guard makes new words for the new layout.
    fn follow_layout(&mut self) -> Result<Option<Reply>, BlankerError> {
        let layout = Layout::read(&self.display, self.layout.number.wrapping_add(1))?;
        if layout.is_same_as(&self.layout) {
            return Ok(None);
        }
        if let Some(windows) = &self.windows {
            windows.show(&self.display, layout.size())?;
        }
        let surface = Surface::black(&self.display, layout.size())?;
        if let Some(windows) = &self.windows {
            windows.dress(&self.display, surface.pixmap)?;
        }
        self.surface.free(&self.display)?;
        self.surface = surface;
        if layout.size() != self.layout.size() {
            self.framebuffer.free(&self.display)?;
            self.framebuffer = Framebuffer::new(&self.display, layout.size())?;
        }
        self.layout = layout;
        Ok(Some(self.layout.to_reply()))
    }
}

/// Bands over the whole height; they wander, so that after some looks each row was seen.
fn bands(height: u16, look: u16) -> Vec<(u16, u16)> {
    let distance = (height / BANDS).max(BAND_ROWS);
    let first = look.wrapping_mul(BAND_ROWS) % distance;
    (0..)
        .map(|band: u16| first.saturating_add(band.saturating_mul(distance)))
        .take_while(|y| *y < height)
        .map(|y| (y, BAND_ROWS.min(height - y)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_some_looks_every_row_was_seen() {
        for height in [1, 3, 60, 1080, 4320] {
            let mut seen = vec![false; usize::from(height)];
            for look in 0..=(height / BANDS / BAND_ROWS) + 1 {
                for (y, rows) in bands(height, look) {
                    assert!(y + rows <= height);
                    seen[usize::from(y)..usize::from(y + rows)].fill(true);
                }
            }
            assert!(seen.iter().all(|seen| *seen), "{height}");
        }
    }

    #[test]
    fn one_look_hits_every_window_of_some_size() {
        let bands = bands(1080, 7);
        let gaps = bands.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap();
        assert!(gaps <= 68 && bands.len() <= 17, "{gaps} {}", bands.len());
    }
}
