//! Programs of the session's user that want the desktop to be seen, or to hear its keys.
//!
//! Each attack is a mode of the program `sudare-hostile`, which prints how often it struck and how
//! many keys it got.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use x11rb::connection::Connection;
use x11rb::cookie::VoidCookie;
use x11rb::errors::ReplyError;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::shape::{ConnectionExt as _, SK, SO};
use x11rb::protocol::xproto::{
    ColormapAlloc, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, EventMask, GrabMode, Screen,
    StackMode, Visibility, Window, WindowClass,
};
use x11rb::protocol::{ErrorKind, Event};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::display::resize;
use crate::xrdp::palette::{HOSTILE, pixel_value};

/// What a hostile window looks like.
const COLOUR: u32 = pixel_value(HOSTILE[0]);

/// The attacks, by the names of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Just a window.
    Nothing,
    /// Raises itself every 10 ms.
    Raise,
    /// Raises itself as fast as it can.
    BusyRaise,
    /// Raises itself when the server reports it as obscured.
    RaiseOnVisibility,
    /// New windows every 20 ms, managed and override-redirect, of depth 24 and 32.
    NewWindows,
    /// A menu that holds keyboard and pointer.
    Menu,
    /// Keyboard and pointer grabbed on the root window, which cannot be hidden.
    RootGrab,
    /// Holds the server for 20 ms at a time, and raises itself meanwhile.
    ServerGrab,
    /// A window in the layer above all windows.
    OverlayChild,
    /// Unmaps the overlay window itself every 10 ms.
    UnmapOverlay,
    /// Takes the shape of the overlay away every 10 ms.
    OverlayShape,
    /// Changes the size of the screen every 200 ms.
    Resize,
}

impl Attack {
    /// All but `RootGrab`: keys that XTEST types go to whoever holds the keyboard.
    pub const ALL: [Self; 11] = [
        Self::Nothing,
        Self::Raise,
        Self::BusyRaise,
        Self::RaiseOnVisibility,
        Self::NewWindows,
        Self::Menu,
        Self::ServerGrab,
        Self::OverlayChild,
        Self::UnmapOverlay,
        Self::OverlayShape,
        Self::Resize,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Raise => "raise",
            Self::BusyRaise => "busy-raise",
            Self::RaiseOnVisibility => "raise-on-visibility",
            Self::NewWindows => "new-windows",
            Self::Menu => "menu",
            Self::RootGrab => "root-grab",
            Self::ServerGrab => "server-grab",
            Self::OverlayChild => "overlay-child",
            Self::UnmapOverlay => "unmap-overlay",
            Self::OverlayShape => "overlay-shape",
            Self::Resize => "resize",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::RootGrab]).find(|attack| attack.name() == name)
    }
}

/// How often it struck, and how many keys it got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub strikes: u64,
    pub keys: u64,
}

/// Attacks the display of the environment for so long.
pub fn attack(attack: Attack, duration: Duration) -> anyhow::Result<Outcome> {
    let (x, _) = RustConnection::connect(None).context("no display")?;
    let hostile = Hostile::new(x, duration)?;
    let (window, root) = (hostile.window, hostile.screen.root);
    match attack {
        Attack::Nothing => hostile.every(50, |_| Ok(())),
        Attack::Raise => hostile.every(10, |hostile| hostile.raise(hostile.window)),
        Attack::BusyRaise => hostile.every(0, |hostile| hostile.raise(hostile.window)),
        Attack::RaiseOnVisibility => hostile.raise_on_visibility(),
        Attack::NewWindows => hostile.new_windows(),
        Attack::Menu => hostile.hold_grabs(window),
        Attack::RootGrab => hostile.hold_grabs(root),
        Attack::ServerGrab => hostile.server_grab(),
        Attack::OverlayChild => hostile.overlay_child(),
        Attack::UnmapOverlay => hostile.unmap_overlay(),
        Attack::OverlayShape => hostile.overlay_shape(),
        Attack::Resize => hostile.resize(),
    }
}

struct Hostile {
    x: RustConnection,
    screen: Screen,
    window: Window,
    until: Instant,
    outcome: Outcome,
}

