//! A user whose log-on scripts want to be seen before anything covers the screen.

use std::path::Path;

use rustix::process::{Signal, kill_process};

use sudare_test_kit::scene::{ALONE, AWAY};

use super::acts::{Acts, KEYS_TAKE, POLICY};
use crate::xrdp::client::ClientOptions;
use crate::xrdp::namespace::PROGRAMS;
use crate::xrdp::report::Report;
use crate::xrdp::servers::Door;
use crate::xrdp::session;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::users::User;

/// Both files draw at once. `~/startwm.sh` is the first code of the user that sesman runs, then
/// the stock script reads `~/.profile`.
pub(super) fn files() -> Vec<(&'static str, String)> {
    let draw = format!("{PROGRAMS}/sudare-secret-desktop --hostile &\n");
    let first = format!("#!/bin/sh\ndate +%s%3N > ~/{BEGAN}\n{draw}exec /etc/xrdp/startwm.sh\n");
    vec![("startwm.sh", first), (".profile", draw)]
}

/// When the user's first code ran, in milliseconds of the clock on the wall.
pub(super) const BEGAN: &str = "began";

/// Without Sudare both are seen, and as the first thing.
pub(super) fn control(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { door: Door::Port, home_files: files(), ..StackOptions::default() };
    let mut stack = Stack::raise(out, &options)?;
    let watch = stack.watch("control-hostile")?;
    let mut client = stack.connect(&ClientOptions::default())?;
    let count =
        stack.wait_picture("a hostile window", &mut client, |count| count.hostile * 2 > count.all())?;
    stack.save("hostile", report)?;
    report.check("a hostile window is seen", true, format!("{count:?}"));
    let seen = watch.stop()?;
    report.check("watching sees it too", seen.leaked_frames > 0, format!("{seen:?}"));
    report.figure("watched", serde_json::to_value(&seen)?);
    let began = std::fs::read_to_string(stack.user.home.join(BEGAN))?;
    report.check("~/startwm.sh of the user ran", !began.trim().is_empty(), began.trim());
    stack.session()?.end()
}

/// Through the gate nobody sees them at log-on, however early they run; with the desktop they are seen as any window.
pub(super) fn behind_the_gate(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { home_files: files(), ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let mut client = acts.log_on("log-on", true)?;
    let began = std::fs::read_to_string(acts.stack.user.home.join(BEGAN))?;
    acts.report.check("~/startwm.sh of the user ran", !began.trim().is_empty(), began.trim());
    acts.camera.show(ALONE);
    let count =
        acts.stack.wait_picture("a hostile window", &mut client, |count| count.hostile * 2 > count.all())?;
    acts.picture("seen with the desktop")?;
    acts.report.check("with the desktop they are seen", true, format!("{count:?}"));
    acts.covers("operator away", &mut client, AWAY)?;
    client.kill()?;
    let session = acts.stack.session()?;
    session.wait_connected(false)?;
    session.end()
}

/// Ends what the log-on scripts started.
pub(super) fn end(user: &User) -> anyhow::Result<()> {
    let all = session::processes()?.into_iter().filter(|process| process.uid == user.uid);
    let hostile = all.filter(|process| process.arguments.iter().any(|argument| argument == "--hostile"));
    let ended = hostile.map(|process| kill_process(process.pid, Signal::KILL)).collect::<Vec<_>>();
    anyhow::ensure!(ended.len() == 2, "{} hostile programs ran, not 2", ended.len());
    Ok(())
}
