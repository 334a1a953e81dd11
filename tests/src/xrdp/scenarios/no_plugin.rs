//! A client without the plugin, and a user whose log-on scripts draw at once: the client sees the
//! cover from the first picture, and nothing else.

use std::path::Path;
use std::time::Duration;

use super::hostile;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::process;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{PATIENCE, Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// How long it is watched with everything running.
const WATCHED: Duration = Duration::from_secs(3);
const KEYS: usize = 10;
/// Words in two languages have more pixels than this.
const WORDS: usize = 500;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let options = StackOptions { home_files: hostile::files(), ..StackOptions::default() };
    let mut stack = Stack::raise(out, &options)?;
    let _sudare = Sudare::start(out, "")?;
    let watch = stack.watch("no-plugin")?;
    // With some dynamic channel xfreerdp opens drdynvc, and refuses ours alone.
    let mut client =
        stack.connect(&ClientOptions { arguments: vec!["/echo".into()], ..Default::default() })?;
    let began = stack.user.home.join(hostile::BEGAN);
    process::wait_for("the user's log-on script", PATIENCE, || Ok(began.exists().then_some(())))?;
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
    stack.session()?.end()
}