impl Hostile {
    fn new(x: RustConnection, duration: Duration) -> anyhow::Result<Self> {
        let screen = x.setup().roots.first().context("no screen")?.clone();
        let (window, until) = (x.generate_id()?, Instant::now() + duration);
        let hostile = Self { x, screen, window, until, outcome: Outcome::default() };
        hostile.create(window, hostile.screen.root, true)?;
        hostile.x.map_window(window)?;
        hostile.x.sync()?;
        Ok(hostile)
    }

    fn create(&self, window: Window, parent: Window, override_redirect: bool) -> anyhow::Result<()> {
        let look = CreateWindowAux::new()
            .override_redirect(u32::from(override_redirect))
            .background_pixel(COLOUR)
            .event_mask(EventMask::VISIBILITY_CHANGE | EventMask::KEY_PRESS | EventMask::BUTTON_PRESS);
        let (depth, visual) = (self.screen.root_depth, self.screen.root_visual);
        let class = WindowClass::INPUT_OUTPUT;
        self.x.create_window(depth, window, parent, 100, 100, 400, 300, 0, class, visual, &look)?;
        Ok(())
    }

    /// The same with an alpha channel, where the screen has such a visual.
    fn create_deep(&self, window: Window) -> anyhow::Result<()> {
        let deep = self.screen.allowed_depths.iter().find(|depth| depth.depth == 32);
        let Some(visual) = deep.and_then(|depth| depth.visuals.first()) else {
            return self.create(window, self.screen.root, true);
        };
        let colormap = self.x.generate_id()?;
        self.x.create_colormap(ColormapAlloc::NONE, colormap, self.screen.root, visual.visual_id)?;
        let look = CreateWindowAux::new()
            .override_redirect(1)
            .background_pixel(COLOUR | 0xff00_0000)
            .border_pixel(0)
            .colormap(colormap);
        let (root, class) = (self.screen.root, WindowClass::INPUT_OUTPUT);
        self.x.create_window(32, window, root, 100, 100, 400, 300, 0, class, visual.visual_id, &look)?;
        self.x.free_colormap(colormap)?;
        Ok(())
    }

