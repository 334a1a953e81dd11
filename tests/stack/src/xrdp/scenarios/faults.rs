//! What breaks, or is broken on purpose, while the desktop is seen: nothing new is seen after it, and somebody says so.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use sudare_test_kit::scene::{ALONE, AWAY};
use sudare_test_kit::wait_until;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use super::powerless;
use super::takeover::named;
use crate::xrdp::client::Client;
use crate::xrdp::report::Report;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;
use crate::xrdp::watch::{Seen, Watch};

/// How long it is watched after each fault.
const WATCHED: Duration = Duration::from_secs(2);
/// For so long something stands still: longer than any lease, and than the clock may jump.
const STOPPED: Duration = Duration::from_secs(6);
/// What was sent before the fault is one picture, and what was being drawn at that moment another.
const LAST_PICTURES: usize = 2;
/// What a client was sent and has not read is on its computer, whatever becomes of it: no more than a lease of 3 s of
/// twenty pictures a second.
pub(super) const UNREAD_PICTURES: usize = 60;

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let stack = Stack::raise(out, &StackOptions::default())?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(AWAY);
    let acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let mut play = Play { acts, sudare };
    let mut client = play.acts.log_on("log-on", true)?;
    play.acts.uncovers("operator alone", &mut client, ALONE)?;
    powerless::tries(&play.acts.stack.user.clone(), &play.sudare, play.acts.report)?;
    play.recorder_killed(&mut client)?;
    play.owner_killed(&mut client)?;
    play.stopped_gate(&mut client)?;
    play.client_stopped(&mut client)?;
    client = play.ends(client, "gate killed", "was ended by a signal", |_| the("sudare-gate"))?;
    client = play.ends(client, "xrdp killed", "reason=", |_| the("xrdp"))?;
    client = play.ends(client, "client killed", "reason=", |client| Ok(client.pid()))?;
    let session = play.acts.stack.session()?;
    kill_process(the("xrdp-chansrv")?, Signal::KILL)?;
    client = play.goes_on("chansrv killed", client)?;
    // As a cleaner of /tmp does; other programs of the session are connected already.
    let socket = Path::new(SOCKETS).join(format!("X{}", session.display));
    std::fs::remove_file(&socket).with_context(|| format!("{}", socket.display()))?;
    client = play.goes_on("X socket cleaned", client)?;
    client.kill()?;
    play.acts.report.check("the session outlived all of it", session.is_alive(), session.display);
    session.end()
}

/// Where X servers listen for programs of their session.
const SOCKETS: &str = "/tmp/.X11-unix";

struct Play<'a> {
    acts: Acts<'a>,
    sudare: Sudare,
}

/// The process that serves the only connection: the newest, because one that accepts was there before.
fn the(program: &str) -> anyhow::Result<Pid> {
    let newest = named(program)?.into_iter().max_by_key(|pid| pid.as_raw_nonzero());
    newest.with_context(|| format!("no {program} runs"))
}

