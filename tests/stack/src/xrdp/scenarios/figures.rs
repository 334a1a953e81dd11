//! How soon a client is black after its plugin's lock, how soon it shows the whole desktop after its plugin's unlock,
//! and how soon the host covers a client that says nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::process::{Signal, kill_process};
use sudare_protocol::reason::Reason;
use sudare_test_kit::scene::{ALONE, AWAY, Camera, Scene};
use sudare_test_kit::wait::{PATIENCE, in_vain, wait_until};

use crate::xrdp::client::{Client, FULL_HD};
use crate::xrdp::logged::Logged;
use crate::xrdp::observer::{Eye, boot_ms};
use crate::xrdp::report::Report;
use crate::xrdp::screen::Screen;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// The shortest release that a policy may have, so that a round takes seconds.
const POLICY: &str = "[timings]\nrelease_ms = 1000\n";
const LOCKS: usize = 24;
const SILENCES: usize = 6;
/// How long a desktop is drawn behind the first cover.
const BEFORE: Duration = Duration::from_secs(5);
/// Longer than a silence that is bridged.
const SILENT: Duration = Duration::from_secs(5);
/// More rounds than this that go wrong are no accidents of a busy machine.
const FAILED_MAX: usize = LOCKS / 4;

/// On a small screen.
pub(super) fn small(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(StackOptions::default(), out, report)
}

/// On one that has about three times as many pixels.
pub(super) fn full_hd(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(StackOptions { size: FULL_HD, ..StackOptions::default() }, out, report)
}

fn play(options: StackOptions, out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &options)?;
    let mut sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let screen = Screen::of(&stack.private)?;
    let eye = Eye::open(stack.private.framebuffer()?);
    let mut stage = Figures { stack, camera, screen, eye };
    let watch = stage.stack.watch_log_on("before-first-visible")?;
    let mut client = stage.stack.connect(&device)?;
    // Otherwise there would be nothing to hide yet.
    wait_until("the user's desktop", || stage.stack.is_desk_shown())?;
    std::thread::sleep(BEFORE);
    let before = watch.stop()?;
    report.check("nothing before the first visible", before.leaked_frames == 0, format!("{before:?}"));
    report.figure("gate_before_first_visible", before.leaked_frames);
    stage.camera.show(ALONE);
    stage.stack.wait_picture("the desktop", &mut client, |count| count.is_desktop())?;
    let whole = stage.screen.lower()?;
    let (mut locks, mut opened, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..LOCKS {
        let (black_ms, visible_ms) = (stage.lock(&mut client, round)?, stage.open(&mut client, &whole)?);
        black_ms.map_or_else(|why| failed.push(why), |ms| locks.push(ms));
        visible_ms.map_or_else(|why| failed.push(why), |ms| opened.push(ms));
    }
    report.check("each lock covers", failed.len() <= FAILED_MAX, format!("{locks:.0?}; failed: {failed:?}"));
    report.figure("gate_lock_to_black_ms", locks);
    report.figure("gate_visible_ms", opened);
    report.figure("rounds_failed", failed);
    let stopped =
        (0..SILENCES).map(|round| stage.silence(&mut client, round)).collect::<anyhow::Result<Vec<f64>>>()?;
    stage.stack.session()?.end()?;
    let silences = covers_after(&sudare.logged()?, &stopped);
    report.check("each silence covers", silences.len() == SILENCES, format!("{silences:.0?}"));
    report.figure("heartbeat_loss_to_cover_ms", silences);
    report.figure("held_bytes", held_bytes(&sudare)?);
    Ok(())
}

struct Figures {
    stack: Stack,
    camera: Camera,
    screen: Screen,
    eye: Eye,
}

