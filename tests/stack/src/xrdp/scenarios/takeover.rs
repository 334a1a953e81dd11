//! Somebody who knows the password connects from another computer, without the plugin, while the
//! operator works. xrdp gives that client the operator's own session, with the desktop in full view
//! until this moment; it must see the cover from the first picture on. The guard cannot know in time
//! by itself, so PAM has it cover before sesman answers. Nor may a client that stalls its own connection
//! then outwait the cover.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use sudare_test_kit::scene::ALONE;
use sudare_test_kit::wait_until;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use super::faults::ours;
use crate::xrdp::client::{self, Client, ClientOptions, PrivateScreen};
use crate::xrdp::report::Report;
use crate::xrdp::screen::Screen;
use crate::xrdp::session::processes;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::watch::Watch;

/// What is a race is tried more than once, and the last time with a guard that is late.
const ROUNDS: usize = 3;
/// The guard's processor was busy elsewhere. Well below the 500 ms after which the supervisor disconnects.
const LATE: Duration = Duration::from_millis(300);
/// xfreerdp takes twice as long until its password is asked for.
const BEFORE_SIGN_IN: Duration = Duration::from_millis(100);
/// What the supervisor says when PAM has asked.
const ASKED: &str = "a user signs in";
/// What it says when somebody has signed in and does not come.
const LATE_COMER: &str = "did not attach to a session in time";
/// For so long the stalled one stands still: longer than the supervisor waits for it.
const STALLED: Duration = Duration::from_secs(14);
/// How long the second client is watched once it sees the cover.
const WATCHED: Duration = Duration::from_secs(2);

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(ALONE);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let elsewhere = PrivateScreen::start(client::SIZE)?;
    for round in 1..=ROUNDS {
        let mut operator = acts.stack.connect(&acts.device.clone())?;
        acts.uncovers(&format!("operator works {round}"), &mut operator, ALONE)?;
        taken_over(&mut acts, operator, &elsewhere, round)?;
    }
    stalled(&mut acts, &elsewhere)?;
    let session = acts.stack.session()?;
    acts.report.check("the session outlived all of it", session.is_alive(), session.display);
    session.end()
}

fn taken_over(
    acts: &mut Acts<'_>,
    mut operator: Client,
    elsewhere: &PrivateScreen,
    round: usize,
) -> anyhow::Result<()> {
    let evidence = acts.stack.out.join(format!("leak-takeover-{round}.png"));
    let watch = Watch::start(elsewhere, evidence)?;
    let log = acts.stack.out.join(format!("xfreerdp-second-{round}.log"));
    let home = Path::new("/run/sudare-stack/client-elsewhere");
    let mut second = Client::start(elsewhere, &ClientOptions::default(), home, &log)?;
    if round == ROUNDS {
        let guard = ours()?.guard;
        std::thread::sleep(BEFORE_SIGN_IN);
        kill_process(guard, Signal::STOP)?;
        std::thread::sleep(LATE);
        kill_process(guard, Signal::CONT)?;
    }
    operator.wait_ended().context("the first client was not replaced by the second")?;
    let mut screen = Screen::of(elsewhere)?;
    let covered = wait_until("the cover at the second client", || {
        let count = screen.count(2)?;
        Ok((count.is_cover() && count.other > 100).then_some(count))
    });
    std::thread::sleep(WATCHED);
    let seen = watch.stop()?;
    let picture = acts.stack.out.join(format!("second-{round}.png"));
    screen.count(1)?;
    screen.save(&picture)?;
    acts.report.pictures.push(picture);
    let covered = covered?;
    acts.report.check(&format!("takeover {round}: the cover is seen"), true, format!("{covered:?}"));
    let tight = seen.leaked_frames == 0;
    acts.report.check(&format!("takeover {round}: nothing of the user is seen"), tight, format!("{seen:?}"));
    acts.report.figure(&format!("takeover_{round}"), serde_json::to_value(&seen)?);
    // Also the operators of the rounds before signed in to the session that ran.
    let asked = said(acts, ASKED)?;
    let in_time = asked >= 2 * round - 1;
    acts.report.check(&format!("takeover {round}: covered before sesman answered"), in_time, asked);
    // Taking over is allowed: the operator may have moved to another computer.
    let stays = second.ensure_running();
    acts.report.check(
        &format!("takeover {round}: the second client stays"),
        stays.is_ok(),
        format!("{stays:?}"),
    );
    second.kill()?;
    acts.stack.session()?.wait_connected(false)
}

