//! Other ways to bring a picture to the screen than a window on top, and other ways to be in the way of a cover.
//!
//! Each is a mode of the program `sudare-hostile`, as those of [`super::hostile`] are.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rand::RngCore as _;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Signal, kill_process};
use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::dpms::{self, ConnectionExt as _, DPMSMode};
use x11rb::protocol::present::ConnectionExt as _;
use x11rb::protocol::randr::{ConnectionExt as _, MonitorInfo};
use x11rb::protocol::screensaver::{ConnectionExt as _, SetAttributesAux};
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xproto::{
    ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, ImageFormat, Pixmap, Rectangle, ScreenSaver,
    StackMode, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

use super::hostile::Outcome;
use super::program::Program;
use crate::xrdp::palette::{HOSTILE, pixel_value};

/// Of a pixel of depth 24, as every server here keeps it.
const PIXEL_BYTES: usize = 4;
/// Windows of one wave.
const WAVE: i16 = 60;
/// Rows of noise that go to the server in one request.
const NOISE_ROWS: u16 = 60;
/// The server stands still for so long, and runs for so long.
const HALTED: Duration = Duration::from_millis(150);
const RUNNING: Duration = Duration::from_millis(50);

/// The attacks, by the names of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pictures {
    /// Puts pictures from shared memory on the root and the overlay, through all windows.
    SharedMemory,
    /// Hands pictures to the Present extension, for the root, the overlay and a window of its own.
    Present,
    /// Makes the server's own screen saver a picture, and switches it and the monitor's power on and off.
    Saver,
    /// Makes and removes monitors of RandR, with a window that follows them.
    Monitors,
    /// Waves of windows that pass the window manager, faster than anybody could raise anything over them.
    Storm,
    /// As much noise as the server takes, so that a cover would have to wait behind what is on its way.
    Noise,
    /// Halts the X server itself, again and again: a cover that needed its answer would not come.
    HaltedServer,
}

impl Pictures {
    pub const ALL: [Self; 7] = [
        Self::SharedMemory,
        Self::Present,
        Self::Saver,
        Self::Monitors,
        Self::Storm,
        Self::Noise,
        Self::HaltedServer,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::SharedMemory => "shared-memory",
            Self::Present => "present",
            Self::Saver => "saver",
            Self::Monitors => "monitors",
            Self::Storm => "storm",
            Self::Noise => "noise",
            Self::HaltedServer => "halted-server",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attack| attack.name() == name)
    }
}

/// Attacks the display of the environment for so long.
pub fn attack(attack: Pictures, duration: Duration) -> anyhow::Result<Outcome> {
    let mut program = Program::connect(duration)?;
    match attack {
        Pictures::SharedMemory => program.shared_memory(),
        Pictures::Present => program.present(),
        Pictures::Saver => program.saver(),
        Pictures::Monitors => program.monitors(),
        Pictures::Storm => program.storm(),
        Pictures::Noise => program.noise(),
        Pictures::HaltedServer => program.halted_server(),
    }?;
    Ok(program.outcome)
}

impl Program {
    /// A picture as large as the screen, in the attacker's colour.
    fn picture(&self) -> anyhow::Result<Pixmap> {
        let (root, whole) = (self.screen.root, self.whole());
        let pixmap = self.x.generate_id()?;
        self.x.create_pixmap(self.screen.root_depth, pixmap, root, whole.width, whole.height)?;
        self.x.poly_fill_rectangle(pixmap, self.gc(root)?, &[whole])?;
        Ok(pixmap)
    }

    /// The picture is copied to the memory by the server, as a recorder of the screen has it done.
    fn shared_memory(&mut self) -> anyhow::Result<()> {
        let (picture, Rectangle { width, height, .. }) = (self.picture()?, self.whole());
        let (memory, depth) = (self.x.generate_id()?, self.screen.root_depth);
        let size = usize::from(width) * usize::from(height) * PIXEL_BYTES;
        self.x.shm_create_segment(memory, u32::try_from(size)?, false)?.reply()?;
        let format = ImageFormat::Z_PIXMAP.into();
        self.x.shm_get_image(picture, 0, 0, width, height, !0, format, memory, 0)?.reply()?;
        let layers = [self.screen.root, self.overlay()?];
        let pens = [self.gc(layers[0])?, self.gc(layers[1])?];
        self.every(20, |program| {
            for (layer, pen) in layers.into_iter().zip(pens) {
                let (x, whole) = (&program.x, (width, height));
                x.shm_put_image(
                    layer, pen, whole.0, whole.1, 0, 0, whole.0, whole.1, 0, 0, depth, format, false, memory,
                    0,
                )?
                .ignore_error();
            }
            Ok(())
        })
    }

    fn present(&mut self) -> anyhow::Result<()> {
        self.x.present_query_version(1, 2)?.reply()?;
        let (picture, own) = (self.picture()?, self.window(true)?);
        self.x.map_window(own)?;
        let layers = [own, self.screen.root, self.overlay()?];
        let none = x11rb::NONE;
        self.every(20, |program| {
            for layer in layers {
                let sent = program.x.present_pixmap(
                    layer,
                    picture,
                    0,
                    none,
                    none,
                    0,
                    0,
                    none,
                    none,
                    none,
                    0,
                    0,
                    0,
                    0,
                    &[],
                )?;
                sent.ignore_error();
            }
            Ok(())
        })
    }

