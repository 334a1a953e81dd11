//! Takes the input from an application that holds it: an open menu, another locker.
//!
//! A grab ends when its window is hidden. So windows are hidden one after the other, from the
//! top, until the grab is free, and shown again at once; the server is grabbed meanwhile and the
//! cover is above them, so nobody sees it.

use x11rb::protocol::xproto::{ConnectionExt as _, Cursor, MapState, Window};

use crate::display::Display;
use crate::error::{BlankerError, if_there};
use crate::input::Input;
use crate::windows::Windows;

/// A session with more windows than this keeps its grab: physical devices are floated anyway.
const WINDOWS_MAX: usize = 512;

/// Whether the masters are ours now. The caller holds the server grab.
pub(crate) fn steal(
    display: &Display,
    input: &mut Input,
    cursor: Cursor,
    ours: &Windows,
) -> Result<bool, BlankerError> {
    let children = display.x.query_tree(display.root)?.reply()?.children;
    let mut hidden: Vec<Window> = Vec::new();
    let mut free = false;
    for window in children.into_iter().rev().filter(|window| !ours.contains(*window)).take(WINDOWS_MAX) {
        let attributes = if_there(display.x.get_window_attributes(window)?.reply())?;
        if attributes.is_none_or(|attributes| attributes.map_state != MapState::VIEWABLE) {
            continue;
        }
        display.x.unmap_window(window)?;
        hidden.push(window);
        if input.take(display, cursor)?.masters {
            free = true;
            break;
        }
    }
    for window in hidden.into_iter().rev() {
        display.x.map_window(window)?;
    }
    Ok(free)
}
