//! The cover's windows.
//!
//! ```text
//! root ─┬─ the applications' windows
//!       ├─ top: ours, as large as the screen; all there is if the overlay is taken away
//!       └─ overlay: the server's own Composite Overlay Window, above everything that can be raised
//!            ├─ windows that others put in here
//!            └─ child: ours, raised above them
//! ```
//! The overlay belongs to the server: it cannot be destroyed with `KillClient`, and every client
//! that holds it keeps it. Its clip shape is empty, so that neither a window inside it nor anything
//! drawn on it can be seen: all of it counts as border (Shape 1.1, "clip region"), and its border
//! is the cover's picture. Who takes the shape away finds our child on top until it is set again.
//! All three windows keep their picture without this process.

use x11rb::connection::Connection as _;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::shape::{ConnectionExt as _, SK, SO};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ClipOrdering, ConfigureWindowAux, ConnectionExt as _,
    CreateWindowAux, Cursor, EventMask, Pixmap, PropMode, Rectangle, StackMode, Window, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

use crate::display::Display;
use crate::error::{BlankerError, if_there};

/// What the windows carry besides their picture.
#[derive(Clone, Copy)]
pub(crate) struct Trim {
    pub(crate) cursor: Cursor,
    /// By this property a successor finds the windows.
    pub(crate) tag: Atom,
    pub(crate) bypass_compositor: Atom,
}

/// The windows of one cover. Nothing of it exists while the desktop is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) top: Window,
    pub(crate) overlay: Window,
    pub(crate) child: Window,
}

/// The very first thing on a display: a black window, made and shown with nothing but core requests.
pub(crate) fn show_top(
    display: &Display,
    (width, height): (u16, u16),
    picture: Option<Pixmap>,
) -> Result<Window, BlankerError> {
    let top = create(display, display.root, width, height)?;
    if let Some(picture) = picture {
        let look = ChangeWindowAttributesAux::new().background_pixmap(picture);
        display.x.change_window_attributes(top, &look)?;
    }
    display.x.map_window(top)?;
    Ok(top)
}

impl Windows {
    /// Opens the overlay and makes everything ready above a `top` that is shown already.
    pub(crate) fn open(
        display: &Display,
        top: Window,
        trim: &Trim,
        (width, height): (u16, u16),
    ) -> Result<Self, BlankerError> {
        let x = &display.x;
        let overlay = x.composite_get_overlay_window(display.root)?.reply()?.overlay_win;
        let events = EventMask::STRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_NOTIFY;
        let look = ChangeWindowAttributesAux::new()
            .background_pixel(0)
            .border_pixel(0)
            .do_not_propogate_mask(all_input())
            .event_mask(events);
        x.change_window_attributes(overlay, &look)?;
        let child = create(display, overlay, width, height)?;
        let windows = Self { top, overlay, child };
        for window in [top, child] {
            x.change_window_attributes(window, &ChangeWindowAttributesAux::new().cursor(trim.cursor))?;
            x.change_property32(PropMode::REPLACE, window, trim.tag, AtomEnum::CARDINAL, &[1])?;
            // 2: never draw this window directly past the compositor.
            x.change_property32(PropMode::REPLACE, window, trim.bypass_compositor, AtomEnum::CARDINAL, &[2])?;
        }
        for window in windows.all() {
            x.shape_select_input(window, true)?;
        }
        Ok(windows)
    }

    pub(crate) fn all(&self) -> [Window; 3] {
        [self.top, self.overlay, self.child]
    }

    pub(crate) fn contains(&self, window: Window) -> bool {
        self.all().contains(&window)
    }

