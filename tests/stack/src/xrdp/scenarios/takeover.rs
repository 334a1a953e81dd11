//! Several clients of one user: somebody who knows the password takes the session over from another computer while the
//! operator works, connections that stand still, two at the same moment, a half-open one, and one that was killed.
//!
//! xrdp gives the newest client the session that runs, with the desktop in full view until this moment. Each connection
//! through the gate begins covered and is judged for itself, so there is no race that anybody could win.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use sudare_test_kit::scene::{ALONE, AWAY};
use sudare_test_kit::wait_until;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use super::faults::UNREAD_PICTURES;
use crate::xrdp::client::{self, Client, ClientOptions, PrivateScreen};
use crate::xrdp::report::Report;
use crate::xrdp::screen::{Count, Screen};
use crate::xrdp::session::processes;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::watch::Watch;

/// What is a race is tried more than once.
const ROUNDS: usize = 3;
/// How long the second client is watched once it sees the cover.
const WATCHED: Duration = Duration::from_secs(2);
/// For so long the stalled one stands still.
const STALLED: Duration = Duration::from_secs(4);
/// xfreerdp takes twice as long until its password is asked for.
const BEFORE_SIGN_IN: Duration = Duration::from_millis(100);
/// Words in two languages have more pixels than this at each fourth.
const WORDS: usize = 100;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(ALONE);
    let acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let private = PrivateScreen::start(client::SIZE)?;
    let screen = Screen::of(&private)?;
    let mut play = Play { acts, elsewhere: private, screen };
    for round in 1..=ROUNDS {
        let mut operator = play.acts.stack.connect(&play.acts.device.clone())?;
        play.acts.uncovers(&format!("operator works {round}"), &mut operator, ALONE)?;
        play.taken_over(operator, round)?;
    }
    play.stalled()?;
    for round in 1..=ROUNDS {
        play.at_once(round)?;
    }
    play.half_open()?;
    play.killed()?;
    let Play { acts, .. } = play;
    let session = acts.stack.session()?;
    acts.report.check("the session outlived all of it", session.is_alive(), session.display);
    session.end()
}

struct Play<'a> {
    acts: Acts<'a>,
    /// Another computer's.
    elsewhere: PrivateScreen,
    screen: Screen,
}

/// A client at the other computer, and whoever looks at its screen from before it began.
struct Second {
    name: String,
    client: Client,
    watch: Watch,
}

fn is_covered(count: &Count) -> bool {
    count.is_cover() && count.other > WORDS
}

