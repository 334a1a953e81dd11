//! Who was here before: windows of a blanker that died, or a session that was already seen.

use sudare_blanker::wire::Notice;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, GetWindowAttributesReply, MapState, Window, WindowClass,
};

use crate::display::Display;
use crate::error::{BlankerError, if_there};
use crate::windows::Windows;

/// More windows than any session has; the rest is not looked at.
const WINDOWS_MAX: usize = 4096;

/// Called with the server grabbed and our own cover shown. Removes the windows of predecessors.
///
/// `KillClient` twice: the first call on a living client with retained windows ends its
/// connection and keeps the windows, the second destroys them.
pub(crate) fn take_over(
    display: &Display,
    ours: &Windows,
    tag: Atom,
) -> Result<Option<Notice>, BlankerError> {
    let mut others_visible = false;
    let mut replaced = false;
    for layer in [display.root, ours.overlay] {
        for window in children(display, layer)? {
            if ours.contains(window) || display.is_ours(window) {
                continue;
            }
            if is_tagged(display, window, tag)? {
                replaced = true;
                display.x.kill_client(window)?;
                display.x.kill_client(window)?;
            } else if let Some(attributes) = if_there(display.x.get_window_attributes(window)?.reply())? {
                others_visible |= is_visible(&attributes);
            }
        }
    }
    Ok(match (replaced, others_visible) {
        (true, _) => Some(Notice::PredecessorReplaced),
        (false, true) => Some(Notice::LateStart),
        (false, false) => None,
    })
}

fn children(display: &Display, parent: Window) -> Result<Vec<Window>, BlankerError> {
    let tree = if_there(display.x.query_tree(parent)?.reply())?;
    let mut children = tree.map(|tree| tree.children).unwrap_or_default();
    // The newest are the last, and the ones that can be seen.
    let surplus = children.len().saturating_sub(WINDOWS_MAX);
    children.drain(..surplus);
    Ok(children)
}

fn is_tagged(display: &Display, window: Window, tag: Atom) -> Result<bool, BlankerError> {
    let property = display.x.get_property(false, window, tag, AtomEnum::CARDINAL, 0, 1)?;
    Ok(if_there(property.reply())?.is_some_and(|property| property.value_len > 0))
}

fn is_visible(attributes: &GetWindowAttributesReply) -> bool {
    attributes.map_state == MapState::VIEWABLE && attributes.class == WindowClass::INPUT_OUTPUT
}
