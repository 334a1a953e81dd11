//! A client without the plugin, and a user whose log-on scripts draw at once: the client sees the
//! cover from the first picture, and nothing else.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sudare_test_kit::wait_until;

use super::hostile;
use crate::blanking::sampler;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::process;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// How long it is watched with everything running.
const WATCHED: Duration = Duration::from_secs(3);
const KEYS: usize = 10;
/// Words in two languages have more pixels than this.
const WORDS: usize = 500;

const CHANSRV: &str = "/usr/sbin/xrdp-chansrv";
/// Of clients that come back: smaller than the first one, and larger again.
const SIZES: [(u16, u16); 2] = [(960, 640), (1_020, 690)];
/// Six lines and two of them broken have more than this, each fourth pixel counted, and the two lines
/// before have a thousand.
const REASON: usize = 3_000;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { home_files: hostile::files(), ..StackOptions::default() };
    let mut stack = Stack::raise(out, &options)?;
    let _sudare = Sudare::start(out, "")?;
    let watch = stack.watch("no-plugin")?;
    // With some dynamic channel xfreerdp opens drdynvc, and refuses ours alone.
    let mut client =
        stack.connect(&ClientOptions { arguments: vec!["/echo".into()], ..Default::default() })?;
    let began = stack.user.home.join(hostile::BEGAN);
    wait_until("the user's log-on script", || Ok(began.exists()))?;
    let words = |count: &crate::xrdp::Count| count.is_cover() && count.other > WORDS / 4;
    stack.wait_picture("the cover with its words", &mut client, words)?;
    stack.type_key('a', KEYS)?;
    std::thread::sleep(WATCHED);
    stack.save("no-plugin", report)?;
    let (count, keys) = (stack.count()?, stack.keys_received()?);
    let seen = watch.stop()?;
    report.check("the cover says why", count.is_cover() && count.other > WORDS, format!("{count:?}"));
    report.check("nothing of the user is ever seen", seen.leaked_frames == 0, format!("{seen:?}"));
    report.check("no key arrives", keys == 0 && stack.is_desk_shown()?, format!("{keys} of {KEYS}"));
    report.figure("watched", serde_json::to_value(&seen)?);
    client.kill()?;
    at_other_sizes(&mut stack, report)?;
    stack.session()?.end()
}

/// A client that comes back with another size makes xorgxrdp change the size of the covered screen.
fn at_other_sizes(stack: &mut Stack, report: &mut Report) -> anyhow::Result<()> {
    let session = stack.session()?;
    for (width, height) in SIZES {
        session.wait_connected(false)?;
        let watch = stack.watch(&format!("size-{width}"))?;
        let size = format!("/size:{width}x{height}");
        let mut client =
            stack.connect(&ClientOptions { arguments: vec![size.clone()], ..Default::default() })?;
        let name = format!("the cover at {size}");
        let count = stack.wait_picture(&name, &mut client, |count| count.is_cover() && count.other > 100)?;
        std::thread::sleep(WATCHED);
        stack.save(&format!("size-{width}"), report)?;
        let seen = watch.stop()?;
        let screen = sampler::Screen::open(&session.access()?)?;
        let found = (screen.width, screen.height);
        report.check(
            &format!("{size} is the size of the screen"),
            found == (width, height),
            format!("{found:?}"),
        );
        report.check(
            &format!("{size}: nothing is seen"),
            seen.leaked_frames == 0,
            format!("{seen:?}, {count:?}"),
        );
        client.kill()?;
    }
    Ok(())
}

/// Without chansrv nobody tells the guard of the client, as with `allow_channels=false`, with which
/// xfreerdp 2 does not connect at all.
pub(super) fn without_chansrv(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    // In this namespace only.
    process::output(Command::new("mount").args(["--bind", "/bin/true", CHANSRV]))?;
    let options = StackOptions { home_files: hostile::files(), ..StackOptions::default() };
    let mut stack = Stack::raise(out, &options)?;
    let _sudare = Sudare::start(out, "")?;
    let watch = stack.watch("no-chansrv")?;
    let mut client = stack.connect(&ClientOptions::default())?;
    // xrdp looks for chansrv for a quarter of a minute before it shows anything.
    let first = stack.wait_picture("the cover", &mut client, |count| count.is_cover() && count.other > 0)?;
    let explains = |count: &crate::xrdp::Count| count.is_cover() && count.other > REASON;
    let reason = stack.wait_picture("the cover with its reason", &mut client, explains)?;
    let began = stack.user.home.join(hostile::BEGAN);
    wait_until("the user's log-on script", || Ok(began.exists()))?;
    stack.type_key('a', KEYS)?;
    std::thread::sleep(WATCHED);
    stack.save("no-chansrv", report)?;
    let (seen, keys) = (watch.stop()?, stack.keys_received()?);
    report.check("the cover says why after a while", true, format!("{first:?}, then {reason:?}"));
    report.check("nothing of the user is ever seen", seen.leaked_frames == 0, format!("{seen:?}"));
    report.check("no key arrives", keys == 0, format!("{keys} of {KEYS}"));
    stack.session()?.end()
}
