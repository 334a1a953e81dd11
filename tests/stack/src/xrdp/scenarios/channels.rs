//! Channels through the gate: the clipboard, closed by default, and opened by the host's settings.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sudare_test_kit::scene::{ALONE, AWAY};

use super::acts::{Acts, KEYS_TAKE, POLICY};
use crate::xrdp::client::ClientOptions;
use crate::xrdp::clipboard::{Clipboard, arrives};
use crate::xrdp::report::Report;
use crate::xrdp::servers::Door;
use crate::xrdp::session::Session;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// Longer than any text took that arrived.
const ARRIVES: Duration = Duration::from_secs(60);
/// It is copied again after this.
const COPIED_AGAIN: Duration = Duration::from_secs(5);
/// How long it is watched that none does.
const WATCHED: Duration = Duration::from_secs(5);

/// A clipboard that is not listed is not there; one that is works while the desktop is seen, and nothing of it passes
/// under a cover.
pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions::default();
    let stack = Stack::raise(out, &options)?;
    let sudare = Sudare::start(out, POLICY)?;
    let mut device = sudare.device()?;
    device.arguments.push("+clipboard".to_owned());
    let camera = sudare.film()?;
    camera.show(AWAY);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };

    let mut client = acts.log_on("log-on", true)?;
    acts.uncovers("operator alone", &mut client, ALONE)?;
    let session = acts.stack.session()?;
    let cookie = session.access()?.cookie;
    let number = acts.stack.private.display.trim_start_matches(':').parse()?;
    let mut at_pc = Clipboard::open(number, None)?;
    let mut in_session = Clipboard::open(session.display, Some(&cookie)).context("the session's display")?;
    in_session.copy("closed")?;
    let passed = arrives(&mut in_session, &mut at_pc, "closed", WATCHED)?;
    acts.report.check("not listed: nothing leaves the session", !passed, passed);
    client.kill()?;
    session.wait_connected(false)?;

    // Each connection reads the settings anew.
    acts.camera.show(AWAY);
    sudare.set("gate_channels = [\"resize\", \"clipboard\"]")?;
    let mut client = acts.log_on("log-on again", true)?;
    acts.uncovers("operator alone again", &mut client, ALONE)?;
    let (mut in_session, passed) = leaves(&session, &cookie, &mut at_pc, "seen")?;
    acts.report.check("listed: a text leaves the session while the desktop is seen", passed, passed);
    in_session.copy("seen again")?;
    let passed = arrives(&mut in_session, &mut at_pc, "seen again", WATCHED)?;
    acts.report.figure("second_text_of_a_program", passed);
    at_pc.copy("typed")?;
    let passed = arrives(&mut at_pc, &mut in_session, "typed", ARRIVES)?;
    acts.report.check("listed: a text comes in while the desktop is seen", passed, passed);

    acts.covers("operator away", &mut client, AWAY)?;
    in_session.copy("secret")?;
    let passed = arrives(&mut in_session, &mut at_pc, "secret", WATCHED)?;
    acts.report.check("under a cover nothing leaves the session", !passed, passed);
    acts.uncovers("operator back", &mut client, ALONE)?;
    let passed = arrives(&mut in_session, &mut at_pc, "secret", ARRIVES)?;
    acts.report.check("what was copied under a cover comes with the desktop", passed, passed);

    acts.covers("operator away again", &mut client, AWAY)?;
    at_pc.copy("stranger")?;
    let passed = arrives(&mut at_pc, &mut in_session, "stranger", WATCHED)?;
    acts.report.check("under a cover nothing comes in", !passed, passed);
    client.kill()?;
    session.wait_connected(false)?;
    session.end()
}

/// Copies in the session until a text arrives at the PC, each time with another program: xrdp hears of new owners only,
/// and of none before its part of the clipboard has begun, which nobody else can tell.
fn leaves(
    session: &Session,
    cookie: &[u8],
    at_pc: &mut Clipboard,
    text: &str,
) -> anyhow::Result<(Clipboard, bool)> {
    let until = Instant::now() + ARRIVES;
    loop {
        let mut in_session =
            Clipboard::open(session.display, Some(cookie)).context("the session's display")?;
        in_session.copy(text)?;
        let passed = arrives(&mut in_session, at_pc, text, COPIED_AGAIN)?;
        if passed || Instant::now() > until {
            return Ok((in_session, passed));
        }
    }
}

/// Without Sudare: a text leaves the session, and so does the next one of the same program.
pub(super) fn control(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = Stack::raise(out, &StackOptions { door: Door::Port, ..StackOptions::default() })?;
    let clipboard = ClientOptions { arguments: vec!["+clipboard".to_owned()], ..ClientOptions::default() };
    let mut client = stack.connect(&clipboard)?;
    stack.wait_picture("the desktop", &mut client, |count| count.is_desktop())?;
    let session = stack.session()?;
    let cookie = session.access()?.cookie;
    let number = stack.private.display.trim_start_matches(':').parse()?;
    let mut at_pc = Clipboard::open(number, None)?;
    let (mut in_session, passed) = leaves(&session, &cookie, &mut at_pc, "first")?;
    report.check("without Sudare a text leaves the session", passed, passed);
    in_session.copy("second")?;
    // Told and not judged: xrdp decides it, and other scenarios copy with another program each time.
    report.figure("second_text_of_a_program", arrives(&mut in_session, &mut at_pc, "second", WATCHED)?);
    client.kill()?;
    session.wait_connected(false)?;
    session.end()
}
