//! When somebody has the X server end our connection, and destroy our windows with it.
//!
//! The overlay belongs to the server and shows the cover as its own background for as long as
//! anybody holds it. The second connection holds it, and nobody can name anything it owns. So it
//! is kept until a successor's window is in there, or the patience ends: a process that hides a
//! desktop without anybody to show it again would be a fault of its own.
//!
//! With our windows the keyboard focus goes, too, and a window manager gives it back to the desktop
//! within milliseconds. So the second connection takes the masters; until it has them, the grabs with
//! which it stood by catch every key.

use std::time::{Duration, Instant};

use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _};

use crate::display::Display;
use crate::error::{BlankerError, if_there};
use crate::input::hold_masters;
use crate::windows::{Trim, Windows};

/// Enough for a guard to start a successor, and for the supervisor to end the session otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits with the overlay held by `keeper`. `lost` are the windows that the dead connection had.
pub(crate) fn linger(keeper: &Display, trim: &Trim, lost: &Windows) -> Result<(), BlankerError> {
    hold_masters(keeper)?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && !has_successor(keeper, trim, lost)? {
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn has_successor(keeper: &Display, trim: &Trim, lost: &Windows) -> Result<bool, BlankerError> {
    let Some(tree) = if_there(keeper.x.query_tree(lost.overlay)?.reply())? else { return Ok(true) };
    for window in tree.children {
        if keeper.same_client(window, lost.child) {
            continue;
        }
        let property = keeper.x.get_property(false, window, trim.tag, AtomEnum::CARDINAL, 0, 1)?;
        if if_there(property.reply())?.is_some_and(|property| property.value_len > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}
