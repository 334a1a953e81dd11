//! Programs of the session's user for which no window has to be on top: they draw through what covers, change the
//! pointer, or listen to keys without being asked.
//!
//! Each is a mode of the program `sudare-hostile`, as those of [`super::hostile`] are.

use std::time::Duration;

use anyhow::Context as _;
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::composite::{ConnectionExt as _, Redirect};
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xinput::{ConnectionExt as _, Device, EventMask as InputMask, XIEventMask};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, GrabMode, MapState, Rectangle, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::hostile::Outcome;
use super::program::{Program, windows};

/// Of a pointer; clients scale nothing down.
const POINTER_PX: u16 = 64;
/// The colour of its pointers, 16 bits each, as X has them: nobody else's.
pub const POINTER: [u16; 3] = [0xFFFF, 0x7878, 0x0000];

/// The attacks, by the names of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// Fills the root and the overlay through all windows that are on them.
    PaintThrough,
    /// Copies the desktop's own pixels to where nobody clips them.
    CopyThrough,
    /// Gives the overlay and the root's children borders as wide as the screen, and a picture in them.
    BorderPixmap,
    /// Makes the pointer a picture, on all windows.
    Pointers,
    /// Listens to raw keys of all devices.
    RawKeys,
    /// Asks which keys are down.
    Keymap,
    /// Covers the session itself, as a screen locker does, and holds keyboard and pointer.
    Locker,
}

impl Inside {
    pub const ALL: [Self; 7] = [
        Self::PaintThrough,
        Self::CopyThrough,
        Self::BorderPixmap,
        Self::Pointers,
        Self::RawKeys,
        Self::Keymap,
        Self::Locker,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::PaintThrough => "paint-through",
            Self::CopyThrough => "copy-through",
            Self::BorderPixmap => "border-pixmap",
            Self::Pointers => "pointers",
            Self::RawKeys => "raw-keys",
            Self::Keymap => "keymap",
            Self::Locker => "locker",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attack| attack.name() == name)
    }
}

/// Attacks the display of the environment for so long.
pub fn attack(attack: Inside, duration: Duration) -> anyhow::Result<Outcome> {
    let mut program = Program::connect(duration)?;
    match attack {
        Inside::PaintThrough => program.paint_through(),
        Inside::CopyThrough => program.copy_through(),
        Inside::BorderPixmap => program.border_pixmap(),
        Inside::Pointers => program.pointers(),
        Inside::RawKeys => program.raw_keys(),
        Inside::Keymap => program.keymap(),
        Inside::Locker => program.locker(),
    }?;
    Ok(program.outcome)
}

/// A window with its place: left, top, width, height.
pub type Placed = (Window, i16, i16, u16, u16);

/// All windows of the display that are seen, with their places, so that before and after can be compared.
pub fn viewable(x: &RustConnection) -> anyhow::Result<Vec<Placed>> {
    let mut found = Vec::new();
    for window in windows(x, x.setup().roots.first().context("no screen")?.root)? {
        let Ok(about) = x.get_window_attributes(window)?.reply() else { continue };
        let Ok(place) = x.get_geometry(window)?.reply() else { continue };
        if about.map_state == MapState::VIEWABLE && about.class == WindowClass::INPUT_OUTPUT {
            found.push((window, place.x, place.y, place.width, place.height));
        }
    }
    found.sort_unstable();
    Ok(found)
}

impl Program {
    fn paint_through(&mut self) -> anyhow::Result<()> {
        let layers = [self.screen.root, self.overlay()?];
        let pens = [self.gc(layers[0])?, self.gc(layers[1])?];
        self.every(10, |program| {
            for (layer, pen) in layers.into_iter().zip(pens) {
                program.x.poly_fill_rectangle(layer, pen, &[program.whole()])?.ignore_error();
            }
            Ok(())
        })
    }

