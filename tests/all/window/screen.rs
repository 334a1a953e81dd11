//! A screen of its own, the window on it, and a keyboard.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sudare_test_kit::{needs, program, wait_until};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, ImageFormat, InputFocus, Window};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

const SIZE: [u16; 2] = [1000, 760];
const PRESS: u8 = 2;
const RELEASE: u8 = 3;
pub(super) const TAB: u32 = 0xff09;
pub(super) const SPACE: u32 = 0x20;
pub(super) const F9: u32 = 0xffc6;
pub(super) const CONTROL: u32 = 0xffe3;
pub(super) const ALT: u32 = 0xffe9;

/// Xvfb, and what asks it. It ends with the test.
pub(super) struct Screen {
    server: Child,
    display: String,
    connection: RustConnection,
    root: Window,
}

/// The window, which ends with the test.
pub(super) struct Shown<'a> {
    pub(super) child: Child,
    pub(super) started: Instant,
    id: Window,
    screen: &'a Screen,
}

impl Screen {
    /// `None` with a loud word where something is missing.
    pub(super) fn start() -> Option<Self> {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        let lacks = |what: &str| {
            assert!(!required.split(',').any(|name| name == "Xvfb"), "{what} is required");
            println!("SKIPPED: the window needs {what}");
        };
        if !needs::is_installed("Xvfb") {
            lacks("Xvfb");
            return None;
        }
        // The window loads them by name.
        for library in ["libX11.so.6", "libXcursor.so.1", "libXi.so.6", "libxkbcommon-x11.so.0"] {
            let folders =
                ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64"];
            if !folders.iter().any(|folder| Path::new(folder).join(library).exists()) {
                lacks(library);
                return None;
            }
        }
        let [width, height] = SIZE;
        let mut server = Command::new(needs::find("Xvfb")?)
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", &format!("{width}x{height}x24")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let display = format!(":{}", number.trim());
        let (connection, screen) = x11rb::connect(Some(&display)).unwrap();
        let root = connection.setup().roots[screen].root;
        Some(Screen { server, display, connection, root })
    }

    /// The window of this device's folder, on a PC without a desktop around it.
    pub(super) fn show(&self, home: &Path, arguments: &[&str]) -> Shown<'_> {
        self.show_by(Command::new(program("sudare-window").unwrap()), home, arguments)
    }

    pub(super) fn show_by(&self, mut command: Command, home: &Path, arguments: &[&str]) -> Shown<'_> {
        let log = home.join("window.log");
        for variable in ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"] {
            command.env_remove(variable);
        }
        command.env("DISPLAY", &self.display).env("SUDARE_HOME", home).args(arguments);
        command.stderr(std::fs::File::create(&log).unwrap());
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        let id = wait_until("the window", || {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("it ended with {status}: {}", std::fs::read_to_string(&log)?);
            }
            Ok(self.find())
        });
        let id = id.unwrap();
        self.connection.set_input_focus(InputFocus::PARENT, id, x11rb::CURRENT_TIME).unwrap();
        self.connection.flush().unwrap();
        Shown { child, started, id, screen: self }
    }

    fn find(&self) -> Option<Window> {
        let windows = self.connection.query_tree(self.root).ok()?.reply().ok()?.children;
        windows.into_iter().find(|window| {
            let asked = self.connection.get_property(false, *window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 16);
            let seen = self.connection.get_window_attributes(*window);
            let is_mapped =
                seen.ok().and_then(|cookie| cookie.reply().ok()).is_some_and(|a| u8::from(a.map_state) == 2);
            is_mapped
                && asked.ok().and_then(|cookie| cookie.reply().ok()).is_some_and(|p| p.value == b"Sudare")
        })
    }

    fn code_of(&self, symbol: u32) -> u8 {
        let setup = self.connection.setup();
        let (first, count) = (setup.min_keycode, setup.max_keycode - setup.min_keycode + 1);
        let map = self.connection.get_keyboard_mapping(first, count).unwrap().reply().unwrap();
        let per_key = usize::from(map.keysyms_per_keycode);
        let at = map.keysyms.chunks(per_key).position(|symbols| symbols.first() == Some(&symbol)).unwrap();
        first + u8::try_from(at).unwrap()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Shown<'_> {
    /// Presses these together.
    pub(super) fn press(&self, symbols: &[u32]) {
        let connection = &self.screen.connection;
        let codes: Vec<u8> = symbols.iter().map(|symbol| self.screen.code_of(*symbol)).collect();
        let down = codes.iter().map(|code| (PRESS, *code));
        for (kind, code) in down.chain(codes.iter().rev().map(|code| (RELEASE, *code))) {
            connection.xtest_fake_input(kind, code, 0, self.screen.root, 0, 0, 0).unwrap().check().unwrap();
        }
    }

    /// The same, and waits until the window shows something else: two keys between two drawings count as one.
    pub(super) fn press_and_see(&self, symbols: &[u32]) {
        let before = self.image().1;
        self.press(symbols);
        wait_until("what the key does", || Ok(self.image().1 != before)).unwrap();
    }

    /// Red, green and blue of one pixel.
    pub(super) fn pixel(&self, [x, y]: [i16; 2]) -> [u8; 3] {
        let cookie = self.screen.connection.get_image(ImageFormat::Z_PIXMAP, self.id, x, y, 1, 1, u32::MAX);
        let data = cookie.unwrap().reply().unwrap().data;
        [data[2], data[1], data[0]]
    }

    /// Waits until this pixel has nearly this colour.
    pub(super) fn wait_colour(&self, what: &str, at: [i16; 2], wanted: [u8; 3]) {
        let seen = wait_until(what, || {
            let now = self.pixel(at);
            let off = now.iter().zip(wanted).map(|(a, b)| a.abs_diff(b)).max();
            Ok(if off <= Some(12) { Ok(()) } else { Err(format!("{now:?} at {at:?}")) })
        });
        seen.unwrap();
    }

    /// Once it no longer changes.
    pub(super) fn shoot(&self, path: &Path) {
        let (mut before, mut picture) = (Vec::new(), self.image());
        for _ in 0..40 {
            if picture.1 == before {
                break;
            }
            std::thread::sleep(Duration::from_millis(150));
            before = std::mem::replace(&mut picture, self.image()).1;
        }
        let ([width, height], rgb) = picture;
        image::save_buffer(path, &rgb, width, height, image::ColorType::Rgb8).unwrap();
    }

    fn image(&self) -> ([u32; 2], Vec<u8>) {
        let connection = &self.screen.connection;
        let size = connection.get_geometry(self.id).unwrap().reply().unwrap();
        let (width, height) = (size.width.min(SIZE[0]), size.height.min(SIZE[1]));
        let cookie = connection.get_image(ImageFormat::Z_PIXMAP, self.id, 0, 0, width, height, u32::MAX);
        let data = cookie.unwrap().reply().unwrap().data;
        let rgb = data.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        ([u32::from(width), u32::from(height)], rgb)
    }

    /// Ticks of processor time so far, and kilobytes in memory.
    pub(super) fn costs(&self) -> (u64, u64) {
        let of = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap();
        let stat = of("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let status = of("status");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        (ticks, rss.trim().trim_end_matches(" kB").parse().unwrap())
    }
}
