//! The stack without Sudare. What the other scenarios count must be there when nothing prevents it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Signal, kill_process};
use sudare_test_kit::wait_until;

use crate::xrdp::client::ClientOptions;
use crate::xrdp::report::Report;
use crate::xrdp::servers::{Backend, Door};
use crate::xrdp::stack::{Stack, StackOptions};

/// Keys typed in one go.
const KEYS: usize = 10;

pub(super) fn play(backend: Backend, out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut stack =
        Stack::raise(out, &StackOptions { backend, door: Door::Port, ..StackOptions::default() })?;
    report.figure("raised_ms", millis(started.elapsed()));
    let watch = stack.watch("control")?;
    let mut client = stack.connect(&ClientOptions::default())?;
    let desktop = stack.wait_picture("the desktop", &mut client, |count| count.is_desktop())?;
    report.check("the desktop is seen", true, format!("{desktop:?}"));
    let places = stack.wait_moving()?;
    report.check("the desktop moves", true, format!("its bar was in {places} places"));
    stack.save("desktop", report)?;
    let seen = watch.stop()?;
    report.check("watching sees it too", seen.leaked_frames > 0, format!("{seen:?}"));
    report.figure("watched", serde_json::to_value(&seen)?);
    keys_arrive(&stack, report)?;

    let session = stack.session()?;
    client.kill()?;
    session.wait_connected(false)?;
    wait_until("an empty screen", || Ok(stack.count()?.is_empty()))?;
    report.check("a killed client leaves nothing on the screen", true, "");
    let mut client = stack.connect(&ClientOptions::default())?;
    session.wait_connected(true)?;
    stack.wait_picture("the desktop after connecting again", &mut client, |count| count.is_desktop())?;
    report.check("the session goes on without its client", session.is_alive(), session.display);
    keys_arrive(&stack, report)?;
    if backend == Backend::Xorg {
        let connection = session.connection()?.context("no process of xrdp serves the client")?;
        kill_process(connection, Signal::TERM)?;
        let started = Instant::now();
        client.wait_ended()?;
        report.figure("disconnect_ms", millis(started.elapsed()));
        report.check("ending xrdp's process disconnects", session.is_alive(), "the session goes on");
    }
    session.end()
}

/// Types, and waits until the desktop got every key.
fn keys_arrive(stack: &Stack, report: &mut Report) -> anyhow::Result<()> {
    let before = stack.keys_received()?;
    stack.type_key('a', KEYS)?;
    let arrived = wait_until("the typed keys", || {
        let arrived = stack.keys_received()? - before;
        Ok(if arrived >= KEYS { Ok(arrived) } else { Err(format!("{arrived} of {KEYS}")) })
    })?;
    report.check("typed keys arrive", arrived == KEYS, format!("{arrived} of {KEYS}"));
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
