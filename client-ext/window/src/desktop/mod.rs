//! What the desktop offers besides a window: a key that works everywhere, and an entry in the tray. Both are extras:
//! where one is missing, `sudare cover` and the window's button do the same.

#[cfg(target_os = "linux")]
mod hotkey;
#[cfg(target_os = "linux")]
mod tray;

use crate::post::Post;
use crate::words::Language;

/// Ends with the window.
pub(crate) struct Desktop {
    #[cfg(target_os = "linux")]
    _tray: Option<tray::Handle>,
}

#[cfg(target_os = "linux")]
pub(crate) fn offer(post: &Post, language: Language) -> Desktop {
    hotkey::start(post.clone());
    Desktop { _tray: tray::show(post.clone(), language) }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn offer(_: &Post, _: Language) -> Desktop {
    Desktop {}
}