    fn saver(&mut self) -> anyhow::Result<()> {
        let (root, whole) = (self.screen.root, self.whole());
        let look = SetAttributesAux::new().background_pixel(pixel_value(HOSTILE[0])).override_redirect(1);
        let (class, depth) = (WindowClass::INPUT_OUTPUT, self.screen.root_depth);
        let visual = self.screen.root_visual;
        self.x
            .screensaver_set_attributes(
                root,
                0,
                0,
                whole.width,
                whole.height,
                0,
                class,
                depth,
                visual,
                &look,
            )?
            .check()?;
        // The server of Xorg's sessions has no power management, Xvnc's has.
        let has_power = self.x.extension_information(dpms::X11_EXTENSION_NAME)?.is_some();
        self.every(100, |program| {
            let is_on = program.outcome.strikes.is_multiple_of(2);
            let (saver, power) =
                if is_on { (ScreenSaver::ACTIVE, DPMSMode::OFF) } else { (ScreenSaver::RESET, DPMSMode::ON) };
            program.x.force_screen_saver(saver)?.ignore_error();
            if has_power {
                program.x.dpms_force_level(power)?.ignore_error();
            }
            Ok(())
        })?;
        self.x.force_screen_saver(ScreenSaver::RESET)?;
        self.x.screensaver_unset_attributes(root)?;
        Ok(self.x.sync()?)
    }

    fn monitors(&mut self) -> anyhow::Result<()> {
        let (root, whole, own) = (self.screen.root, self.whole(), self.window(true)?);
        self.x.map_window(own)?;
        let name = self.x.intern_atom(false, b"sudare-hostile")?.reply()?.atom;
        self.every(50, |program| {
            let part = u16::try_from(program.outcome.strikes % 3)? + 1;
            let (width, height) = (whole.width / part, whole.height / part);
            let monitor = MonitorInfo {
                name,
                primary: true,
                automatic: false,
                x: 0,
                y: 0,
                width,
                height,
                width_in_millimeters: 500,
                height_in_millimeters: 300,
                outputs: Vec::new(),
            };
            program.x.randr_set_monitor(root, monitor)?.check()?;
            let place = ConfigureWindowAux::new()
                .width(u32::from(width))
                .height(u32::from(height))
                .stack_mode(StackMode::ABOVE);
            program.x.configure_window(own, &place)?;
            program.x.randr_delete_monitor(root, name)?.check()?;
            Ok(())
        })
    }

    fn storm(&mut self) -> anyhow::Result<()> {
        let look = CreateWindowAux::new()
            .override_redirect(1)
            .background_pixel(pixel_value(HOSTILE[0]))
            .save_under(1);
        let (root, class) = (self.screen.root, WindowClass::COPY_FROM_PARENT);
        self.every(0, |program| {
            let mut wave = Vec::new();
            for n in 0..WAVE {
                let (window, x) = (program.x.generate_id()?, &program.x);
                x.create_window(0, window, root, n * 20, n * 10, 300, 200, 0, class, 0, &look)?;
                x.map_window(window)?;
                wave.push(window);
            }
            program.x.sync()?;
            for window in wave {
                program.x.destroy_window(window)?;
            }
            Ok(())
        })
    }

    fn noise(&mut self) -> anyhow::Result<()> {
        let (own, whole, depth) = (self.window(true)?, self.whole(), self.screen.root_depth);
        self.x.map_window(own)?;
        let pen = self.gc(own)?;
        let mut pixels = vec![0_u8; usize::from(whole.width) * usize::from(NOISE_ROWS) * PIXEL_BYTES];
        self.every(0, |program| {
            for top in (0..whole.height).step_by(usize::from(NOISE_ROWS)) {
                rand::rng().fill_bytes(&mut pixels);
                // Every eighth pixel is the attacker's, so that its picture is known when it is seen.
                for pixel in pixels.chunks_exact_mut(PIXEL_BYTES).step_by(8) {
                    pixel.copy_from_slice(&pixel_value(HOSTILE[0]).to_le_bytes());
                }
                let (format, top) = (ImageFormat::Z_PIXMAP, i16::try_from(top)?);
                program
                    .x
                    .put_image(format, own, pen, whole.width, NOISE_ROWS, 0, top, 0, depth, &pixels)?
                    .ignore_error();
            }
            Ok(())
        })
    }

    /// The session's user owns the server, and may do with it what it likes.
    fn halted_server(&mut self) -> anyhow::Result<()> {
        let own = self.window(true)?;
        self.x.map_window(own)?;
        self.x.sync()?;
        let display = std::env::var("DISPLAY").context("no display")?;
        let socket = format!("/tmp/.X11-unix/X{}", display.trim_start_matches(':'));
        let server = socket_peercred(UnixStream::connect(socket)?)?.pid;
        while Instant::now() < self.until {
            kill_process(server, Signal::STOP)?;
            std::thread::sleep(HALTED);
            kill_process(server, Signal::CONT)?;
            std::thread::sleep(RUNNING);
            self.outcome.strikes += 1;
        }
        Ok(())
    }
}
