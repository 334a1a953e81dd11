//! What an event means for the cover.

use x11rb::protocol::Event;
use x11rb::protocol::shape::{NotifyEvent, SK};
use x11rb::protocol::xproto::{ConfigureNotifyEvent, Window};

use crate::windows::Windows;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Nothing,
    /// Something may be above the cover now.
    Raised,
    /// A window of the cover is not where it was put.
    Misplaced,
    /// A window of the cover was hidden, destroyed, cut or taken away.
    Torn,
    /// Somebody has a window in the cover's own layer, and did something with it.
    Intruder(Window),
    /// The screen or its monitors may have changed.
    Layout,
    /// The key with this code went down.
    Key(u32),
    /// The codes of the keys changed.
    KeyCodes,
    /// Somebody took the place of the compositor that is kept free while covered.
    Compositor,
}

/// The screen and what covers it, if anything does.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) root: Window,
    pub(crate) size: (u16, u16),
    pub(crate) windows: Option<Windows>,
}

impl Scene {
    pub(crate) fn meaning(&self, event: &Event) -> Meaning {
        match event {
            Event::RandrNotify(_) | Event::RandrScreenChangeNotify(_) => Meaning::Layout,
            Event::ConfigureNotify(event) if event.window == self.root => Meaning::Layout,
            Event::MappingNotify(_) => Meaning::KeyCodes,
            _ => self.windows.map_or(Meaning::Nothing, |windows| self.meaning_for(&windows, event)),
        }
    }

    fn meaning_for(&self, windows: &Windows, event: &Event) -> Meaning {
        let ours = |window| windows.contains(window);
        match event {
            Event::XinputKeyPress(event) => Meaning::Key(event.detail),
            Event::SelectionClear(_) => Meaning::Compositor,
            Event::UnmapNotify(event) if ours(event.window) => Meaning::Torn,
            Event::DestroyNotify(event) if ours(event.window) => Meaning::Torn,
            Event::ReparentNotify(event) if ours(event.window) => Meaning::Torn,
            Event::ShapeNotify(event) if ours(event.affected_window) => self.cut(windows, event),
            Event::ConfigureNotify(event) if ours(event.window) => self.placed(event),
            Event::CreateNotify(event) if event.parent == windows.overlay && !ours(event.window) => {
                Meaning::Intruder(event.window)
            }
            Event::ReparentNotify(event) if event.parent == windows.overlay => {
                Meaning::Intruder(event.window)
            }
            Event::MapNotify(event) if event.event == windows.overlay && !ours(event.window) => {
                Meaning::Intruder(event.window)
            }
            Event::ConfigureNotify(event) if event.event == windows.overlay => {
                Meaning::Intruder(event.window)
            }
            Event::MapNotify(event) if event.event == self.root && !ours(event.window) => Meaning::Raised,
            Event::ConfigureNotify(event) if event.event == self.root => Meaning::Raised,
            _ => Meaning::Nothing,
        }
    }

    /// The top window has a shape as large as itself, the overlay's contents are clipped away. The
    /// shape of the input is the compositor's business; ours does not depend on it.
    fn cut(&self, windows: &Windows, event: &NotifyEvent) -> Meaning {
        let extents = (event.extents_width, event.extents_height);
        let right = match event.shape_kind {
            SK::INPUT => true,
            SK::BOUNDING if event.affected_window == windows.top => event.shaped && extents == self.size,
            SK::CLIP if event.affected_window == windows.overlay => event.shaped && extents == (0, 0),
            _ => !event.shaped,
        };
        if right { Meaning::Nothing } else { Meaning::Torn }
    }

    fn placed(&self, event: &ConfigureNotifyEvent) -> Meaning {
        let (width, height) = self.size;
        let right = (event.x, event.y, event.width, event.height) == (0, 0, width, height);
        if right { Meaning::Nothing } else { Meaning::Misplaced }
    }
}

#[cfg(test)]
mod tests {
    use x11rb::protocol::xproto::{
        CONFIGURE_NOTIFY_EVENT, CREATE_NOTIFY_EVENT, CreateNotifyEvent, UNMAP_NOTIFY_EVENT, UnmapNotifyEvent,
    };

    use super::*;

    const WINDOWS: Windows = Windows { top: 10, overlay: 11, child: 12 };
    const SCENE: Scene = Scene { root: 1, size: (800, 600), windows: Some(WINDOWS) };

    fn configured(window: Window, event: Window, width: u16, height: u16) -> Event {
        Event::ConfigureNotify(ConfigureNotifyEvent {
            response_type: CONFIGURE_NOTIFY_EVENT,
            sequence: 0,
            event,
            window,
            above_sibling: 0,
            x: 0,
            y: 0,
            width,
            height,
            border_width: 0,
            override_redirect: true,
        })
    }

    fn created(window: Window, parent: Window) -> Event {
        Event::CreateNotify(CreateNotifyEvent {
            response_type: CREATE_NOTIFY_EVENT,
            sequence: 0,
            parent,
            window,
            x: 0,
            y: 0,
            width: 1,
            height: 1,
            border_width: 0,
            override_redirect: true,
        })
    }

    #[test]
    fn our_own_steps_mean_nothing() {
        assert_eq!(SCENE.meaning(&configured(10, 10, 800, 600)), Meaning::Nothing);
        assert_eq!(SCENE.meaning(&configured(11, 1, 800, 600)), Meaning::Nothing);
        assert_eq!(SCENE.meaning(&created(12, 11)), Meaning::Nothing);
    }

    #[test]
    fn what_others_do_to_the_cover_is_noticed() {
        assert_eq!(SCENE.meaning(&configured(99, 1, 5, 5)), Meaning::Raised);
        assert_eq!(SCENE.meaning(&configured(99, 11, 5, 5)), Meaning::Intruder(99));
        assert_eq!(SCENE.meaning(&configured(10, 10, 1, 1)), Meaning::Misplaced);
        assert_eq!(SCENE.meaning(&created(99, 11)), Meaning::Intruder(99));
        assert_eq!(SCENE.meaning(&created(99, 1)), Meaning::Nothing, "it is not visible yet");
        let unmap = |window| {
            let (response_type, sequence) = (UNMAP_NOTIFY_EVENT, 0);
            let from_configure = false;
            Event::UnmapNotify(UnmapNotifyEvent { response_type, sequence, event: 1, window, from_configure })
        };
        assert_eq!(SCENE.meaning(&unmap(10)), Meaning::Torn);
        assert_eq!(SCENE.meaning(&unmap(99)), Meaning::Nothing);
    }

    #[test]
    fn a_shown_desktop_has_nothing_to_defend() {
        let shown = Scene { windows: None, ..SCENE };
        assert_eq!(shown.meaning(&configured(99, 1, 5, 5)), Meaning::Nothing);
        assert_eq!(shown.meaning(&configured(1, 1, 5, 5)), Meaning::Layout);
    }
}
