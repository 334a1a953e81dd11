//! The cover's keys: F1 help, F2 a break, F3 a wrong block. Nothing else does anything.

use std::time::{Duration, Instant};

use sudare_blanker::wire::Key;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::ConnectionExt as _;

use crate::display::Display;
use crate::error::BlankerError;

/// Auto-repeat and nervous fingers count once.
const DEBOUNCE: Duration = Duration::from_millis(700);

/// X11/keysymdef.h: XK_F1, XK_F2, XK_F3.
const KEYSYMS: [(u32, Key); 3] = [(0xffbe, Key::Help), (0xffbf, Key::Break), (0xffc0, Key::WrongBlock)];

#[derive(Default)]
pub(crate) struct Keys {
    codes: Vec<(u32, Key)>,
    last: Option<(Key, Instant)>,
}

impl Keys {
    /// Learns which key codes the keys have on this display.
    pub(crate) fn learn(&mut self, display: &Display) -> Result<(), BlankerError> {
        let setup = display.x.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let count = last.saturating_sub(first).saturating_add(1);
        let mapping = display.x.get_keyboard_mapping(first, count)?.reply()?;
        self.codes = codes(u32::from(first), usize::from(mapping.keysyms_per_keycode), &mapping.keysyms);
        Ok(())
    }

    /// A key went down.
    pub(crate) fn press(&mut self, code: u32, now: Instant) -> Option<Key> {
        let key = self.codes.iter().find(|(known, _)| *known == code).map(|(_, key)| *key)?;
        let repeated = self.last.is_some_and(|(last, at)| last == key && now < at + DEBOUNCE);
        self.last = Some((key, now));
        (!repeated).then_some(key)
    }
}

/// The codes whose key says F1, F2 or F3 without modifiers.
fn codes(first: u32, per_code: usize, keysyms: &[u32]) -> Vec<(u32, Key)> {
    let named = |keysym: u32| KEYSYMS.iter().find(|(known, _)| *known == keysym).map(|(_, key)| *key);
    (first..)
        .zip(keysyms.chunks(per_code.max(1)))
        .filter_map(|(code, levels)| Some((code, named(*levels.first()?)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_keys_are_found_and_others_are_not() {
        let keysyms = [0x61, 0x41, 0xffbe, 0, 0xffc0, 0, 0x62, 0xffbf];
        assert_eq!(codes(8, 2, &keysyms), [(9, Key::Help), (10, Key::WrongBlock)]);
    }

    #[test]
    fn a_key_held_down_counts_once() {
        let mut keys = Keys { codes: vec![(9, Key::Help), (10, Key::Break)], last: None };
        let start = Instant::now();
        assert_eq!(keys.press(9, start), Some(Key::Help));
        for step in 1..50 {
            assert_eq!(keys.press(9, start + Duration::from_millis(step * 30)), None, "auto-repeat");
        }
        assert_eq!(keys.press(10, start), Some(Key::Break));
        assert_eq!(keys.press(10, start + Duration::from_secs(2)), Some(Key::Break));
        assert_eq!(keys.press(38, start), None);
    }
}
