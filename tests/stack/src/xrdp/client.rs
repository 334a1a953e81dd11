//! The private computer: a screen that is not there, and xfreerdp on it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use sudare_test_kit::wait_until;

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _};

use super::framebuffer::Framebuffer;
use super::palette;
use super::place::Place;
use super::process::Running;
use super::remmina;
use super::users;

/// Width and height of the private screen, unless told; the remote desktop fills it.
pub const SIZE: (u16, u16) = (1024, 700);
/// What most people have.
pub const FULL_HD: (u16, u16) = (1920, 1080);
/// Of what a client said, to be told.
const LAST_LINES: usize = 8;

/// The screen. It outlives the clients that come and go on it.
#[derive(Debug)]
pub struct PrivateScreen {
    _server: Running,
    pub display: String,
    size: (u16, u16),
    pixels: tempfile::TempDir,
}

impl PrivateScreen {
    pub fn start(size: (u16, u16)) -> anyhow::Result<Self> {
        let pixels = tempfile::tempdir()?;
        let mut server = Command::new("Xvfb")
            // Without -noreset it would start over when the last of its clients goes.
            .args(["-displayfd", "1", "-nolisten", "tcp", "-noreset", "-screen", "0"])
            .arg(format!("{}x{}x24", size.0, size.1))
            // It keeps its pixels in a file there.
            .arg("-fbdir")
            .arg(pixels.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Xvfb")?;
        let told = server.stdout.take().context("Xvfb has no output")?;
        let server = Running::adopt(server);
        let mut number = String::new();
        BufReader::new(told).read_line(&mut number)?;
        ensure!(!number.trim().is_empty(), "Xvfb ended without a display");
        let display = format!(":{}", number.trim());
        set_backdrop(&display)?;
        Ok(PrivateScreen { _server: server, display, size, pixels })
    }

    /// What it shows.
    pub fn framebuffer(&self) -> anyhow::Result<Framebuffer> {
        Framebuffer::open(self.pixels.path())
    }
}

/// Paints what is behind all windows.
fn set_backdrop(display: &str) -> anyhow::Result<()> {
    let (x, number) =
        x11rb::connect(Some(display)).with_context(|| format!("the display {display} cannot be opened"))?;
    let root = x.setup().roots.get(number).context("the display has no screen")?.root;
    let colour = ChangeWindowAttributesAux::new().background_pixel(palette::pixel_value(palette::BACKDROP));
    x.change_window_attributes(root, &colour)?;
    x.clear_area(false, root, 0, 0, 0, 0)?;
    // Any answer says that the server has done what came before.
    x.get_input_focus()?.reply()?;
    Ok(())
}

/// How a client logs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogOn {
    /// As the throw-away user, with the password.
    #[default]
    User,
    /// As another user, with the password.
    Other,
    /// It says nothing, so that xrdp shows its own log-on screen.
    Typed,
}

/// Which client it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Program {
    /// Debian 12's xfreerdp: FreeRDP 2.11.
    #[default]
    Xfreerdp,
    /// Debian 13's: FreeRDP 3.15.
    Xfreerdp3,
    /// Debian 13's Remmina, a program around FreeRDP's library.
    Remmina,
}

/// How a client is started.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    pub program: Program,
    /// How it logs on.
    pub log_on: LogOn,
    /// More arguments, such as `/dvc:sudare,…`.
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Where it connects to, if not to the usual port.
    pub port: Option<u16>,
}

impl LogOn {
    fn arguments(self) -> Vec<String> {
        let with = |name| vec![format!("/u:{name}"), format!("/p:{}", users::PASSWORD)];
        match self {
            Self::User => with(users::USER),
            Self::Other => with(users::OTHER),
            // Without a name it would ask for one itself; a space is no name for xrdp.
            Self::Typed => vec!["/u: ".to_owned(), "/p:".to_owned()],
        }
    }
}

impl ClientOptions {
    fn port(&self) -> u16 {
        self.port.unwrap_or(super::servers::RDP_PORT)
    }
}

fn xfreerdp(mut command: Command, screen: &PrivateScreen, options: &ClientOptions) -> Command {
    command
        .arg(format!("/v:127.0.0.1:{}", options.port()))
        .args(options.log_on.arguments())
        .arg(format!("/size:{}x{}", screen.size.0, screen.size.1))
        // The certificate is made by the package, for no name in particular.
        .args(["/cert:ignore", "-decorations"])
        .args(&options.arguments);
    command
}

/// A running xfreerdp.
#[derive(Debug)]
pub struct Client {
    running: Running,
    pub log: PathBuf,
}

impl Client {
    /// Connects as the throw-away user. `home` is the client's own home folder.
    pub fn start(
        screen: &PrivateScreen,
        options: &ClientOptions,
        home: &Path,
        log: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        let mut command = match options.program {
            Program::Xfreerdp => xfreerdp(Command::new("xfreerdp"), screen, options),
            Program::Xfreerdp3 => xfreerdp(Place::Debian13.command("xfreerdp3"), screen, options),
            Program::Remmina => remmina::command(options, users::USER, options.port(), screen.size, home)?,
        };
        command
            .env("DISPLAY", &screen.display)
            .env("HOME", home)
            .env_remove("XAUTHORITY")
            .envs(options.environment.iter().map(|(name, value)| (name, value)));
        Ok(Client { running: Running::start(&mut command, log)?, log: log.to_owned() })
    }

    /// Fails with the client's last output if it has exited.
    pub fn ensure_running(&mut self) -> anyhow::Result<()> {
        let ended = self.running.has_ended()?;
        ensure!(!ended, "xfreerdp exited; see {}: {}", self.log.display(), self.last_lines());
        Ok(())
    }

    /// The last that it said.
    pub fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join(" | ")
    }

    /// What the host has told the plugin that is shown: whether it is a cover.
    pub fn is_told_covered(&self) -> anyhow::Result<bool> {
        let said = std::fs::read_to_string(&self.log)?;
        Ok(said
            .rsplit_once("the host's screen shown=")
            .is_some_and(|(_, shown)| shown.starts_with("Covered")))
    }

    /// What the server said of the end, in FreeRDP's words.
    pub fn told_why(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.log).ok()?;
        let (_, word) = text.rsplit_once("ERRINFO_")?;
        Some(word.split_whitespace().next()?.to_owned())
    }

    pub fn pid(&self) -> rustix::process::Pid {
        self.running.pid()
    }

    /// Waits until it has ended by itself.
    pub fn wait_ended(&mut self) -> anyhow::Result<()> {
        wait_until("xfreerdp to end", || self.running.has_ended())
    }

    /// SIGKILL, like pulling the plug.
    pub fn kill(self) -> anyhow::Result<()> {
        self.running.kill()
    }
}
