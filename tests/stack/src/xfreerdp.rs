//! Debian's xfreerdp with our plugin in it, on a display of its own.
//!
//! FreeRDP loads plugins from one folder of the system, and tests never touch the machine's own:
//! xfreerdp runs in a mount namespace where that folder's parent is overlaid, and the plugin is
//! put there by the same script that users run. Needs root, Xvfb, xfreerdp and imagemagick.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use image::RgbImage;
use sudare_test_kit::scene::{ALONE, Camera, Scene, Seat};
use sudare_test_kit::stage::{Stage, USER};
use sudare_test_kit::{needs, wait_until};

/// What cargo calls the plugin.
pub const LIBRARY: &str = "libsudare_client.so";
/// Of the window, which is the size of the embedded host's desktop.
const SIZE: (u16, u16) = (1280, 720);

/// Linux tells the times of processes in these, on every machine that Sudare runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// In the namespace: overlays the folder of the libraries, installs the plugin, becomes xfreerdp.
/// The upper part lies in memory, because an overlay cannot lie on another one.
const ENTER: &str = r#"
set -e
libraries=$(dirname "$(ldconfig -p | sed -n 's/.*=> \(.*libfreerdp-client2\.so\.2\).*/\1/p' | head -n 1)")
mount -t tmpfs tmpfs "$SUDARE_OVERLAY"
mkdir "$SUDARE_OVERLAY/upper" "$SUDARE_OVERLAY/work"
mount -t overlay overlay \
    -o "lowerdir=$libraries,upperdir=$SUDARE_OVERLAY/upper,workdir=$SUDARE_OVERLAY/work" "$libraries"
"$SUDARE_INSTALL" --library "$SUDARE_LIBRARY" >&2
exec xfreerdp "$@"
"#;

/// What is missing to run it, if anything.
pub fn missing() -> Option<&'static str> {
    if let Some(tool) = ["xfreerdp", "Xvfb", "import"].into_iter().find(|tool| !needs::is_installed(tool)) {
        return Some(tool);
    }
    let entered = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if entered.is_ok_and(|status| status.success()) { None } else { Some("root") }
}

/// A child process that ends with its owner.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have exited already; failing to kill it is not worth reporting.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An xfreerdp with the plugin, and the display that it draws on.
#[derive(Debug)]
pub struct Client {
    child: Running,
    _server: Running,
    display: String,
    folder: PathBuf,
}

impl Client {
    /// Connects to `listen` with these options; `folder` is its home and gets its log.
    pub fn start(
        listen: &str,
        folder: &Path,
        options: &[String],
        environment: &[(&str, &Path)],
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("overlay"))?;
        let (server, display) = display()?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("xfreerdp.log"))?;
        let library = sudare_test_kit::beside(LIBRARY)?;
        let install = sudare_test_kit::checkout().join("deploy/linux/client/install.sh");
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", ENTER, "xfreerdp"])
            .arg(format!("/v:{listen}"))
            .args([&format!("/u:{USER}"), "/p:secret", "/sec:tls", "-decorations"])
            .arg(format!("/size:{}x{}", SIZE.0, SIZE.1))
            .args(options)
            .env("DISPLAY", &display)
            .env("HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .env("SUDARE_CACHE", sudare_models::Store::default_dir()?)
            .env("SUDARE_OVERLAY", folder.join("overlay"))
            .env("SUDARE_LIBRARY", library)
            .env("SUDARE_INSTALL", install)
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Client { child: Running(child), _server: server, display, folder: folder.to_owned() })
    }

    /// Everything that xfreerdp and the plugin said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("xfreerdp.log")).unwrap_or_default()
    }

    /// Waits until this was said.
    pub fn wait_said(&mut self, words: &str) -> anyhow::Result<()> {
        self.wait(words, |client| Ok(client.said().contains(words)))
    }

    /// Waits until this was said so many times.
    pub fn wait_said_times(&mut self, words: &str, times: usize) -> anyhow::Result<()> {
        self.wait(words, |client| Ok(client.said().matches(words).count() >= times))
    }

    /// Waits until the window shows nothing but a cover: black outside the panel.
    pub fn wait_covered(&mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.wait("a cover", Client::is_covered)?;
        Ok(started.elapsed())
    }

    /// Whether the window shows nothing but a cover.
    pub fn is_covered(&self) -> anyhow::Result<bool> {
        Ok(lit_outside_panel(&self.picture()?) == 0)
    }

    /// Waits until the window shows the desktop: something outside the panel of a cover is lit.
    pub fn wait_desktop(&mut self) -> anyhow::Result<()> {
        let all = usize::from(SIZE.0) * usize::from(SIZE.1);
        self.wait("the desktop", |client| Ok(lit_outside_panel(&client.picture()?) > all / 4))
    }

    pub fn picture(&self) -> anyhow::Result<RgbImage> {
        let file = self.folder.join("window.png");
        self.save(&file)?;
        Ok(image::open(file)?.to_rgb8())
    }

    pub fn save(&self, file: &Path) -> anyhow::Result<()> {
        let taken =
            Command::new("import").args(["-display", &self.display, "-window", "root"]).arg(file).status()?;
        ensure!(taken.success(), "import took no picture of {}", self.display);
        Ok(())
    }

    /// Whether xfreerdp still runs.
    pub fn runs(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.0.try_wait()?.is_none())
    }

    /// CPU time so far in milliseconds, and resident memory in MB.
    pub fn cost(&self) -> anyhow::Result<(f64, f64)> {
        let pid = self.child.0.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<&str> =
            stat.rsplit(')').next().context("no name in stat")?.split_whitespace().collect();
        let ticks = |at: usize| -> anyhow::Result<f64> { Ok(fields.get(at).context("short stat")?.parse()?) };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("no VmRSS")?;
        let kb: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        // utime and stime are the 14th and 15th field of the whole line.
        Ok(((ticks(11)? + ticks(12)?) * 1000.0 / TICKS_PER_SECOND, kb / 1024.0))
    }

    fn wait(&mut self, what: &str, wanted: impl Fn(&Self) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        wait_until(what, || {
            let found = wanted(self)?;
            ensure!(found || self.runs()?, "xfreerdp ended: {}", self.said());
            Ok(if found { Ok(()) } else { Err(self.said()) })
        })
    }
}

