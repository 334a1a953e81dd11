//! A session on Xvnc, which would show its screen to all that know the password at the same time.
//! It is ended before any of it is seen, and a session on Xorg is not.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use sudare_test_kit::wait_until;

use super::hostile;
use crate::xrdp::client::ClientOptions;
use crate::xrdp::report::Report;
use crate::xrdp::servers::Backend;
use crate::xrdp::session::processes;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// How long it is watched after the end of the session.
const WATCHED: Duration = Duration::from_secs(3);

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let home_files = hostile::files();
    let options = StackOptions { backend: Backend::Xvnc, home_files, ..StackOptions::default() };
    let mut stack = Stack::raise(out, &options)?;
    let _sudare = Sudare::start(out, "")?;
    let watch = stack.watch("xvnc")?;
    let _client = stack.connect(&ClientOptions::default())?;
    let log = out.join("supervisor-1.log");
    let ended = wait_until("the session's end", || {
        let said = std::fs::read_to_string(&log)?;
        Ok(said.lines().find(|line| line.contains("this session is ended")).map(str::to_owned))
    });
    std::thread::sleep(WATCHED);
    stack.save("xvnc", report)?;
    let seen = watch.stop()?;
    let ended = ended?;
    ensure!(seen.samples > 0, "nobody looked");
    report.check("the session is ended with the reason", ended.contains("one client at a time"), ended);
    report.check("nothing of the user is seen", seen.leaked_frames == 0, format!("{seen:?}"));
    let servers = processes()?.into_iter().filter(|process| process.uid == stack.user.uid);
    let left: Vec<String> = servers.map(|process| process.arguments.join(" ")).collect();
    let vnc = left.iter().any(|line| line.contains("Xvnc") || line.contains("Xtigervnc"));
    report.check("its X server is gone", !vnc, left.join(" | "));
    let began = stack.user.home.join(hostile::BEGAN).exists();
    report.figure("user_code_ran", began);
    Ok(())
}