impl Play<'_> {
    fn journal(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.sudare.gate_log())?)
    }

    /// Waits until the journal says it, after what it said before.
    fn says(&mut self, name: &str, before: usize, words: &str) -> anyhow::Result<()> {
        let line = wait_until(&format!("a sentence in the journal ({name})"), || {
            let said = self.journal()?;
            let new = said.get(before..).unwrap_or_default();
            Ok(new.lines().find(|line| line.contains(words)).map(str::to_owned))
        })?;
        self.acts.report.check(&format!("{name}: the journal says so"), true, line);
        Ok(())
    }

    /// Evidence is required: while nobody keeps it, nobody sees the desktop.
    fn recorder_killed(&mut self, client: &mut Client) -> anyhow::Result<()> {
        let before = self.journal()?.len();
        self.sudare.kill_recorder()?;
        self.covered("recorder killed", client)?;
        self.says("recorder killed", before, "recorder")?;
        self.sudare.record()?;
        self.acts.uncovers("desktop with the next recorder", client, ALONE)
    }

    /// Nobody can tell whose desktop it is.
    fn owner_killed(&mut self, client: &mut Client) -> anyhow::Result<()> {
        let before = self.journal()?.len();
        self.sudare.kill_owners()?;
        self.covered("owner killed", client)?;
        self.says("owner killed", before, "sudare-owner cannot be asked")?;
        self.sudare.tell_owners()?;
        self.acts.uncovers("desktop with the next owner", client, ALONE)
    }

    fn covered(&mut self, name: &str, client: &mut Client) -> anyhow::Result<()> {
        let started = Instant::now();
        self.acts.stack.wait_picture(name, client, |count| count.is_cover())?;
        let took_ms = u64::try_from(started.elapsed().as_millis())?;
        self.acts.report.figure(&format!("{}_to_black_ms", name.replace(' ', "_")), took_ms);
        let watch = self.watch(name)?;
        std::thread::sleep(WATCHED);
        let seen = watch.stop()?;
        self.acts.picture(name)?;
        self.acts.report.check(&format!("{name}: covered"), seen.leaked_frames == 0, format!("{seen:?}"));
        Ok(())
    }

    fn watch(&self, name: &str) -> anyhow::Result<Watch> {
        self.acts.stack.watch(&name.replace(' ', "-"))
    }

    /// Whoever passes pictures on stands still, and with it what decides. Then it goes on, and black comes first.
    fn stopped_gate(&mut self, client: &mut Client) -> anyhow::Result<()> {
        self.stands_still("gate stopped", client, the("sudare-gate")?, LAST_PICTURES)
    }

    /// The plugin stands still with its client. The gate covers without it, and that is what the client finds.
    fn client_stopped(&mut self, client: &mut Client) -> anyhow::Result<()> {
        let pid = client.pid();
        self.stands_still("client stopped", client, pid, UNREAD_PICTURES)
    }

    fn stands_still(
        &mut self,
        name: &str,
        client: &mut Client,
        pid: Pid,
        pictures: usize,
    ) -> anyhow::Result<()> {
        kill_process(pid, Signal::STOP)?;
        let watch = self.watch(name)?;
        std::thread::sleep(STOPPED);
        // Somebody else sits there when it goes on.
        self.acts.camera.show(AWAY);
        kill_process(pid, Signal::CONT)?;
        self.acts.stack.wait_picture(name, client, |count| count.is_cover())?;
        let seen = watch.stop()?;
        self.acts.picture(name)?;
        let nothing_new = seen.bar_places <= pictures;
        self.acts.report.check(&format!("{name}: nothing new before black"), nothing_new, told(&seen));
        self.acts.uncovers(&format!("{name}, and goes on"), client, ALONE)
    }

    /// SIGKILL to one of them ends the connection: nothing of the desktop stays on the screen, and the client comes back.
    fn ends(
        &mut self,
        mut client: Client,
        name: &str,
        words: &str,
        whom: impl Fn(&Client) -> anyhow::Result<Pid>,
    ) -> anyhow::Result<Client> {
        let before = self.journal()?.len();
        let watch = self.watch(name)?;
        kill_process(whom(&client)?, Signal::KILL)?;
        client.wait_ended()?;
        let seen = watch.stop()?;
        wait_until("an empty screen", || Ok(self.acts.stack.count()?.is_empty()))?;
        let frozen = seen.bar_places <= LAST_PICTURES;
        self.acts.report.check(&format!("{name}: nothing new is seen"), frozen, told(&seen));
        self.acts.report.check(&format!("{name}: the client ends"), true, client.last_lines());
        self.says(name, before, words)?;
        let session = self.acts.stack.session()?;
        session.wait_connected(false)?;
        self.acts.camera.show(AWAY);
        let mut client = self.acts.log_on(&format!("back after {name}"), true)?;
        self.acts.uncovers(&format!("desktop after {name}"), &mut client, ALONE)?;
        Ok(client)
    }

    /// What a session has beside its X server has no part in the cover, in this connection or in the next.
    fn goes_on(&mut self, name: &str, mut client: Client) -> anyhow::Result<Client> {
        self.acts.covers(&format!("{name}: nobody there"), &mut client, AWAY)?;
        self.acts.uncovers(&format!("{name}: operator back"), &mut client, ALONE)?;
        client.kill()?;
        self.acts.camera.show(AWAY);
        let mut client = self.acts.log_on(&format!("back after {name}"), true)?;
        self.acts.uncovers(&format!("desktop after {name}"), &mut client, ALONE)?;
        Ok(client)
    }
}

fn told(seen: &Seen) -> String {
    format!("the bar was in {} places: {seen:?}", seen.bar_places)
}
