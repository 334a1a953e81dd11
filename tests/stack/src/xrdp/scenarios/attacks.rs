//! The attack matrix: attackers in the session, the plugin and a camera at the client, and an observer
//! that reads every pixel and the pointer that the client shows.
//!
//! Before each row the same attack is made without a cover, and has to get through; the row itself begins with the
//! desktop in full view, so that something is there to hide, and the attacker at work.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sudare_test_kit::scene::{ALONE, Scene};
use sudare_test_kit::wait_until;

use super::acts::{Acts, KEYS_TAKE};
use super::figures::decisions;
use crate::attackers::display::Access;
use crate::attackers::hostile::{Attack, Outcome};
use crate::attackers::inside::{self, Inside};
use crate::attackers::pictures::Pictures;
use crate::attackers::senses::Senses;
use crate::attackers::{self, Aim};
use crate::xrdp::client::{Client, FULL_HD};
use crate::xrdp::observer::{Observed, Observer};
use crate::xrdp::report::Report;
use crate::xrdp::servers::Backend;
use crate::xrdp::session::Session;
use crate::xrdp::stack::{Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

/// The shortest release that a policy may have, so that a row takes seconds.
pub(super) const POLICY: &str = "[timings]\nrelease_ms = 1000\n";
pub(super) const BLOCKED: Scene = Scene { blocked: true, ..ALONE };
/// How long each cover is attacked.
const EACH: Duration = Duration::from_millis(2_100);
/// The attacker is at work before the cover comes, as an application that runs already is.
const HEAD_START: Duration = Duration::from_millis(300);
/// How long an attack may take to get through without a cover; one that has not is tried again for longer.
const UNCOVERED: [Duration; 4] =
    [Duration::from_millis(800), Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(40)];
/// Before every cover: what a program of the session hears under it is heard by this one.
const LISTENER: &str = Inside::RawKeys.name();
/// A client draws its pointer among the pixels; no pointer has so many.
const POINTER_PX: usize = 64 * 64;
const BELL: &str = Senses::Bell.name();
/// An attacker ends by itself, and a busy machine may need this until it sees the desktop or the cover.
const SPARE: Duration = Duration::from_secs(3);
/// Those that come closest: what used to get through the cover in the session.
const WORST: [&str; 5] = ["paint-through", "overlay-child", "pointers", "raw-keys", "server-grab"];
/// With the X server whose pictures come in another form, and which alone has xrdp ring at the client.
const ON_XVNC: [&str; 10] = [
    "paint-through",
    "overlay-child",
    "pointers",
    "raw-keys",
    "server-grab",
    Pictures::Noise.name(),
    Pictures::HaltedServer.name(),
    Senses::Record.name(),
    Senses::AnimatedPointers.name(),
    BELL,
];
/// Those that have nothing to strike at: nobody in the session tells the one that it is covered, and xorgxrdp lets nobody
/// but the client change the size of the screen.
const IDLE: [&str; 2] = [Attack::RaiseOnVisibility.name(), Attack::Resize.name()];
/// Files that used to mean something to Sudare when any user made them.
const FORGED: [&str; 2] = ["/run/xrdp/sockdir/xrdp_chansrv_socket_77", "/tmp/.X11-unix/X77"];

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    attack: String,
    #[serde(flatten)]
    seen: Observed,
    strikes: u64,
    keys_typed: usize,
    /// At the desktop, at the attacker, and at somebody else who listens.
    keys_delivered: u64,
    /// Without a cover the same attack got through.
    leaks_uncovered: bool,
    lock_to_black_ms: Option<f64>,
}

impl Row {
    fn is_tight(&self) -> bool {
        let seen = &self.seen;
        let leaked = seen.leaked_frames + seen.pointers_seen + seen.bells_heard + self.keys_delivered;
        // So much noise may be on its way that the gate ends the connection rather than hold it: black all the same.
        leaked == 0 && (seen.closed_frames == 0 || self.attack == Pictures::Noise.name())
    }

    /// A row that could not have failed is none.
    fn is_meant(&self) -> bool {
        let strikes = self.strikes > 0 || IDLE.contains(&&*self.attack);
        let seen = &self.seen;
        self.leaks_uncovered && seen.lit_before > 0 && strikes && seen.samples > 0 && self.keys_typed > 0
    }
}

/// Every attack.
pub(super) fn all(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let names = Attack::ALL.map(Attack::name).into_iter().chain([Attack::RootGrab.name()]);
    let names = names.chain(Inside::ALL.map(Inside::name)).chain(Pictures::ALL.map(Pictures::name));
    // The module of Xorg does not ring.
    let names: Vec<&str> = names.chain(Senses::ALL.map(Senses::name)).filter(|name| *name != BELL).collect();
    play(out, report, Backend::Xorg, &names)
}

