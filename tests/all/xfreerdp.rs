//! Debian's xfreerdp, a client that is not ours, against the embedded host: without the extension
//! it sees the cover and nothing else.
//!
//! Needs the packages freerdp2-x11, xvfb and imagemagick; says so and does nothing without them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sudare_base::clock::Now;
use sudare_embedded::EmbeddedHost;
use sudare_embedded::identity::TlsIdentity;
use sudare_guard::cover;
use sudare_guard::screen::CoverText;
use sudare_guard::transport::{Action, CoverEvent, DriverFactory, SessionDriver, SessionEvent, SessionInfo};
use sudare_test_kit::wait_until;

const SIZE: (u16, u16) = (1024, 640);

/// Covers with a text at once, or shows the desktop at once.
#[derive(Clone, Copy)]
struct Fixed {
    show: bool,
}

impl DriverFactory for Fixed {
    fn session(&self, _info: SessionInfo, _now: Now) -> Box<dyn SessionDriver> {
        Box::new(*self)
    }
}

impl SessionDriver for Fixed {
    fn handle(&mut self, _now: Now, event: SessionEvent) -> Vec<Action> {
        let SessionEvent::Cover(CoverEvent::Painted(_)) = event else { return Vec::new() };
        let lines =
            ["拡張機能が見つかりません", "The Sudare extension is missing, so the screen stays covered."];
        let text = CoverText { lines: lines.map(str::to_owned).to_vec() };
        vec![if self.show { Action::Uncover } else { Action::Cover(text) }]
    }
}

/// A child process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn missing_tool() -> Option<&'static str> {
    ["xfreerdp", "Xvfb", "import"].into_iter().find(|tool| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .all(|dir| !dir.join(tool).is_file())
    })
}

/// A display of its own. Without -noreset it would start over, and drop xfreerdp that is just
/// connecting, whenever the last client before it (a screenshot) goes.
fn display() -> (Running, String) {
    let mut server = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1024x640x24", "-nolisten", "tcp", "-noreset"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut number = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
    (Running(server), format!(":{}", number.trim()))
}

fn screenshot(display: &str, file: &Path) -> image::RgbImage {
    let taken =
        Command::new("import").args(["-display", display, "-window", "root"]).arg(file).status().unwrap();
    assert!(taken.success());
    image::open(file).unwrap().to_rgb8()
}

/// Lit pixels inside and outside the panel.
fn lit(picture: &image::RgbImage) -> (usize, usize) {
    let panel = cover::panel(SIZE.0, SIZE.1);
    let (mut inside, mut outside) = (0, 0);
    for (x, y, pixel) in picture.enumerate_pixels() {
        if pixel.0 != [0, 0, 0] {
            let within = panel.contains(u16::try_from(x).unwrap(), u16::try_from(y).unwrap());
            *(if within { &mut inside } else { &mut outside }) += 1;
        }
    }
    (inside, outside)
}

/// Runs xfreerdp with these options until the picture is as wanted, then a little longer.
fn watch(show: bool, options: &[&str], wanted: impl Fn(usize, usize) -> bool) {
    if let Some(tool) = missing_tool() {
        println!("not run: {tool} is missing; apt-get install freerdp2-x11 xvfb imagemagick");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = EmbeddedHost {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: TlsIdentity::load_or_create(dir.path()).unwrap(),
        factory: Arc::new(Fixed { show }),
        width: SIZE.0,
        height: SIZE.1,
        max_sessions: 2,
    };
    let host = host.start().unwrap();
    let (_server, display) = display();
    let mut client = Command::new("xfreerdp")
        .arg(format!("/v:{}", host.local_addr()))
        .args(["/u:hanako", "/p:secret", "/sec:tls", "/cert:ignore", "-decorations", "/size:1024x640"])
        .args(options)
        .env("DISPLAY", &display)
        .env("HOME", dir.path())
        .stdout(std::fs::File::create(dir.path().join("xfreerdp.log")).unwrap())
        .stderr(std::fs::File::create(dir.path().join("xfreerdp.err")).unwrap())
        .spawn()
        .map(Running)
        .unwrap();
    let said = || {
        ["xfreerdp.log", "xfreerdp.err"]
            .map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap())
            .concat()
    };

    let file = match std::env::var_os("SUDARE_KEEP_SCREENSHOTS") {
        Some(keep) => Path::new(&keep).join(format!("xfreerdp-{show}-{}.png", options.len())),
        None => dir.path().join("screen.png"),
    };
    wait_until(if show { "the desktop" } else { "the cover with its words" }, || {
        let (inside, outside) = lit(&screenshot(&display, &file));
        if wanted(inside, outside) {
            return Ok(Ok(()));
        }
        assert!(show || outside == 0, "{outside} pixels outside the panel of a cover");
        let ended = client.0.try_wait()?;
        assert!(ended.is_none(), "xfreerdp ended: {ended:?}, {}", said());
        Ok(Err(format!("{inside} lit pixels inside the panel, {outside} outside: {}", said())))
    })
    .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let (inside, outside) = lit(&screenshot(&display, &file));
    assert!(wanted(inside, outside), "later {inside} lit pixels inside the panel, {outside} outside");
    assert!(client.0.try_wait().unwrap().is_none(), "xfreerdp goes on");
}

#[test]
fn without_the_extension_only_the_cover_is_seen() {
    let cover = |inside: usize, outside: usize| inside > 500 && outside == 0;
    watch(false, &[], cover);
    // With some dynamic channel xfreerdp opens drdynvc, and refuses ours alone.
    watch(false, &["/echo"], cover);
}

#[test]
fn an_uncovered_desktop_is_seen() {
    let all = usize::from(SIZE.0) * usize::from(SIZE.1);
    watch(true, &[], |inside, outside| inside + outside == all);
}