    fn every(
        mut self,
        pause_ms: u64,
        strike: impl Fn(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        while Instant::now() < self.until {
            strike(&self)?;
            self.outcome.strikes += 1;
            self.x.sync()?;
            self.hear()?;
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
        Ok(self.outcome)
    }

    fn raise(&self, window: Window) -> anyhow::Result<()> {
        let above = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        quietly(self.x.configure_window(window, &above)?)
    }

    /// Counts the keys and clicks that came; returns whether we were told to be covered.
    fn hear(&mut self) -> anyhow::Result<bool> {
        let mut covered = false;
        while let Some(event) = self.x.poll_for_event()? {
            match event {
                Event::KeyPress(_) | Event::ButtonPress(_) => self.outcome.keys += 1,
                Event::VisibilityNotify(event) => covered |= event.state != Visibility::UNOBSCURED,
                _ => {}
            }
        }
        Ok(covered)
    }

    fn raise_on_visibility(mut self) -> anyhow::Result<Outcome> {
        while Instant::now() < self.until {
            if self.hear()? {
                self.raise(self.window)?;
                self.x.flush()?;
                self.outcome.strikes += 1;
            }
            std::thread::yield_now();
        }
        Ok(self.outcome)
    }

    fn new_windows(mut self) -> anyhow::Result<Outcome> {
        while Instant::now() < self.until {
            let window = self.x.generate_id()?;
            match self.outcome.strikes % 3 {
                0 => self.create(window, self.screen.root, true)?,
                1 => self.create(window, self.screen.root, false)?,
                _ => self.create_deep(window)?,
            }
            self.x.map_window(window)?;
            self.raise(window)?;
            self.x.sync()?;
            std::thread::sleep(Duration::from_millis(20));
            self.x.destroy_window(window)?;
            self.outcome.strikes += 1;
            self.hear()?;
        }
        Ok(self.outcome)
    }

    fn hold_grabs(mut self, window: Window) -> anyhow::Result<Outcome> {
        while Instant::now() < self.until {
            let (now, mode) = (x11rb::CURRENT_TIME, GrabMode::ASYNC);
            let none = x11rb::NONE;
            let pointer =
                self.x.grab_pointer(false, window, EventMask::BUTTON_PRESS, mode, mode, none, none, now)?;
            let keyboard = self.x.grab_keyboard(false, window, now, mode, mode)?;
            let (pointer, keyboard) = (pointer.reply()?, keyboard.reply()?);
            let held = x11rb::protocol::xproto::GrabStatus::SUCCESS;
            self.outcome.strikes += u64::from(pointer.status == held) + u64::from(keyboard.status == held);
            self.hear()?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(self.outcome)
    }

    fn server_grab(mut self) -> anyhow::Result<Outcome> {
        while Instant::now() < self.until {
            self.x.grab_server()?;
            for _ in 0..4 {
                self.raise(self.window)?;
                self.x.sync()?;
                std::thread::sleep(Duration::from_millis(5));
            }
            self.x.ungrab_server()?;
            self.x.sync()?;
            self.outcome.strikes += 1;
            self.hear()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(self.outcome)
    }

    /// Comes back with a new connection whenever it is thrown out.
    fn overlay_child(mut self) -> anyhow::Result<Outcome> {
        while Instant::now() < self.until {
            if let Ok((x, _)) = RustConnection::connect(None) {
                self.x = x;
                self.strike_in_overlay().ok();
            }
            self.outcome.strikes += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(self.outcome)
    }

    fn strike_in_overlay(&mut self) -> anyhow::Result<()> {
        self.x.composite_query_version(0, 4)?.reply()?;
        let overlay = self.x.composite_get_overlay_window(self.screen.root)?.reply()?.overlay_win;
        let window = self.x.generate_id()?;
        self.create(window, overlay, true)?;
        self.x.map_window(window)?;
        self.x.sync()?;
        while Instant::now() < self.until {
            self.raise(window)?;
            self.x.sync()?;
            self.hear()?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn unmap_overlay(self) -> anyhow::Result<Outcome> {
        let overlay = self.overlay()?;
        self.every(10, |hostile| quietly(hostile.x.unmap_window(overlay)?))
    }

    fn overlay_shape(self) -> anyhow::Result<Outcome> {
        let overlay = self.overlay()?;
        self.every(10, |hostile| {
            for kind in [SK::BOUNDING, SK::CLIP] {
                hostile.x.shape_mask(SO::SET, kind, overlay, 0, 0, x11rb::NONE)?.ignore_error();
            }
            Ok(())
        })
    }

    /// xorgxrdp lets nobody but the RDP client change the size: there all that is tried is refused,
    /// and only what was not refused is a strike.
    fn resize(self) -> anyhow::Result<Outcome> {
        let (width, height) = (self.screen.width_in_pixels, self.screen.height_in_pixels);
        let (small, done) = (std::cell::Cell::new(false), std::cell::Cell::new(0));
        let outcome = self.every(200, |hostile| {
            small.set(!small.get());
            let part = if small.get() { 2 } else { 3 };
            if is_allowed(resize(&hostile.x, width / 3 * part, height / 3 * part))? {
                done.set(done.get() + 1);
            }
            Ok(())
        })?;
        let (x, _) = RustConnection::connect(None)?;
        is_allowed(resize(&x, width, height))?;
        Ok(Outcome { strikes: done.get(), ..outcome })
    }

    fn overlay(&self) -> anyhow::Result<Window> {
        self.x.composite_query_version(0, 4)?.reply()?;
        let overlay = self.x.composite_get_overlay_window(self.screen.root)?.reply()?.overlay_win;
        // Only its number: to hold the overlay would help the cover.
        self.x.composite_release_overlay_window(self.screen.root)?;
        Ok(overlay)
    }
}

/// What the server thinks of it does not matter.
fn quietly(sent: VoidCookie<'_, RustConnection>) -> anyhow::Result<()> {
    sent.ignore_error();
    Ok(())
}

fn is_allowed(done: anyhow::Result<()>) -> anyhow::Result<bool> {
    match done.as_ref().map_err(|error| error.downcast_ref()) {
        Err(Some(ReplyError::X11Error(error))) if error.error_kind == ErrorKind::Match => Ok(false),
        _ => done.map(|()| true),
    }
}
