//! What must not be seen and not be typed into: a full-screen window of known colours that counts
//! the keys and clicks it gets.

use anyhow::Context as _;
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::Event;
use x11rb::protocol::xinput::{self, ConnectionExt as _, DeviceType};
use x11rb::protocol::xproto::{
    AtomEnum, ConnectionExt as _, CreateGCAux, CreateWindowAux, EventMask, InputFocus, KEY_PRESS_EVENT,
    KEY_RELEASE_EVENT, Rectangle, Window, WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::display::Access;

/// Red, green, blue and white on grey: no pixel is black.
pub const BACKGROUND: u32 = 0x80_80_80;
const STRIPES: [u32; 4] = [0xff_00_00, 0x00_ff_00, 0x00_00_ff, 0xff_ff_ff];
/// A key that types a letter on every layout of Xvfb and xorgxrdp ("a" or its neighbour).
const LETTER_KEYCODE: u8 = 38;

/// The desktop that is to be covered.
#[derive(Debug)]
pub struct Desktop {
    x: RustConnection,
    pub window: Window,
}

impl Desktop {
    pub fn show(access: &Access) -> anyhow::Result<Self> {
        let x = access.connect()?;
        let screen = x.setup().roots[0].clone();
        let size = x.get_geometry(screen.root)?.reply()?;
        let window = x.generate_id()?;
        // With a window manager it is an ordinary window of it, as a desktop is.
        let check = x.intern_atom(false, b"_NET_SUPPORTING_WM_CHECK")?.reply()?.atom;
        let manager = x.get_property(false, screen.root, check, AtomEnum::WINDOW, 0, 1)?.reply()?;
        let look = CreateWindowAux::new()
            .override_redirect(u32::from(manager.value_len == 0))
            .background_pixel(BACKGROUND)
            .event_mask(EventMask::KEY_PRESS | EventMask::BUTTON_PRESS | EventMask::EXPOSURE);
        let (depth, visual) = (screen.root_depth, screen.root_visual);
        let (width, height, class) = (size.width, size.height, WindowClass::INPUT_OUTPUT);
        x.create_window(depth, window, screen.root, 0, 0, width, height, 0, class, visual, &look)?;
        x.map_window(window)?;
        x.sync()?;
        x.set_input_focus(InputFocus::POINTER_ROOT, window, x11rb::CURRENT_TIME)?;
        let desktop = Self { x, window };
        desktop.draw()?;
        Ok(desktop)
    }

    /// Keys and clicks since the last call. Draws again what was uncovered meanwhile.
    pub fn delivered(&self) -> anyhow::Result<u64> {
        self.x.sync()?;
        let (mut count, mut exposed) = (0, false);
        while let Some(event) = self.x.poll_for_event()? {
            match event {
                Event::KeyPress(_) | Event::ButtonPress(_) => count += 1,
                Event::Expose(_) => exposed = true,
                _ => {}
            }
        }
        if exposed {
            self.draw()?;
        }
        Ok(count)
    }

    fn draw(&self) -> anyhow::Result<()> {
        for (index, colour) in (0_i16..).zip(STRIPES) {
            let gc = self.x.generate_id()?;
            self.x.create_gc(gc, self.window, &CreateGCAux::new().foreground(colour))?;
            let stripe = Rectangle { x: 40 + index * 120, y: 40, width: 100, height: 400 };
            self.x.poly_fill_rectangle(self.window, gc, &[stripe])?;
            self.x.free_gc(gc)?;
        }
        Ok(self.x.sync()?)
    }
}

/// Types letters and clicks through XTEST.
#[derive(Debug)]
pub struct Typist {
    x: RustConnection,
}

impl Typist {
    pub fn new(access: &Access) -> anyhow::Result<Self> {
        Ok(Self { x: access.connect()? })
    }

    /// So many letters, and as many clicks; returns when the server has taken them.
    pub fn type_letters(&self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            self.press(LETTER_KEYCODE)?;
            for kind in
                [x11rb::protocol::xproto::BUTTON_PRESS_EVENT, x11rb::protocol::xproto::BUTTON_RELEASE_EVENT]
            {
                self.x.xtest_fake_input(kind, 1, 0, x11rb::NONE, 0, 0, 0)?;
            }
        }
        Ok(self.x.sync()?)
    }

    /// The keyboard that the display has besides the one of XTEST.
    pub fn physical_keyboard(&self) -> anyhow::Result<u8> {
        self.x.xinput_xi_query_version(2, 2)?.reply()?;
        let devices = self.x.xinput_xi_query_device(0_u16)?.reply()?.infos;
        let kinds = [DeviceType::SLAVE_KEYBOARD, DeviceType::FLOATING_SLAVE];
        let found = devices.iter().find(|device| {
            let name = String::from_utf8_lossy(&device.name).into_owned();
            kinds.contains(&device.type_) && name.contains("eyboard") && !name.contains("XTEST")
        });
        Ok(u8::try_from(found.context("no keyboard")?.deviceid)?)
    }

    /// One key of that keyboard, down and up, as its driver would send it.
    pub fn press_on(&self, device: u8, keycode: u8) -> anyhow::Result<()> {
        let extension = self.x.extension_information(xinput::X11_EXTENSION_NAME)?;
        let first = extension.context("no XInput")?.first_event;
        for kind in [xinput::DEVICE_KEY_PRESS_EVENT, xinput::DEVICE_KEY_RELEASE_EVENT] {
            self.x.xtest_fake_input(first + kind, keycode, 0, x11rb::NONE, 0, 0, device)?;
        }
        Ok(self.x.sync()?)
    }

    /// One key, down and up.
    pub fn press(&self, keycode: u8) -> anyhow::Result<()> {
        for kind in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            self.x.xtest_fake_input(kind, keycode, 0, x11rb::NONE, 0, 0, 0)?;
        }
        Ok(self.x.sync()?)
    }
}
