//! A host that is missing, or is not the one that it should be: the client is told so on its screen, in words.

use std::path::Path;
use std::time::Duration;

use crate::xrdp::Count;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::report::Report;
use crate::xrdp::servers::GATE_SOCKET;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// Words in two languages have more pixels than this; a picture is counted at each fourth pixel.
const WORDS: usize = 500 / 4;
/// A client draws them one after the other.
const DRAWN: Duration = Duration::from_secs(1);
/// Of no certificate.
const WRONG_PIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = Stack::raise(out, &StackOptions::default())?;
    let sudare = Sudare::start(out, "")?;
    let elsewhere = "unix:/run/sudare-xrdp/nobody".to_owned();
    for (name, target) in [("missing", elsewhere), ("another", format!("unix:{GATE_SOCKET}#{WRONG_PIN}"))] {
        // Each connection reads the settings anew.
        sudare.aim(&target)?;
        let mut client = stack.connect(&ClientOptions::default())?;
        let told = |count: &Count| count.is_cover() && count.other > WORDS;
        stack.wait_picture("the reason on a black screen", &mut client, told)?;
        std::thread::sleep(DRAWN);
        let count = stack.count()?;
        stack.save(name, report)?;
        report.check(&format!("{name}: the screen says why"), true, format!("{count:?}"));
        report.check(&format!("{name}: nobody was logged on"), !stack.is_desk_shown()?, "");
        client.kill()?;
    }
    Ok(())
}