/// Those that come closest, for every run of the tests.
pub(super) fn worst(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(out, report, Backend::Xorg, &WORST)
}

/// The same with the X server whose pictures reach the client in another way.
pub(super) fn xvnc(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    play(out, report, Backend::Xvnc, &ON_XVNC)
}

fn play(out: &Path, report: &mut Report, backend: Backend, attacks: &[&str]) -> anyhow::Result<()> {
    let options = StackOptions { backend, size: FULL_HD, ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    camera.show(ALONE);
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let mut client = acts.stack.connect(&acts.device.clone())?;
    acts.uncovers("operator alone", &mut client, ALONE)?;
    let session = acts.stack.session()?;
    let access = session.access()?;
    let decoys = FORGED.map(|path| Ok::<_, std::io::Error>((path, UnixListener::bind(path)?)));
    let mut rows = Vec::new();
    for name in attacks {
        let leaks = leaks_uncovered(&mut acts, &mut client, &access, name)?;
        let row = row(&mut acts, &mut client, &access, name, leaks).with_context(|| (*name).to_owned())?;
        let told = serde_json::to_string(&row)?;
        acts.report.check(name, row.is_tight() && row.is_meant(), told);
        rows.push(row);
        if client.ensure_running().is_err() {
            acts.camera.show(ALONE);
            client = acts.stack.connect(&acts.device.clone())?;
        }
    }
    let ended = rows.iter().filter(|row| row.seen.closed_frames > 0).count();
    acts.report.figure("connections_ended", ended);
    for decoy in decoys {
        let (path, listener) = decoy?;
        listener.set_nonblocking(true)?;
        let nobody = listener.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        acts.report.check(&format!("nobody asks {path} what to cover"), nobody, "");
    }
    // No check: a machine that is busy elsewhere has fewer, and the benchmark judges.
    let rates = rows.iter().map(|row| row.seen.samples_per_second);
    acts.report.figure("looks_per_second_min", rates.fold(f64::INFINITY, f64::min));
    acts.report.figure("matrix", serde_json::to_value(&rows)?);
    as_it_was(&mut acts, &mut client, &access)?;
    locked(&mut acts, &mut client, &access)?;
    nothing_in_the_session(&mut acts, &session)?;
    client.ensure_running()?;
    acts.report.check("the session outlived all of it", session.is_alive(), session.display);
    client.kill()?;
    session.end()
}

/// Without a cover the same attack is seen or heard, by the same means.
fn leaks_uncovered(
    acts: &mut Acts<'_>,
    client: &mut Client,
    access: &Access,
    name: &str,
) -> anyhow::Result<bool> {
    acts.camera.show(ALONE);
    let mut told = String::new();
    for lasts in UNCOVERED {
        acts.stack.wait_picture("the desktop", client, |count| !count.is_cover() && count.users() > 0)?;
        let observer = observer(acts, &format!("control {name}"))?;
        let (mut hostile, until) = (attackers::start(access, name, lasts)?, Instant::now() + lasts);
        let mut pixels = 0;
        while Instant::now() < until {
            acts.stack.type_key('a', 1)?;
            acts.stack.move_pointer()?;
            pixels = pixels.max(acts.stack.count()?.hostile);
        }
        let (seen, outcome) = (observer.finish()?, attackers::finish(&mut hostile)?);
        let leaks = match attackers::aim(name) {
            Aim::Picture => pixels > POINTER_PX && seen.samples == 0,
            // Not that of the attack before.
            Aim::Pointer => seen.pointers_before > 0 && seen.pointers_before < seen.lit_before,
            Aim::Input => outcome.keys > 0,
            Aim::Sound => seen.bells_before > 0,
        };
        told = format!("{pixels} pixels, {seen:?}, {outcome:?}");
        if leaks {
            acts.report.check(&format!("without a cover {name} gets through"), true, told);
            return Ok(true);
        }
    }
    acts.report.check(&format!("without a cover {name} gets through"), false, told);
    acts.picture(&format!("control {name}"))?;
    Ok(false)
}

fn row(
    acts: &mut Acts<'_>,
    client: &mut Client,
    access: &Access,
    name: &str,
    leaks_uncovered: bool,
) -> anyhow::Result<Row> {
    acts.stack.wait_picture("the desktop", client, |count| !count.is_cover() && count.users() > 0)?;
    let observer = observer(acts, name)?;
    let mut hostile = attackers::start(access, name, HEAD_START + EACH + SPARE)?;
    std::thread::sleep(HEAD_START);
    let before = decisions(client, true)?.len();
    acts.camera.show(BLOCKED);
    wait_until("the decision to cover", || Ok(decisions(client, true)?.len() > before))?;
    acts.stack.wait_picture("the cover", client, |count| count.is_cover())?;
    let decided_ms = decisions(client, true)?.get(before).copied();
    // What was typed before, and is still on its way, belongs to whoever it was typed at.
    std::thread::sleep(Duration::from_millis(50));
    let mut listener = attackers::start(access, LISTENER, EACH)?;
    let (keys_before, until) = (acts.stack.keys_received()?, Instant::now() + EACH);
    let mut keys_typed = 0;
    while Instant::now() < until {
        acts.stack.type_key('a', 2)?;
        acts.stack.move_pointer()?;
        keys_typed += 2;
    }
    let seen = observer.finish()?;
    if WORST.contains(&name) {
        acts.picture(&format!("under {name}"))?;
    }
    let heard = attackers::finish(&mut listener)?.keys;
    let Outcome { strikes, keys } = attackers::finish(&mut hostile)?;
    let at_the_desktop = u64::try_from(acts.stack.keys_received()? - keys_before)?;
    let lock_to_black_ms = seen.black_boot_ms.zip(decided_ms).map(|(black, decided)| black - decided);
    Ok(Row {
        attack: name.to_owned(),
        seen,
        strikes,
        keys_typed,
        keys_delivered: keys + heard + at_the_desktop,
        leaks_uncovered,
        lock_to_black_ms,
    })
}

fn observer(acts: &Acts<'_>, name: &str) -> anyhow::Result<Observer> {
    let evidence = acts.stack.out.join(format!("leak-{}.png", name.replace(' ', "-")));
    Observer::start(&acts.stack.private, evidence)
}

/// A window manager that holds the keyboard, and everything that it shows, is after a cover what it was before.
fn as_it_was(acts: &mut Acts<'_>, client: &mut Client, access: &Access) -> anyhow::Result<()> {
    acts.camera.show(ALONE);
    acts.stack.wait_picture("the desktop", client, |count| count.is_desktop())?;
    let x = access.connect()?;
    let before = inside::viewable(&x)?;
    acts.covers("windows", client, BLOCKED)?;
    let under = inside::viewable(&x)?;
    acts.uncovers("windows again", client, ALONE)?;
    let same = !before.is_empty() && before == under && before == inside::viewable(&x)?;
    acts.report.check("the same windows before, under and after a cover", same, before.len());
    Ok(())
}

/// A screen locker of the session: after a cover it still has the keyboard, and the desktop gets none of its keys.
fn locked(acts: &mut Acts<'_>, client: &mut Client, access: &Access) -> anyhow::Result<()> {
    const KEYS: usize = 5;
    let lasts = Duration::from_secs(20);
    let mut hostile = attackers::start(access, Inside::Locker.name(), lasts)?;
    acts.stack.wait_picture("the locker", client, |count| count.hostile * 2 > count.all())?;
    acts.camera.show(BLOCKED);
    acts.stack.wait_picture("the cover over the locker", client, |count| count.is_cover())?;
    acts.stack.type_key('a', KEYS)?;
    acts.camera.show(ALONE);
    acts.stack.wait_picture("the locker again", client, |count| count.hostile * 2 > count.all())?;
    acts.picture("locked after a cover")?;
    let before = acts.stack.keys_received()?;
    acts.stack.type_key('a', KEYS)?;
    let outcome = attackers::finish(&mut hostile)?;
    let at_the_desktop = acts.stack.keys_received()? - before;
    let is_locked = at_the_desktop == 0 && outcome.keys == u64::try_from(KEYS)?;
    let told = format!("{at_the_desktop} at the desktop, {} of {} at the locker", outcome.keys, 2 * KEYS);
    acts.report.check(
        "still locked after a cover, and what was typed under it is heard by nobody",
        is_locked,
        told,
    );
    acts.stack.wait_picture("the desktop without the locker", client, |count| count.is_desktop())?;
    Ok(())
}

/// Nothing of Sudare runs in the session, is asked at its sign-in, or listens for what a user could forge.
fn nothing_in_the_session(acts: &mut Acts<'_>, session: &Session) -> anyhow::Result<()> {
    let pam = std::fs::read_to_string("/etc/pam.d/xrdp-sesman")?;
    acts.report.check("no one of Sudare is asked at a sign-in", !pam.contains("sudare"), "");
    let user = acts.stack.user.uid;
    let running: Vec<String> = crate::xrdp::session::processes()?
        .into_iter()
        .filter(|process| process.uid == user)
        .map(|process| process.program().to_owned())
        .filter(|name| name.starts_with("sudare-") && name != "sudare-secret-desktop")
        .collect();
    acts.report.check("nothing of Sudare runs in the session", running.is_empty(), running.join(", "));
    ensure!(session.is_alive(), "the session ended");
    Ok(())
}