impl Figures {
    /// From the decision that the plugin notes before it signs its LOCK, to black in xfreerdp's window. In turn somebody
    /// comes, which the host expects, and the camera is blocked, which it does not. The inner error is why the time of
    /// this round cannot be told.
    fn lock(&mut self, client: &mut Client, round: usize) -> anyhow::Result<Result<f64, String>> {
        let before = decisions(client, true)?.len();
        // Not always at the same point of the desktop's own updates.
        std::thread::sleep(Duration::from_millis(50 + u64::try_from(round)? * 7 % 61));
        let comes = Scene { stranger: 1.0, ..ALONE };
        self.camera.show(if round.is_multiple_of(2) { comes } else { Scene { blocked: true, ..ALONE } });
        let until = Instant::now() + PATIENCE;
        while !self.eye.sees_black()? {
            client.ensure_running()?;
            ensure!(
                Instant::now() < until,
                "{}",
                in_vain(&format!("the cover of round {round}"), "the desktop")
            );
        }
        only_one(boot_ms(), &decisions(client, true)?, before)
    }

    /// From the decision that the plugin notes before it signs its UNLOCK, to the whole desktop.
    fn open(&mut self, client: &mut Client, whole: &[u8]) -> anyhow::Result<Result<f64, String>> {
        let before = decisions(client, false)?.len();
        self.camera.show(ALONE);
        let until = Instant::now() + PATIENCE;
        while self.screen.lower()? != whole {
            client.ensure_running()?;
            ensure!(Instant::now() < until, "{}", in_vain("the desktop", "a cover"));
        }
        let visible_ms = boot_ms();
        only_one(visible_ms, &decisions(client, false)?, before)
    }

    /// Stops the whole client for a while. Gives when.
    fn silence(&mut self, client: &mut Client, round: usize) -> anyhow::Result<f64> {
        self.stack.wait_picture("the desktop", client, |count| count.is_desktop())?;
        // Anywhere between two attestations, which come each half second.
        std::thread::sleep(Duration::from_millis(u64::try_from(round)? * 97 % 500));
        kill_process(client.pid(), Signal::STOP)?;
        let stopped_ms = boot_ms();
        std::thread::sleep(SILENT);
        kill_process(client.pid(), Signal::CONT)?;
        self.stack.wait_picture("the cover after a silence", client, |count| count.is_cover())?;
        Ok(stopped_ms)
    }
}

/// What each cover held when it ended, which the gate logs.
fn held_bytes(sudare: &Sudare) -> anyhow::Result<Vec<f64>> {
    let said = std::fs::read_to_string(sudare.gate_log())?;
    let held = said.lines().filter_map(|line| line.split_once("held_bytes=")?.1.split_whitespace().next());
    Ok(held.filter_map(|bytes| bytes.parse().ok()).collect())
}

/// When the host decided to cover a client that was stopped, by the log, counted from then.
fn covers_after(logged: &Logged, stopped_ms: &[f64]) -> Vec<f64> {
    let lost = || logged.covers.iter().filter(|(reason, _)| *reason == Reason::LinkLost);
    let times = stopped_ms.iter().filter_map(|stopped| {
        lost()
            .map(|(_, boot_ms)| boot_ms - stopped)
            .find(|after| (0.0..SILENT.as_secs_f64() * 1e3).contains(after))
    });
    times.collect()
}

/// On a busy machine a face may be lost and found again, and nobody can say which decision the picture was for.
fn only_one(seen_ms: f64, decided: &[f64], before: usize) -> anyhow::Result<Result<f64, String>> {
    Ok(match decided.get(before..) {
        Some([decided_ms]) => Ok(seen_ms - decided_ms),
        others => Err(format!("{} decisions", others.map_or(0, <[f64]>::len))),
    })
}

/// When the plugin decided to lock, or not to, by its own log.
pub(super) fn decisions(client: &Client, cover: bool) -> anyhow::Result<Vec<f64>> {
    let said = std::fs::read_to_string(&client.log)?;
    let wanted = format!("cover={cover}");
    let decided = said.lines().filter(|line| line.contains("decided") && line.contains(&wanted));
    let times =
        decided.filter_map(|line| line.split_once("boot_ms=")?.1.split_whitespace().next()?.parse().ok());
    Ok(times.collect())
}
