//! Clients without the plugin: they see the cover from the first picture on, with its words and its help, and nobody
//! reaches xrdp past the gate.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use sudare_test_kit::wait_until;
use x11rb::connection::Connection as _;

use super::hostile;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::report::Report;
use crate::xrdp::servers::GATE_SOCKET;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// How long it is watched with everything running.
const WATCHED: Duration = Duration::from_secs(3);
const KEYS: usize = 10;
/// Words in two languages have more pixels than this.
const WORDS: usize = 500;
/// Of clients that come back: smaller than the first one, and larger again.
const SIZES: [(u16, u16); 2] = [(960, 640), (1_020, 690)];
/// The key that asks for help: its keysym (XK_F1).
const F1: char = '\u{FFBE}';

/// Nothing of the user is seen, also by a client that has no dynamic channels at all, and nobody reaches xrdp.
pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut stack =
        Stack::raise(out, &StackOptions { home_files: hostile::files(), ..StackOptions::default() })?;
    let _sudare = Sudare::start(out, "")?;
    for (name, argument) in [("a-refused-channel", Some("/echo")), ("no-channels", None)] {
        let watch = stack.watch_log_on(name)?;
        let arguments = argument.into_iter().map(str::to_owned).collect();
        let mut client = stack.connect(&ClientOptions { arguments, ..Default::default() })?;
        wait_until("the user's desktop", || stack.is_desk_shown())?;
        let words = |count: &crate::xrdp::Count| count.is_cover() && count.other > WORDS / 4;
        stack.wait_picture("the cover with its words", &mut client, words)?;
        stack.type_key('a', KEYS)?;
        std::thread::sleep(WATCHED);
        stack.save(name, report)?;
        let (count, keys) = (stack.count()?, stack.keys_received()?);
        let seen = watch.stop()?;
        let covered = count.is_cover() && count.other > WORDS;
        report.check(&format!("{name}: the cover says why"), covered, format!("{count:?}"));
        report.check(&format!("{name}: nothing is seen"), seen.leaked_frames == 0, format!("{seen:?}"));
        report.check(&format!("{name}: no key arrives"), keys == 0, format!("{keys} of {KEYS}"));
        stack.type_key(F1, 1)?;
        // A picture is counted at each fourth pixel.
        let more = |now: &crate::xrdp::Count| now.is_cover() && now.other * 4 > count.other + count.other / 4;
        stack.wait_picture("the cover with its help", &mut client, more)?;
        stack.save(&format!("{name}-help"), report)?;
        report.figure(&format!("watched-{name}"), serde_json::to_value(&seen)?);
        client.kill()?;
        stack.session()?.wait_connected(false)?;
    }
    at_other_sizes(&mut stack, report)?;
    // The scenario itself is root, who reaches everything.
    let can = UnixStream::connect(GATE_SOCKET).is_ok();
    let knocks = format!("import socket; socket.socket(socket.AF_UNIX).connect('{GATE_SOCKET}')");
    let mut user: Command = stack.user.command("/usr/bin/python3");
    let knocked = user.args(["-c", &knocks]).output()?;
    let denied = String::from_utf8_lossy(&knocked.stderr).contains("PermissionError");
    report.check("the user does not reach xrdp past the gate", can && denied, format!("{knocked:?}"));
    stack.session()?.end()
}

/// A client that comes back with another size makes xorgxrdp change the size of the covered screen.
fn at_other_sizes(stack: &mut Stack, report: &mut Report) -> anyhow::Result<()> {
    let session = stack.session()?;
    for (width, height) in SIZES {
        session.wait_connected(false)?;
        let watch = stack.watch_log_on(&format!("size-{width}"))?;
        let size = format!("/size:{width}x{height}");
        let mut client =
            stack.connect(&ClientOptions { arguments: vec![size.clone()], ..Default::default() })?;
        let name = format!("the cover at {size}");
        let words = |count: &crate::xrdp::Count| count.is_cover() && count.other > WORDS / 4;
        let count = stack.wait_picture(&name, &mut client, words)?;
        std::thread::sleep(WATCHED);
        stack.save(&format!("size-{width}"), report)?;
        let seen = watch.stop()?;
        let x = session.access()?.connect()?;
        let screen = x.setup().roots.first().context("the session has no screen")?;
        let found = (screen.width_in_pixels, screen.height_in_pixels);
        let is_size = found == (width, height);
        report.check(&format!("{size} is the size of the screen"), is_size, format!("{found:?}"));
        let tight = seen.leaked_frames == 0;
        report.check(&format!("{size}: nothing is seen"), tight, format!("{seen:?}, {count:?}"));
        client.kill()?;
    }
    session.wait_connected(false)
}
