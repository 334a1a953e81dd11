//! The gate before an xrdp that knows nothing of Sudare: no supervisor, no PAM, no blanker in the session.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sudare_test_kit::scene::{ALONE, AWAY, Scene};
use sudare_test_kit::wait_until;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use super::hostile;
use super::story::evidence;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::report::Report;
use crate::xrdp::servers::{Door, GATE_SOCKET};
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// How long it is watched with everything running.
const WATCHED: Duration = Duration::from_secs(3);
const KEYS: usize = 10;
/// Words in two languages have more pixels than this.
const WORDS: usize = 500;
/// The key that asks for help: its keysym (XK_F1).
const F1: char = '\u{FFBE}';
const UNPLUGGED: Scene = Scene { plugged: false, ..ALONE };

fn options() -> StackOptions {
    StackOptions { door: Door::Gate, home_files: hostile::files(), ..StackOptions::default() }
}

/// Nothing of the user is seen, also by a client that has no dynamic channels at all, and nobody reaches xrdp.
pub(super) fn no_plugin(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = Stack::raise(out, &options())?;
    let _sudare = Sudare::start_gate(out, "")?;
    for (name, argument) in [("a-refused-channel", Some("/echo")), ("no-channels", None)] {
        let watch = stack.watch(name)?;
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
    // The scenario itself is root, who reaches everything.
    let can = UnixStream::connect(GATE_SOCKET).is_ok();
    let knocks = format!("import socket; socket.socket(socket.AF_UNIX).connect('{GATE_SOCKET}')");
    let mut user: Command = stack.user.command("/usr/bin/python3");
    let knocked = user.args(["-c", &knocks]).output()?;
    let denied = String::from_utf8_lossy(&knocked.stderr).contains("PermissionError");
    report.check("the user does not reach xrdp past the gate", can && denied, format!("{knocked:?}"));
    stack.session()?.end()
}

pub(super) fn story(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &options())?;
    let mut sudare = Sudare::start_gate(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut story = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };

    let mut client = story.main_job()?;
    // Whoever accepts connections is not needed by those that there are.
    sudare.kill_gate()?;
    story.covers("camera unplugged", &mut client, UNPLUGGED)?;
    story.uncovers("camera back", &mut client, ALONE)?;
    client.kill()?;

    let session = story.stack.session()?;
    session.wait_connected(false)?;
    story.report.check("the session outlived all of it", session.is_alive(), session.display);
    session.end()?;
    evidence(&sudare.prove()?, out, report)
}
