//! Ctrl+Alt+H covers, whichever window has the keyboard, on X11. A thread that sleeps until the key is pressed.
//!
//! A remote desktop that grabs the keyboard (xfreerdp does in full screen) takes this key as well; then the desktop gets it.

use std::thread;

use x11rb::connection::Connection as _;
use x11rb::protocol::Event as XEvent;
use x11rb::protocol::xproto::{ConnectionExt as _, GrabMode, ModMask};

use crate::model::Event;
use crate::post::Post;

/// The letter h.
const KEYSYM_H: u32 = 0x68;
/// Caps Lock and Num Lock, in which the key has to work as well.
const LOCKS: [u16; 4] = [0, 2, 16, 18];

pub(super) fn start(post: Post) {
    let body = move || {
        if let Err(error) = serve(&post) {
            tracing::info!(
                "there is no global key: {error}. Set `sudare cover` as a shortcut of your desktop instead"
            );
        }
    };
    if let Err(error) = thread::Builder::new().name("hotkey".into()).spawn(body) {
        tracing::info!("there is no global key: {error}");
    }
}

fn serve(post: &Post) -> Result<(), Box<dyn std::error::Error>> {
    let (connection, screen) = x11rb::connect(None)?;
    let root = connection.setup().roots.get(screen).ok_or("no screen")?.root;
    let (first, last) = (connection.setup().min_keycode, connection.setup().max_keycode);
    let count = last.saturating_sub(first).saturating_add(1);
    let keys = connection.get_keyboard_mapping(first, count)?.reply()?;
    let per_key = usize::from(keys.keysyms_per_keycode).max(1);
    let at = keys.keysyms.chunks(per_key).position(|symbols| symbols.first() == Some(&KEYSYM_H));
    let key = first.saturating_add(u8::try_from(at.ok_or("no key for the letter h")?)?);
    for locks in LOCKS {
        let modifiers = ModMask::from(u16::from(ModMask::CONTROL) | u16::from(ModMask::M1) | locks);
        // Another program may have it.
        connection.grab_key(false, root, modifiers, key, GrabMode::ASYNC, GrabMode::ASYNC)?.check()?;
    }
    while let Ok(event) = connection.wait_for_event() {
        if matches!(event, XEvent::KeyPress(_)) && !post.send(Event::CoverNow) {
            break;
        }
    }
    Ok(())
}
