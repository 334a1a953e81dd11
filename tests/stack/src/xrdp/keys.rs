//! Types into a display as a keyboard does, through XTEST.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    ConnectionExt as _, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

/// Between press and release, and before the next key: slower than any auto-repeat or debounce.
const KEY_TIME: Duration = Duration::from_millis(15);

/// The keysym of the left Shift key.
const SHIFT: u32 = 0xFFE1;
/// How far the pointer goes from the centre.
const STRIDE_PX: i16 = 40;

/// The keyboard of the private computer.
pub struct Keyboard {
    connection: RustConnection,
    root: Window,
    centre: (i16, i16),
}

impl std::fmt::Debug for Keyboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyboard")
    }
}

impl Keyboard {
    pub fn open(display: &str) -> anyhow::Result<Self> {
        let (connection, number) = x11rb::connect(Some(display))
            .with_context(|| format!("the display {display} cannot be opened"))?;
        connection.xtest_get_version(2, 2)?.reply().context("the display has no XTEST")?;
        let screen = connection.setup().roots.get(number).context("the display has no screen")?;
        let half = |side: u16| i16::try_from(side / 2).unwrap_or(i16::MAX);
        let centre = (half(screen.width_in_pixels), half(screen.height_in_pixels));
        let root = screen.root;
        Ok(Keyboard { connection, root, centre })
    }

    /// Presses and releases the key of a character this many times; the window in the middle of
    /// the screen gets it: without a window manager nothing else decides.
    pub fn type_key(&self, character: char, times: usize) -> anyhow::Result<()> {
        // Latin letters have their own code as keysym.
        let code = self.key_code(u32::from(character))?;
        self.fake(MOTION_NOTIFY_EVENT, 0)?;
        self.connection.set_input_focus(
            InputFocus::POINTER_ROOT,
            u32::from(InputFocus::POINTER_ROOT),
            0u32,
        )?;
        for _ in 0..times {
            for event in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
                self.fake(event, code)?;
                std::thread::sleep(KEY_TIME);
            }
        }
        Ok(())
    }

    /// Presses Shift, or lets go of it.
    pub fn hold_shift(&self, down: bool) -> anyhow::Result<()> {
        self.fake(if down { KEY_PRESS_EVENT } else { KEY_RELEASE_EVENT }, self.key_code(SHIFT)?)
    }

    /// Moves the pointer away from where keys are typed.
    pub fn move_pointer(&self) -> anyhow::Result<()> {
        let (x, y) = (self.centre.0 + STRIDE_PX, self.centre.1 + STRIDE_PX);
        self.connection.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, self.root, x, y, 0)?.check()?;
        Ok(())
    }

    fn fake(&self, event: u8, detail: u8) -> anyhow::Result<()> {
        let (x, y) = self.centre;
        self.connection.xtest_fake_input(event, detail, 0, self.root, x, y, 0)?.check()?;
        Ok(())
    }

    fn key_code(&self, keysym: u32) -> anyhow::Result<u8> {
        let setup = self.connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let mapping = self.connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
        let per_code = usize::from(mapping.keysyms_per_keycode);
        ensure!(per_code > 0, "the display has no keyboard");
        let mut codes = (first..=last).zip(mapping.keysyms.chunks(per_code));
        let found = codes.find(|(_, symbols)| symbols.first() == Some(&keysym));
        found.map(|(code, _)| code).with_context(|| format!("no key gives the symbol {keysym:#x}"))
    }
}