/// A display of its own. Without -noreset it would start over whenever its last client goes.
fn display() -> anyhow::Result<(Running, String)> {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", &format!("{}x{}x24", SIZE.0, SIZE.1)])
        .args(["-nolisten", "tcp", "-noreset"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = server.stdout.take().context("no output of Xvfb")?;
    let server = Running(server);
    let mut number = String::new();
    BufReader::new(stdout).read_line(&mut number)?;
    ensure!(!number.trim().is_empty(), "Xvfb told no display");
    Ok((server, format!(":{}", number.trim())))
}

fn lit_outside_panel(picture: &RgbImage) -> usize {
    let [left, top, right, bottom] = sudare_protocol::screen::panel(SIZE.0, SIZE.1).map(u32::from);
    let in_panel = |x: u32, y: u32| (left..right).contains(&x) && (top..bottom).contains(&y);
    picture.enumerate_pixels().filter(|(x, y, p)| p.0 != [0, 0, 0] && !in_panel(*x, *y)).count()
}

/// What the plugin costs xfreerdp while one face is in view.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Of one core, beyond an xfreerdp without the plugin that shows the same desktop.
    pub cpu_percent: f64,
    /// Resident, beyond the same.
    pub mb: f64,
}

/// Measures for `time`, first without the plugin and covered, then with it and the desktop shown.
///
/// The cover without the plugin costs less than a desktop, so the difference contains what
/// decoding the synthetic desktop's clock costs: the figure is an upper bound.
pub fn cost(stage: &Stage, photographs: &Path, time: Duration) -> anyhow::Result<Cost> {
    let ignore = "/cert:ignore".to_owned();
    let mut plain =
        Client::start(&stage.listen, &stage.dir.join("plain"), std::slice::from_ref(&ignore), &[])?;
    plain.wait_covered()?;
    let without = spent(&plain, time)?;
    drop(plain);

    let fifo = stage.dir.join("plugin.fifo");
    let _camera: Camera = Camera::start(Seat::load(photographs)?, &fifo)?;
    let dvc = format!("/dvc:sudare,config:{}", settings(stage, &fifo, "warn")?.display());
    let mut client = Client::start(&stage.listen, &stage.dir.join("plugin"), &[ignore, dvc], &[])?;
    client.wait_desktop()?;
    let with = spent(&client, time)?;
    Ok(Cost { cpu_percent: with.0 - without.0, mb: with.1 - without.1 })
}

/// CPU in percent of one core, and MB at the end.
fn spent(client: &Client, time: Duration) -> anyhow::Result<(f64, f64)> {
    let (before_ms, _) = client.cost()?;
    let started = Instant::now();
    std::thread::sleep(time);
    let (after_ms, mb) = client.cost()?;
    Ok(((after_ms - before_ms) / (started.elapsed().as_secs_f64() * 10.0), mb))
}

/// Writes the settings of the stage's device.
pub fn settings(stage: &Stage, fifo: &Path, log_level: &str) -> anyhow::Result<PathBuf> {
    let file = stage.dir.join("client.toml");
    let text = format!(
        "home = \"{}\"\ncamera = \"mjpeg:{}\"\nlog_level = \"{log_level}\"\n",
        stage.dir.join("device").display(),
        fifo.display()
    );
    std::fs::write(&file, text)?;
    Ok(file)
}

/// The scenes that the tests need by name.
pub const STRANGER_BESIDE: Scene = Scene { stranger: 1.0, ..ALONE };
pub const UNPLUGGED: Scene = Scene { plugged: false, ..ALONE };
