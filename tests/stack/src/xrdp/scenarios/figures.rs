//! How soon the cover comes on the real stack: after the plugin's LOCK, and after its silence.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use sudare_blanker::wire::Rect;
use sudare_protocol::screen::panel;
use sudare_test_kit::scene::{ALONE, Camera, Scene};
use sudare_test_kit::wait::{PATIENCE, in_vain, wait_until};

use super::attacks::FULL_HD;
use crate::blanking::sampler;
use crate::xrdp::client::Client;
use crate::xrdp::report::Report;
use crate::xrdp::screen;
use crate::xrdp::session::processes;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// The shortest release that a policy may have, so that a round takes seconds.
const POLICY: &str = "[timings]\nrelease_ms = 1000\n";
const LOCKS: usize = 24;
const SILENCES: usize = 6;
/// Of the picture at the client; no part that is updated by itself is smaller.
const STEP: usize = 8;
/// More rounds than this that go wrong are no accidents of a busy machine.
const FAILED_MAX: usize = LOCKS / 4;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = Stack::raise(out, &StackOptions { size: FULL_HD, ..StackOptions::default() })?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(ALONE);
    let mut client = stack.connect(&device)?;
    let (mut locks, mut failed) = (Vec::new(), Vec::new());
    for round in 0..LOCKS {
        match lock_to_black_ms(&mut stack, &mut client, &camera, round)? {
            Round::Measured(ms) => locks.push(ms),
            Round::Failed(why) => failed.push(why),
        }
    }
    report.check("each lock covers", failed.len() <= FAILED_MAX, format!("{locks:.0?}; failed: {failed:?}"));
    report.figure("xrdp_lock_to_black_ms", locks);
    report.figure("rounds_failed", failed);
    camera.show(ALONE);
    let silences = (0..SILENCES)
        .map(|round| stop_to_black_ms(&mut stack, &mut client, round))
        .collect::<anyhow::Result<Vec<f64>>>()?;
    report.check("each silence covers", silences.len() == SILENCES, format!("{silences:.0?}"));
    report.figure("heartbeat_loss_to_black_ms", silences);
    stack.session()?.end()
}

/// What came of one round.
enum Round {
    Measured(f64),
    /// It covered, and yet its time cannot be told: why.
    Failed(String),
}

/// From the decision that the plugin notes before it signs its LOCK, to black in xfreerdp's window.
/// In turn somebody comes, which the host expects, and the camera is blocked, which it does not.
fn lock_to_black_ms(
    stack: &mut Stack,
    client: &mut Client,
    camera: &Camera,
    round: usize,
) -> anyhow::Result<Round> {
    camera.show(ALONE);
    stack.wait_picture("the desktop", client, |count| count.is_desktop())?;
    let before = locks(client)?.len();
    let mut screen = screen::Screen::of(&stack.private)?;
    // Not always at the same point of the desktop's own updates.
    std::thread::sleep(Duration::from_millis(50 + u64::try_from(round)? * 7 % 61));
    let comes = Scene { stranger: 1.0, ..ALONE };
    camera.show(if round.is_multiple_of(2) { comes } else { Scene { blocked: true, ..ALONE } });
    let until = Instant::now() + PATIENCE;
    while !screen.count(STEP)?.is_cover() {
        client.ensure_running()?;
        ensure!(Instant::now() < until, "{}", in_vain(&format!("the cover of round {round}"), "the desktop"));
    }
    let black_ms = boot_ms();
    let locks = locks(client)?;
    // On a busy machine a face may be lost and found again, and nobody can say which lock the black was for.
    match locks.get(before..) {
        Some([decided_ms]) => Ok(Round::Measured(black_ms - decided_ms)),
        others => Ok(Round::Failed(format!("round {round} had {} locks", others.map_or(0, <[f64]>::len)))),
    }
}

/// When the plugin decided to lock, by its own log.
pub(super) fn locks(client: &Client) -> anyhow::Result<Vec<f64>> {
    let said = std::fs::read_to_string(&client.log)?;
    let decided = said.lines().filter(|line| line.contains("decided") && line.contains("cover=true"));
    let times =
        decided.filter_map(|line| line.split_once("boot_ms=")?.1.split_whitespace().next()?.parse().ok());
    Ok(times.collect())
}

/// From SIGSTOP of the whole client to black on the session's own display.
fn stop_to_black_ms(stack: &mut Stack, client: &mut Client, round: usize) -> anyhow::Result<f64> {
    let [left, top, right, bottom] = panel(FULL_HD.0, FULL_HD.1);
    let words = Rect { x: left, y: top, width: right - left, height: bottom - top };
    let mut screen = sampler::Screen::open(&stack.session()?.access()?)?;
    // A client that was stopped still shows what it showed then.
    wait_until("the desktop on the session's display", || Ok(!screen.is_covered(words)?))?;
    stack.wait_picture("the desktop", client, |count| count.is_desktop())?;
    // Anywhere between two attestations, which come each half second.
    std::thread::sleep(Duration::from_millis(u64::try_from(round)? * 97 % 500));
    let pid = xfreerdp()?;
    let stopped = Instant::now();
    kill_process(pid, Signal::STOP)?;
    let until = stopped + PATIENCE;
    let covered = loop {
        if screen.is_covered(words)? || Instant::now() > until {
            break stopped.elapsed();
        }
    };
    kill_process(pid, Signal::CONT)?;
    ensure!(covered < PATIENCE, "{}", in_vain(&format!("the cover of silent round {round}"), "the desktop"));
    Ok(covered.as_secs_f64() * 1e3)
}

fn xfreerdp() -> anyhow::Result<Pid> {
    let found = processes()?.into_iter().find(|process| process.program() == "xfreerdp");
    Ok(found.context("no xfreerdp runs")?.pid)
}

/// The clock of the plugin's log.
fn boot_ms() -> f64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}