/// The second client's xrdp stands still from PAM's question on, as it does in the middle of a TLS record
/// that its client does not finish, and goes on when the operator might see the desktop again.
fn stalled(acts: &mut Acts<'_>, elsewhere: &PrivateScreen) -> anyhow::Result<()> {
    let mut operator = acts.stack.connect(&acts.device.clone())?;
    acts.uncovers("operator works on", &mut operator, ALONE)?;
    let (before, asked) = (xrdps()?, said(acts, ASKED)?);
    let watch = Watch::start(elsewhere, acts.stack.out.join("leak-stalled.png"))?;
    let home = Path::new("/run/sudare-stack/client-elsewhere");
    let log = acts.stack.out.join("xfreerdp-stalled.log");
    // sesman stands still first, so that xrdp has asked it and has no answer when it is stopped itself.
    let sesman = sesman()?;
    kill_process(sesman, Signal::STOP)?;
    let mut second = Client::start(elsewhere, &ClientOptions::default(), home, &log)?;
    wait_until("xrdp's connection to sesman", asks_sesman)?;
    std::thread::sleep(BEFORE_SIGN_IN);
    let theirs: Vec<_> = xrdps()?.into_iter().filter(|pid| !before.contains(pid)).collect();
    theirs.iter().try_for_each(|&pid| kill_process(pid, Signal::STOP))?;
    kill_process(sesman, Signal::CONT)?;
    wait_until("PAM's question", || Ok(said(acts, ASKED)? > asked))?;
    acts.report.check("stalled: xrdp stands still with the second client", theirs.len() == 1, theirs.len());
    std::thread::sleep(STALLED);
    // What has been ended does not go on.
    theirs.iter().for_each(|&pid| {
        kill_process(pid, Signal::CONT).ok();
    });
    std::thread::sleep(WATCHED);
    let seen = watch.stop()?;
    acts.report.check("stalled: nothing of the user is seen", seen.leaked_frames == 0, format!("{seen:?}"));
    let late = said(acts, LATE_COMER)?;
    acts.report.check("stalled: that connection was ended", late == 1, late);
    second.wait_ended()?;
    acts.report.check("stalled: the operator stays", operator.ensure_running().is_ok(), "");
    acts.uncovers("operator works after it", &mut operator, ALONE)?;
    operator.kill()?;
    acts.stack.session()?.wait_connected(false)
}

/// How often the supervisor has said this.
fn said(acts: &Acts<'_>, words: &str) -> anyhow::Result<usize> {
    Ok(std::fs::read_to_string(acts.stack.out.join("supervisor-1.log"))?.matches(words).count())
}

/// The daemon; its children of the same name each wait for a session.
fn sesman() -> anyhow::Result<Pid> {
    let all: Vec<_> = processes()?.into_iter().filter(|process| process.program() == "xrdp-sesman").collect();
    let is_child = |parent: i32| all.iter().any(|other| other.pid.as_raw_pid() == parent);
    let daemon = all.iter().find(|process| !is_child(process.parent));
    Ok(daemon.context("sesman does not run")?.pid)
}

/// Whether anybody has a connection to its port; fields as in proc_pid_net(5).
fn asks_sesman() -> anyhow::Result<bool> {
    let list = std::fs::read_to_string("/proc/net/tcp")? + &std::fs::read_to_string("/proc/net/tcp6")?;
    Ok(list.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(2).is_some_and(|remote| remote.ends_with(":0D16")) && fields.get(3) == Some(&"01")
    }))
}

fn xrdps() -> anyhow::Result<Vec<Pid>> {
    Ok(processes()?
        .into_iter()
        .filter(|process| process.program() == "xrdp")
        .map(|process| process.pid)
        .collect())
}
