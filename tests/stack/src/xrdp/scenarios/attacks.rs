//! The attack matrix on xorgxrdp, the X server of users: a session with a client that shows it at
//! 1080p, and the blanker driven by the matrix itself, so nothing supervises here.

use std::path::Path;

use anyhow::ensure;

use crate::blanking::attacks::{self, Matrix};
use crate::blanking::display::Access;
use crate::blanking::hostile::Attack;
use crate::blanking::sampler::Screen;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::namespace::PROGRAMS;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};

pub(super) const FULL_HD: (u16, u16) = (1920, 1080);
const SERVER: &str = "xorgxrdp";
/// Those that plain windows lose against, and those that were hardest to hold.
const WORST: [Attack; 7] = [
    Attack::BusyRaise,
    Attack::RaiseOnVisibility,
    Attack::ServerGrab,
    Attack::OverlayChild,
    Attack::UnmapOverlay,
    Attack::Destroy,
    Attack::KillClient,
];

/// Every attack.
pub(super) fn all(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(out, report, |access| attacks::all(access, SERVER))
}

/// The worst ones, for every run of the tests.
pub(super) fn worst(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(out, report, |access| attacks::some(access, SERVER, &WORST))
}

fn play(
    out: &Path,
    report: &mut Report,
    attack: impl FnOnce(&Access) -> anyhow::Result<Matrix>,
) -> anyhow::Result<()> {
    let desk = format!("{PROGRAMS}/sudare-secret-desktop --log $HOME/received.jsonl");
    // The session outlives its window manager, which another one with a compositor replaces.
    let session = format!("#!/bin/sh\nopenbox --startup \"{desk}\"\nexec sleep 1000\n");
    let options =
        StackOptions { size: FULL_HD, home_files: vec![(".xsession", session)], ..StackOptions::default() };
    let mut stack = Stack::raise(out, &options)?;
    let mut client = stack.connect(&ClientOptions::default())?;
    stack.wait_picture("the desktop", &mut client, |count| count.is_desktop())?;
    let session = stack.session()?;
    let access = session.access()?;
    let screen = Screen::open(&access)?;
    ensure!((screen.width, screen.height) == FULL_HD, "the session has {}x{}", screen.width, screen.height);
    let found = attack(&access)?;
    client.ensure_running()?;
    report.check("the client stays connected", session.is_alive(), session.display);
    let (frames, keys) = (found.control_leaked_frames, found.control_keys_delivered);
    report.check(
        "without a cover frames and keys are seen",
        frames > 0 && keys > 0,
        format!("{frames}, {keys}"),
    );
    for row in &found.rows {
        report.check(&row.attack, row.is_tight(), serde_json::to_string(row)?);
    }
    report.figure("matrix", serde_json::to_value(&found)?);
    session.end()
}