    fn copy_through(&mut self) -> anyhow::Result<()> {
        let (root, overlay) = (self.screen.root, self.overlay()?);
        self.x.composite_redirect_subwindows(root, Redirect::AUTOMATIC)?.ignore_error();
        let (pen, whole) = (self.gc(root)?, self.whole());
        self.every(20, |program| {
            let x = &program.x;
            for window in x.query_tree(root)?.reply()?.children {
                let pixmap = x.generate_id()?;
                x.composite_name_window_pixmap(window, pixmap)?.ignore_error();
                for layer in [root, overlay] {
                    let copied = x.copy_area(pixmap, layer, pen, 0, 0, 0, 0, whole.width, whole.height)?;
                    copied.ignore_error();
                }
                x.free_pixmap(pixmap)?.ignore_error();
            }
            Ok(())
        })
    }

    fn border_pixmap(&mut self) -> anyhow::Result<()> {
        let (root, overlay, depth) = (self.screen.root, self.overlay()?, self.screen.root_depth);
        let (pixmap, pen) = (self.x.generate_id()?, self.gc(root)?);
        self.x.create_pixmap(depth, pixmap, root, 64, 64)?;
        let all = Rectangle { x: 0, y: 0, width: 64, height: 64 };
        self.x.poly_fill_rectangle(pixmap, pen, &[all])?;
        let look = ChangeWindowAttributesAux::new().border_pixmap(pixmap);
        let wide = x11rb::protocol::xproto::ConfigureWindowAux::new().border_width(600);
        let own = self.window(true)?;
        self.x.map_window(own)?;
        self.every(20, |program| {
            for window in [overlay, own] {
                program.x.change_window_attributes(window, &look)?.ignore_error();
                program.x.configure_window(window, &wide)?.ignore_error();
            }
            Ok(())
        })?;
        let thin = x11rb::protocol::xproto::ConfigureWindowAux::new().border_width(0);
        self.x.configure_window(overlay, &thin)?.ignore_error();
        Ok(self.x.sync()?)
    }

    fn pointers(&mut self) -> anyhow::Result<()> {
        self.x.xfixes_query_version(5, 0)?.reply()?;
        let root = self.screen.root;
        let mut size = POINTER_PX;
        self.every(20, |program| {
            let cursor = program.pointer(size)?;
            size = if size > POINTER_PX / 2 { size - 1 } else { POINTER_PX };
            let look = ChangeWindowAttributesAux::new().cursor(cursor);
            for window in windows(&program.x, root)?.into_iter().chain([root]) {
                program.x.change_window_attributes(window, &look)?.ignore_error();
            }
            // A move makes the server look for the pointer that it should show.
            let (x, y) = (i16::try_from(size).unwrap_or(40) * 3, 200);
            program.x.warp_pointer(x11rb::NONE, root, 0, 0, 0, 0, x, y)?;
            program.x.free_cursor(cursor)?;
            Ok(())
        })?;
        self.usual_pointer()
    }

    fn raw_keys(&mut self) -> anyhow::Result<()> {
        self.x.xinput_xi_query_version(2, 2)?.reply()?;
        let mask = vec![XIEventMask::RAW_KEY_PRESS | XIEventMask::RAW_BUTTON_PRESS];
        let all = InputMask { deviceid: Device::ALL.into(), mask };
        self.x.xinput_xi_select_events(self.screen.root, &[all])?.check()?;
        self.every(5, |program| {
            while let Some(event) = program.x.poll_for_event()? {
                let heard = matches!(event, Event::XinputRawKeyPress(_) | Event::XinputRawButtonPress(_));
                program.outcome.keys += u64::from(heard);
            }
            Ok(())
        })
    }

    fn keymap(&mut self) -> anyhow::Result<()> {
        self.every(2, |program| {
            let down = program.x.query_keymap()?.reply()?.keys;
            program.outcome.keys += u64::from(down.iter().any(|byte| *byte != 0));
            Ok(())
        })
    }

    /// What it gets is its own: a locker hears the keys that are typed at it.
    fn locker(&mut self) -> anyhow::Result<()> {
        let window = self.window(true)?;
        self.x.map_window(window)?;
        self.x.sync()?;
        self.every(20, |program| {
            let (now, mode) = (x11rb::CURRENT_TIME, GrabMode::ASYNC);
            program.x.grab_keyboard(false, window, now, mode, mode)?.reply()?;
            while let Some(event) = program.x.poll_for_event()? {
                program.outcome.keys += u64::from(matches!(event, Event::KeyPress(_)));
            }
            Ok(())
        })
    }
}
