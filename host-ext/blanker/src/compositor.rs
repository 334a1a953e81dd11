//! Compositors. One that draws into a window of its own inside the overlay (xfwm4, GNOME, KDE)
//! stays below our child. One that draws on the overlay itself (picom) would draw over it, and is
//! ended; while covered its place is kept so that no other starts.

use sudare_blanker::wire::Notice;
use x11rb::protocol::xproto::{Atom, ConnectionExt as _, MapState, Window};

use crate::display::Display;
use crate::error::{BlankerError, if_there};
use crate::windows::Windows;

/// The place of the compositor of screen 0 (EWMH).
pub(crate) const SELECTION: &[u8] = b"_NET_WM_CM_S0";

/// Called with the server grabbed: an ended compositor does not draw once more.
pub(crate) fn settle(
    display: &Display,
    selection: Atom,
    ours: &Windows,
) -> Result<Option<Notice>, BlankerError> {
    let x = &display.x;
    let owner = x.get_selection_owner(selection)?.reply()?.owner;
    if ours.contains(owner) || (owner != x11rb::NONE && draws_in_its_own_window(display, ours, owner)?) {
        return Ok(None);
    }
    let ended = owner != x11rb::NONE;
    if ended {
        x.kill_client(owner)?;
    }
    x.set_selection_owner(ours.child, selection, x11rb::CURRENT_TIME)?;
    Ok(ended.then_some(Notice::CompositorEnded))
}

fn draws_in_its_own_window(
    display: &Display,
    ours: &Windows,
    compositor: Window,
) -> Result<bool, BlankerError> {
    let tree = if_there(display.x.query_tree(ours.overlay)?.reply())?;
    for child in tree.map(|tree| tree.children).unwrap_or_default() {
        if !display.same_client(child, compositor) {
            continue;
        }
        let attributes = if_there(display.x.get_window_attributes(child)?.reply())?;
        if attributes.is_some_and(|attributes| attributes.map_state == MapState::VIEWABLE) {
            return Ok(true);
        }
    }
    Ok(false)
}
