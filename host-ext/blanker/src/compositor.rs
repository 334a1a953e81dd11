//! Who may draw above the desktop: compositors, and whoever has a window inside the overlay.
//!
//! A compositor that draws into a window of its own inside the overlay (xfwm4, GNOME, KDE) stays
//! below our child. One that draws on the overlay itself (picom) would draw over it and is ended,
//! as is every other client with a window in there. While covered the compositor's place is kept,
//! so that none starts; a window manager that insists on it may have it, below us.

use sudare_blanker::wire::Notice;
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, MapState, Window};

use crate::display::Display;
use crate::error::{BlankerError, if_there};
use crate::windows::Windows;

/// So often a compositor may put its window above ours, per cover: starting takes two steps.
const STRIKES_MAX: u8 = 4;

/// The atoms of EWMH that tell who is who.
pub(crate) struct Compositor {
    /// The place of the compositor of screen 0.
    selection: Atom,
    window_manager: Atom,
    /// The compositor that is tolerated, by its selection's window.
    tolerated: Option<Window>,
    strikes: u8,
}

impl Compositor {
    pub(crate) fn new(display: &Display) -> Result<Self, BlankerError> {
        let selection = display.x.intern_atom(false, b"_NET_WM_CM_S0")?;
        let window_manager = display.x.intern_atom(false, b"_NET_SUPPORTING_WM_CHECK")?;
        let (selection, window_manager) = (selection.reply()?.atom, window_manager.reply()?.atom);
        Ok(Self { selection, window_manager, tolerated: None, strikes: 0 })
    }

    /// At the beginning of a cover, with the server grabbed: whoever is ended does not draw once more.
    pub(crate) fn settle(&mut self, display: &Display, ours: &Windows) -> Result<Vec<Notice>, BlankerError> {
        self.strikes = 0;
        let owner = display.x.get_selection_owner(self.selection)?.reply()?.owner;
        let others = others_in_overlay(display, ours)?;
        let draws_in_its_own =
            others.iter().any(|(window, visible)| *visible && display.same_client(*window, owner));
        self.tolerated = draws_in_its_own.then_some(owner);
        let mut notices = Vec::from_iter(self.take_place(display, ours)?);
        for (window, _) in others {
            if !self.tolerated.is_some_and(|compositor| display.same_client(window, compositor)) {
                display.x.kill_client(window)?;
                notices.push(Notice::IntruderRemoved);
            }
        }
        Ok(notices)
    }

    /// Somebody has taken the place that was kept.
    pub(crate) fn on_place_lost(
        &mut self,
        display: &Display,
        ours: &Windows,
    ) -> Result<Option<Notice>, BlankerError> {
        let owner = display.x.get_selection_owner(self.selection)?.reply()?.owner;
        if self.is_window_manager(display, owner)? {
            self.tolerated = Some(owner);
        }
        self.take_place(display, ours)
    }

    /// A window in the overlay was made, shown or raised by somebody else: true if that one is gone now.
    pub(crate) fn on_intruder(&mut self, display: &Display, window: Window) -> Result<bool, BlankerError> {
        let tolerated = self.tolerated.is_some_and(|compositor| display.same_client(window, compositor));
        if tolerated && self.strikes < STRIKES_MAX {
            self.strikes += 1;
            return Ok(false);
        }
        display.x.kill_client(window)?;
        Ok(true)
    }

    /// Ends a compositor that is not tolerated and keeps its place.
    fn take_place(&self, display: &Display, ours: &Windows) -> Result<Option<Notice>, BlankerError> {
        let x = &display.x;
        let owner = x.get_selection_owner(self.selection)?.reply()?.owner;
        if owner == ours.child || self.tolerated.is_some_and(|tolerated| tolerated == owner) {
            return Ok(None);
        }
        let ended = owner != x11rb::NONE && !display.is_ours(owner);
        if ended {
            x.kill_client(owner)?;
        }
        x.set_selection_owner(ours.child, self.selection, x11rb::CURRENT_TIME)?;
        Ok(ended.then_some(Notice::CompositorEnded))
    }

    fn is_window_manager(&self, display: &Display, owner: Window) -> Result<bool, BlankerError> {
        let property =
            display.x.get_property(false, display.root, self.window_manager, AtomEnum::WINDOW, 0, 1)?;
        let found = if_there(property.reply())?;
        let window = found.and_then(|property| property.value32().and_then(|mut values| values.next()));
        Ok(window.is_some_and(|window| display.same_client(window, owner)))
    }
}

/// Windows of others inside the overlay, and whether they can be seen.
fn others_in_overlay(display: &Display, ours: &Windows) -> Result<Vec<(Window, bool)>, BlankerError> {
    let tree = if_there(display.x.query_tree(ours.overlay)?.reply())?;
    let mut others = Vec::new();
    for window in tree.map(|tree| tree.children).unwrap_or_default() {
        if display.is_ours(window) {
            continue;
        }
        let attributes = if_there(display.x.get_window_attributes(window)?.reply())?;
        others
            .push((window, attributes.is_some_and(|attributes| attributes.map_state == MapState::VIEWABLE)));
    }
    Ok(others)
}
