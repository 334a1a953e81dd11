//! What the client holds down, so that nothing stays pressed on either side of a cover.

use std::collections::BTreeSet;

use crate::limits::KEYS_DOWN_MAX;
use crate::wire::input::{Event, Key};

/// Buttons of the mouse, of its further ones, and that one goes down.
const BUTTONS: u16 = 0x7000;
const EXTENDED_BUTTONS: u16 = 0x0003;
const DOWN: u16 = 0x8000;

/// The keys that a cover itself listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoverKey {
    /// F1: why, and what to do.
    Help,
    /// F2: a break.
    Break,
    /// F3: this cover is wrong.
    Report,
    /// F4: the connection is to end.
    Leave,
}

impl CoverKey {
    const ALL: [(u8, Self); 4] =
        [(0x3B, Self::Help), (0x3C, Self::Break), (0x3D, Self::Report), (0x3E, Self::Leave)];

    fn of(key: Key) -> Option<Self> {
        let known = Self::ALL.iter().find(|(code, _)| key == Key { code: *code, prefix: 0 });
        known.map(|(_, cover_key)| *cover_key)
    }
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// What the host believes to be down.
    down: BTreeSet<Key>,
    characters: BTreeSet<u16>,
    buttons: u16,
    extended: u16,
    at: (u16, u16),
    /// What the client holds down under a cover: a key that repeats is one wish.
    covered: BTreeSet<Key>,
    toggles: Option<u8>,
}

impl Keys {
    /// The host hears these.
    pub(super) fn pass(&mut self, events: &[Event]) {
        for event in events {
            match *event {
                Event::Key(key, true) => drop(self.down.insert(key)),
                Event::Key(key, false) => drop(self.down.remove(&key)),
                // Unlike keys, there are many; one that is too much types nothing when it stays down.
                Event::Character(character, true) if self.characters.len() < KEYS_DOWN_MAX => {
                    self.characters.insert(character);
                }
                Event::Character(_, true) | Event::Time => {}
                Event::Character(character, false) => drop(self.characters.remove(&character)),
                Event::Mouse(flags, x, y) => {
                    self.at = (x, y);
                    press(&mut self.buttons, flags, BUTTONS);
                }
                Event::MouseRelative(flags, _, _) => press(&mut self.buttons, flags, BUTTONS),
                Event::MouseExtended(flags, x, y) => {
                    self.at = (x, y);
                    press(&mut self.extended, flags, EXTENDED_BUTTONS);
                }
                Event::Synchronize(toggles) => self.toggles = Some(toggles),
            }
        }
    }

    /// Only the cover hears these.
    pub(super) fn keep(&mut self, events: &[Event]) -> Vec<CoverKey> {
        let mut pressed = Vec::new();
        for event in events {
            match *event {
                Event::Synchronize(toggles) => self.toggles = Some(toggles),
                Event::Key(key, true) if CoverKey::of(key).is_some() && self.covered.insert(key) => {
                    pressed.extend(CoverKey::of(key));
                }
                Event::Key(key, false) => drop(self.covered.remove(&key)),
                _ => {}
            }
        }
        pressed
    }

    /// What makes the host let go of everything.
    pub(super) fn release(&mut self) -> Vec<Event> {
        self.covered = std::mem::take(&mut self.down);
        let mut events: Vec<Event> = self.covered.iter().map(|key| Event::Key(*key, false)).collect();
        let characters = std::mem::take(&mut self.characters);
        events.extend(characters.into_iter().map(|character| Event::Character(character, false)));
        let (x, y) = self.at;
        for button in [0x1000, 0x2000, 0x4000].into_iter().filter(|button| self.buttons & button != 0) {
            events.push(Event::Mouse(button, x, y));
        }
        for button in [1, 2].into_iter().filter(|button| self.extended & button != 0) {
            events.push(Event::MouseExtended(button, x, y));
        }
        (self.buttons, self.extended) = (0, 0);
        events
    }

    /// What tells the host of the lock keys that were changed under the cover.
    pub(super) fn resume(&mut self) -> Option<Event> {
        self.covered.clear();
        self.toggles.map(Event::Synchronize)
    }
}

fn press(held: &mut u16, flags: u16, of: u16) {
    if flags & DOWN != 0 {
        *held |= flags & of;
    } else {
        *held &= !(flags & of);
    }
}