    /// Whole, in place, above everything, visible. Harmless when all of it is so already.
    pub(crate) fn show(&self, display: &Display, (width, height): (u16, u16)) -> Result<(), BlankerError> {
        let x = &display.x;
        for window in self.all() {
            if window == self.top {
                // Whole, but with a shape: xfwm4 takes the overlay away to show plain full-screen
                // windows directly.
                let whole = [Rectangle { x: 0, y: 0, width, height }];
                x.shape_rectangles(SO::SET, SK::BOUNDING, ClipOrdering::UNSORTED, window, 0, 0, &whole)?;
            } else {
                x.shape_mask(SO::SET, SK::BOUNDING, window, 0, 0, x11rb::NONE)?;
            }
            if window == self.overlay {
                x.shape_rectangles(SO::SET, SK::CLIP, ClipOrdering::UNSORTED, window, 0, 0, &[])?;
            } else {
                x.shape_mask(SO::SET, SK::CLIP, window, 0, 0, x11rb::NONE)?;
            }
            let place = ConfigureWindowAux::new().x(0).y(0).width(u32::from(width)).height(u32::from(height));
            x.configure_window(window, &place.border_width(0))?;
            x.map_window(window)?;
        }
        self.raise(display)
    }

    /// Above everything that was raised meanwhile. Nothing moves if that is so already: a window of
    /// ours above another of ours would be painted anew each time.
    pub(crate) fn raise(&self, display: &Display) -> Result<(), BlankerError> {
        let above = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        display.x.configure_window(self.overlay, &above)?;
        display.x.configure_window(self.child, &above)?;
        let below = ConfigureWindowAux::new().sibling(self.overlay).stack_mode(StackMode::BELOW);
        display.x.configure_window(self.top, &below)?;
        Ok(())
    }

    /// Gives all windows this picture, and shows it where they are seen already.
    pub(crate) fn dress(&self, display: &Display, picture: Pixmap) -> Result<(), BlankerError> {
        self.wear(display, picture)?;
        for window in self.all() {
            display.x.clear_area(false, window, 0, 0, 0, 0)?;
        }
        Ok(())
    }

    /// Gives all windows this picture, to be painted when they are shown: at a cover each painting of
    /// the whole screen is one too many.
    pub(crate) fn wear(&self, display: &Display, picture: Pixmap) -> Result<(), BlankerError> {
        let look = ChangeWindowAttributesAux::new().background_pixmap(picture).border_pixmap(picture);
        for window in self.all() {
            display.x.change_window_attributes(window, &look)?;
        }
        Ok(())
    }

    /// Whether all of them still exist.
    pub(crate) fn exist(&self, display: &Display) -> Result<bool, BlankerError> {
        for window in self.all() {
            if if_there(display.x.get_window_attributes(window)?.reply())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives the screen back. A compositor may go on using the overlay: it gets it as it was.
    pub(crate) fn close(&self, display: &Display) -> Result<(), BlankerError> {
        let x = &display.x;
        let look = ChangeWindowAttributesAux::new()
            .background_pixmap(x11rb::NONE)
            .do_not_propogate_mask(EventMask::NO_EVENT)
            .event_mask(EventMask::NO_EVENT);
        x.change_window_attributes(self.overlay, &look)?;
        x.shape_select_input(self.overlay, false)?;
        x.shape_mask(SO::SET, SK::CLIP, self.overlay, 0, 0, x11rb::NONE)?;
        x.destroy_window(self.child)?;
        x.destroy_window(self.top)?;
        x.composite_release_overlay_window(display.root)?;
        Ok(())
    }
}

fn create(display: &Display, parent: Window, width: u16, height: u16) -> Result<Window, BlankerError> {
    let window = display.x.generate_id()?;
    let look = CreateWindowAux::new()
        .override_redirect(1)
        .background_pixel(0)
        .border_pixel(0)
        .do_not_propogate_mask(all_input())
        .event_mask(EventMask::STRUCTURE_NOTIFY);
    let (depth, class, visual) = (display.depth, WindowClass::INPUT_OUTPUT, display.visual);
    display.x.create_window(depth, window, parent, 0, 0, width, height, 0, class, visual, &look)?;
    Ok(window)
}

/// Everything a window can keep from the windows behind it.
fn all_input() -> EventMask {
    EventMask::KEY_PRESS
        | EventMask::KEY_RELEASE
        | EventMask::BUTTON_PRESS
        | EventMask::BUTTON_RELEASE
        | EventMask::POINTER_MOTION
}