impl Play<'_> {
    fn second(&self, name: &str, options: &ClientOptions) -> anyhow::Result<Second> {
        let out = &self.acts.stack.out;
        let watch = Watch::start(&self.elsewhere, out.join(format!("leak-{name}.png")))?;
        let log = out.join(format!("xfreerdp-{name}.log"));
        let home = Path::new("/run/sudare-stack/client-elsewhere");
        let client = Client::start(&self.elsewhere, options, home, &log)?;
        Ok(Second { name: name.to_owned(), client, watch })
    }

    /// Waits until the second client is covered, watches it, and asserts that nothing of the user was ever seen.
    fn sees_cover(&mut self, second: Second) -> anyhow::Result<()> {
        let Second { name, mut client, watch } = second;
        let covered = wait_until(&format!("the cover at the second client ({name})"), || {
            client.ensure_running()?;
            let count = self.screen.count(2)?;
            Ok(is_covered(&count).then_some(count))
        });
        std::thread::sleep(WATCHED);
        self.save(&name)?;
        let (seen, covered) = (watch.stop()?, covered?);
        let report = &mut *self.acts.report;
        report.check(&format!("{name}: the second client sees the cover"), true, format!("{covered:?}"));
        let tight = seen.leaked_frames == 0;
        report.check(&format!("{name}: nothing of the user is seen at it"), tight, format!("{seen:?}"));
        report.figure(&name, serde_json::to_value(&seen)?);
        // Taking over is allowed: the operator may have moved to another computer.
        let stays = client.ensure_running();
        report.check(&format!("{name}: the second client stays"), stays.is_ok(), format!("{stays:?}"));
        client.kill()
    }

    fn save(&mut self, name: &str) -> anyhow::Result<()> {
        let picture = self.acts.stack.out.join(format!("{name}.png"));
        self.screen.save(&picture)?;
        self.acts.report.pictures.push(picture);
        Ok(())
    }

    /// A client that lost its session ends, and leaves nothing on its screen.
    fn loses(&mut self, name: &str, mut operator: Client) -> anyhow::Result<()> {
        operator.wait_ended().with_context(|| format!("{name}: the first client was not replaced"))?;
        let told = operator.told_why();
        let name = format!("{name}: the first client is told that it ends");
        self.acts.report.check(&name, told.is_some(), format!("{told:?}"));
        wait_until("an empty screen at the first", || Ok(self.acts.stack.count()?.is_empty()))?;
        Ok(())
    }

    fn idle(&mut self) -> anyhow::Result<()> {
        self.acts.stack.session()?.wait_connected(false)?;
        // A killed client's window goes with it, which takes a moment.
        wait_until("empty screens", || {
            Ok(self.acts.stack.count()?.is_empty() && self.screen.count(2)?.is_empty())
        })
    }

    fn taken_over(&mut self, operator: Client, round: usize) -> anyhow::Result<()> {
        let name = format!("takeover-{round}");
        let second = self.second(&name, &ClientOptions::default())?;
        self.loses(&name, operator)?;
        self.sees_cover(second)?;
        self.idle()
    }

    /// The second client's xrdp stands still while sesman decides, as it does in the middle of a TLS record that its
    /// client does not finish, and goes on later.
    fn stalled(&mut self) -> anyhow::Result<()> {
        let mut operator = self.acts.stack.connect(&self.acts.device.clone())?;
        self.acts.uncovers("operator works on", &mut operator, ALONE)?;
        let before = named("xrdp")?;
        // sesman stands still first, so that xrdp has asked it and has no answer when it is stopped itself.
        let sesman = sesman()?;
        kill_process(sesman, Signal::STOP)?;
        let second = self.second("stalled", &ClientOptions::default())?;
        wait_until("xrdp's connection to sesman", asks_sesman)?;
        std::thread::sleep(BEFORE_SIGN_IN);
        let theirs: Vec<_> = named("xrdp")?.into_iter().filter(|pid| !before.contains(pid)).collect();
        theirs.iter().try_for_each(|&pid| kill_process(pid, Signal::STOP))?;
        kill_process(sesman, Signal::CONT)?;
        let one = theirs.len() == 1;
        self.acts.report.check("stalled: xrdp stands still with the second client", one, theirs.len());
        std::thread::sleep(STALLED);
        let works = operator.ensure_running().is_ok() && self.acts.stack.wait_moving().is_ok();
        self.acts.report.check("stalled: the operator works meanwhile", works, "");
        theirs.iter().try_for_each(|&pid| kill_process(pid, Signal::CONT))?;
        self.loses("stalled", operator)?;
        self.sees_cover(second)?;
        self.idle()
    }

    /// Both connect at the same moment; whichever is the later at xrdp has the session.
    fn at_once(&mut self, round: usize) -> anyhow::Result<()> {
        let name = format!("at-once-{round}");
        let watch = self.acts.stack.watch(&format!("{name}-first"))?;
        let second = self.second(&name, &ClientOptions::default())?;
        let mut operator = self.acts.stack.connect(&self.acts.device.clone())?;
        let ended = wait_until("the desktop, or the end, at the first", || {
            let ended = operator.ensure_running().is_err();
            Ok((ended || self.acts.stack.count()?.is_desktop()).then_some(ended))
        })?;
        let seen = watch.stop()?;
        // Whatever it saw, it saw the cover before.
        let in_order = seen.first_leak_ms.is_none_or(|leak| seen.first_cover_ms.is_some_and(|c| c < leak));
        let report = &mut *self.acts.report;
        report.check(
            &format!("{name}: the first is covered before its desktop"),
            in_order,
            format!("{seen:?}"),
        );
        report.figure(&format!("{name}_first_was_replaced"), ended);
        let (mut second, winner_is_second) = (second, ended);
        if winner_is_second {
            self.sees_cover(second)?;
        } else {
            second.client.wait_ended().context("both clients have the session")?;
            let seen = second.watch.stop()?;
            let tight = seen.leaked_frames == 0;
            let name = format!("{name}: nothing of the user is seen at the second, which was replaced");
            self.acts.report.check(&name, tight, format!("{seen:?}"));
            operator.kill()?;
        }
        self.idle()
    }

    /// The first client's computer is gone without a word, and its connection is not. The same person comes back.
    fn half_open(&mut self) -> anyhow::Result<()> {
        let mut operator = self.acts.stack.connect(&self.acts.device.clone())?;
        self.acts.uncovers("before the network is gone", &mut operator, ALONE)?;
        let gates = named("sudare-gate")?;
        kill_process(operator.pid(), Signal::STOP)?;
        let mut second = self.second("half-open", &self.acts.device.clone())?;
        let shown = wait_until("the desktop at the newer client", || {
            second.client.ensure_running()?;
            let count = self.screen.count(2)?;
            Ok(if count.is_desktop() { Ok(count) } else { Err(format!("{count:?}")) })
        })?;
        self.save("half-open")?;
        let seen = second.watch.stop()?;
        let in_order = seen.first_cover_ms.zip(seen.first_leak_ms).is_some_and(|(cover, leak)| cover < leak);
        let report = &mut *self.acts.report;
        report.check(
            "half-open: the newer client works, covered at first",
            in_order,
            format!("{shown:?} {seen:?}"),
        );
        // One accepts connections and stays.
        let older = || Ok(named("sudare-gate")?.iter().filter(|pid| gates.contains(pid)).count() == 1);
        wait_until("the older connection's end at the gate", older)?;
        report.check("half-open: the older connection is ended, although nobody answers", true, "");
        let watch = self.acts.stack.watch("half-open-older")?;
        kill_process(operator.pid(), Signal::CONT)?;
        operator.wait_ended().context("the older client goes on")?;
        let seen = watch.stop()?;
        // What it was sent before the end and has not read is on its computer; nothing is sent to it any more.
        let frozen = seen.bar_places <= UNREAD_PICTURES;
        self.acts.report.check("half-open: the older client shows nothing new", frozen, format!("{seen:?}"));
        second.client.ensure_running().context("the newer client ended with the older one")?;
        second.client.kill()?;
        self.idle()
    }

    /// A client that was killed comes back: covered from the first picture on, as any other.
    fn killed(&mut self) -> anyhow::Result<()> {
        let mut operator = self.acts.stack.connect(&self.acts.device.clone())?;
        self.acts.uncovers("before it is killed", &mut operator, ALONE)?;
        operator.kill()?;
        self.idle()?;
        self.acts.camera.show(AWAY);
        let mut operator = self.acts.log_on("back after it was killed", true)?;
        self.acts.uncovers("desktop after it was killed", &mut operator, ALONE)?;
        operator.kill()?;
        self.idle()
    }
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

/// Processes of this program.
pub(super) fn named(program: &str) -> anyhow::Result<Vec<Pid>> {
    let found = processes()?.into_iter().filter(|process| process.program() == program);
    Ok(found.map(|process| process.pid).collect())
}
