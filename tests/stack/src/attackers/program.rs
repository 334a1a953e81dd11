//! What attackers have in common: a connection, a time, what it came to, and things to draw with.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use x11rb::connection::Connection as _;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, Cursor, Gcontext, Rectangle,
    Screen, SubwindowMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::hostile::Outcome;
use super::inside::POINTER;
use crate::xrdp::palette::{HOSTILE, pixel_value};

/// The arrow of X's own font of pointers; its mask comes after it.
const ARROW: u16 = 68;

/// What every attacker is made of.
pub(super) struct Program {
    pub(super) x: RustConnection,
    pub(super) screen: Screen,
    pub(super) until: Instant,
    pub(super) outcome: Outcome,
}

impl Program {
    /// Logs on to the display of the environment.
    pub(super) fn connect(duration: Duration) -> anyhow::Result<Self> {
        let (x, _) = RustConnection::connect(None).context("no display")?;
        let screen = x.setup().roots.first().context("no screen")?.clone();
        Ok(Program { x, screen, until: Instant::now() + duration, outcome: Outcome::default() })
    }

    pub(super) fn every(
        &mut self,
        pause_ms: u64,
        mut strike: impl FnMut(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while Instant::now() < self.until {
            strike(self)?;
            self.outcome.strikes += 1;
            self.x.sync()?;
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
        Ok(())
    }

    pub(super) fn overlay(&self) -> anyhow::Result<Window> {
        self.x.composite_query_version(0, 4)?.reply()?;
        Ok(self.x.composite_get_overlay_window(self.screen.root)?.reply()?.overlay_win)
    }

    pub(super) fn gc(&self, window: Window) -> anyhow::Result<Gcontext> {
        let gc = self.x.generate_id()?;
        let look = CreateGCAux::new()
            .foreground(pixel_value(HOSTILE[0]))
            .subwindow_mode(SubwindowMode::INCLUDE_INFERIORS);
        self.x.create_gc(gc, window, &look)?;
        Ok(gc)
    }

    pub(super) fn whole(&self) -> Rectangle {
        let (width, height) = (self.screen.width_in_pixels, self.screen.height_in_pixels);
        Rectangle { x: 0, y: 0, width, height }
    }

    /// As large as the screen, and not mapped yet.
    pub(super) fn window(&self, override_redirect: bool) -> anyhow::Result<Window> {
        let window = self.x.generate_id()?;
        let look = CreateWindowAux::new()
            .override_redirect(u32::from(override_redirect))
            .background_pixel(pixel_value(HOSTILE[1]));
        let (root, depth, visual) = (self.screen.root, self.screen.root_depth, self.screen.root_visual);
        let (whole, class) = (self.whole(), WindowClass::INPUT_OUTPUT);
        self.x.create_window(
            depth,
            window,
            root,
            0,
            0,
            whole.width,
            whole.height,
            0,
            class,
            visual,
            &look,
        )?;
        Ok(window)
    }

    /// A square of this size, which is a picture as any other.
    pub(super) fn pointer(&self, size: u16) -> anyhow::Result<Cursor> {
        let (picture, cursor) = (self.x.generate_id()?, self.x.generate_id()?);
        self.x.create_pixmap(1, picture, self.screen.root, size, size)?;
        let pen = self.x.generate_id()?;
        self.x.create_gc(pen, picture, &CreateGCAux::new().foreground(1))?;
        let all = Rectangle { x: 0, y: 0, width: size, height: size };
        self.x.poly_fill_rectangle(picture, pen, &[all])?;
        let [red, green, blue] = POINTER;
        self.x.create_cursor(cursor, picture, picture, red, green, blue, 0, 0, 0, 0, 0)?;
        self.x.free_pixmap(picture)?;
        self.x.free_gc(pen)?;
        Ok(cursor)
    }

    /// Gives all windows the pointer that they mostly have, so that the next attack is not taken for this one.
    pub(super) fn usual_pointer(&self) -> anyhow::Result<()> {
        let (font, arrow, root) = (self.x.generate_id()?, self.x.generate_id()?, self.screen.root);
        self.x.open_font(font, b"cursor")?.check()?;
        self.x.create_glyph_cursor(arrow, font, font, ARROW, ARROW + 1, 0, 0, 0, !0, !0, !0)?.check()?;
        for window in windows(&self.x, root)? {
            let none = ChangeWindowAttributesAux::new().cursor(x11rb::NONE);
            self.x.change_window_attributes(window, &none)?.ignore_error();
        }
        self.x.change_window_attributes(root, &ChangeWindowAttributesAux::new().cursor(arrow))?;
        Ok(self.x.sync()?)
    }
}

/// Those that a window has, and theirs.
pub(super) fn windows(x: &RustConnection, of: Window) -> anyhow::Result<Vec<Window>> {
    let (mut found, mut left) = (Vec::new(), vec![of]);
    while let Some(window) = left.pop() {
        // It may have gone meanwhile.
        let Ok(tree) = x.query_tree(window)?.reply() else { continue };
        found.extend_from_slice(&tree.children);
        left.extend(tree.children);
    }
    Ok(found)
}
