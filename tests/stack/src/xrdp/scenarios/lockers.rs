//! Screen lockers and window managers of the session, which a cover inside the session used to break: a locker that is
//! there when a cover comes is there after it, and so are all windows.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Signal, kill_process};
use serde::Serialize;
use sudare_test_kit::needs::is_installed;
use sudare_test_kit::scene::{ALONE, AWAY};
use sudare_test_kit::wait_until;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, GrabMode, GrabStatus};
use x11rb::rust_connection::RustConnection;

use super::acts::{Acts, KEYS_TAKE, POLICY};
use super::as_before::{Look, held_key_comes_up, keys_down};
use crate::attackers;
use crate::attackers::display::{Access, Running};
use crate::xrdp::client::Client;
use crate::xrdp::namespace::PROGRAMS;
use crate::xrdp::report::Report;
use crate::xrdp::session::{Session, processes};
use crate::xrdp::stack::{self, Stack, StackOptions};
use crate::xrdp::sudare::Sudare;

const KEYS: usize = 5;
/// A program that has not locked by then does not: it says why in its log.
const LOCKS_WITHIN: Duration = Duration::from_secs(20);
/// Whoever listens to raw keys does it for so long.
const HEARD: Duration = Duration::from_secs(3);

/// Window managers by the command that starts them; a bus of their own where they need one.
const MANAGERS: [(&str, &str); 6] = [
    ("openbox", "openbox"),
    ("xfwm4", "dbus-run-session -- xfwm4"),
    ("i3", "i3 -c $HOME/i3.config"),
    ("marco", "dbus-run-session -- marco"),
    ("mutter", "dbus-run-session -- mutter --x11"),
    ("kwin_x11", "dbus-run-session -- kwin_x11"),
];

/// Lockers by the commands that start and lock them; the first one goes on until it is unlocked.
const LOCKERS: [(&str, &[&str]); 4] = [
    ("xsecurelock", &["xsecurelock"]),
    ("i3lock", &["i3lock --nofork --color=203040"]),
    ("xscreensaver", &["xscreensaver --no-splash", "xscreensaver-command --lock"]),
    ("light-locker", &["light-locker", "light-locker-command --lock"]),
];

/// What came of all covers together; the benchmark reports it.
#[derive(Debug, Default, Serialize)]
struct Tally {
    covers: usize,
    lockers_locked: usize,
    lockers_opened: usize,
    windows_lost: usize,
    focus_lost: usize,
    keys_heard: u64,
    keys_hanging: u32,
}

pub(super) fn play(out: &Path, report: &mut Report) -> anyhow::Result<()> {
    let home_files = vec![
        ("i3.config", "font pango:monospace 8\n".to_owned()),
        (
            ".xscreensaver",
            "mode: blank\nlock: True\nlockTimeout: 0:00:00\nsplash: False\nfade: False\n".to_owned(),
        ),
    ];
    let options = StackOptions { home_files, ..StackOptions::default() };
    let stack = Stack::raise(out, &options)?;
    let sudare = Sudare::start(out, POLICY)?;
    let device = sudare.device()?;
    let camera = sudare.film()?;
    let mut acts = Acts { stack, camera, device, report, number: 0, keys_took: KEYS_TAKE };
    let (mut not_tried, mut tally) = (Vec::new(), Tally::default());
    for (manager, command) in MANAGERS {
        if !is_installed(manager) {
            not_tried.push(format!("{manager} is not installed"));
            continue;
        }
        acts.stack.user.write(".xsession", &session(command), 0o755)?;
        not_tried.extend(under(&mut acts, &mut tally, manager)?);
    }
    acts.report.figure("not_tried", not_tried);
    acts.report.figure("tally", serde_json::to_value(&tally)?);
    Ok(())
}

/// The desktop comes when somebody manages windows.
fn session(manager: &str) -> String {
    let managed = "xprop -root _NET_SUPPORTING_WM_CHECK | grep -q 'window id'";
    let desk = format!("{PROGRAMS}/sudare-secret-desktop --log $HOME/received.jsonl");
    // One that does not come is noticed, and must not keep the desktop away for ever.
    format!(
        "#!/bin/sh\n{manager} &\nfor n in $(seq 300); do {managed} && break; sleep 0.1; done\nexec {desk}\n"
    )
}

/// A session under this window manager, with one locker after the other. Gives those that could not be tried.
fn under(acts: &mut Acts<'_>, tally: &mut Tally, manager: &str) -> anyhow::Result<Vec<String>> {
    acts.camera.show(AWAY);
    let mut client = acts.log_on(&format!("log-on with {manager}"), true)?;
    acts.uncovers(&format!("{manager} alone"), &mut client, ALONE)?;
    let session = acts.stack.session()?;
    let access = session.access()?;
    let mut not_tried = Vec::new();
    // Without it the same would be tried again under nobody.
    if !is_managed(&access)? {
        not_tried.push(format!("{manager} does not manage windows here"));
        leave(acts, client, session)?;
        return Ok(not_tried);
    }
    windows_stay(acts, tally, &mut client, &access, manager)?;
    for (locker, commands) in LOCKERS {
        let name = format!("{manager} with {locker}");
        match lock(acts, &access, manager, (locker, commands))? {
            Ok(locked) => {
                stays_locked(acts, tally, &mut client, &access, &name)?;
                end(acts, locker, locked)?;
                acts.stack
                    .wait_picture(&format!("{name}, unlocked"), &mut client, |count| count.is_desktop())?;
            }
            Err(why) => not_tried.push(format!("{name}: {why}")),
        }
    }
    leave(acts, client, session)?;
    Ok(not_tried)
}

/// The next session begins anew.
fn leave(acts: &Acts<'_>, client: Client, session: Session) -> anyhow::Result<()> {
    client.kill()?;
    session.wait_connected(false)?;
    session.end()?;
    stack::forget_shown(&acts.stack.user)
}

fn is_managed(access: &Access) -> anyhow::Result<bool> {
    let x = access.connect()?;
    let root = x.setup().roots.first().context("no screen")?.root;
    let atom = x.intern_atom(false, b"_NET_SUPPORTING_WM_CHECK")?.reply()?.atom;
    Ok(x.get_property(false, root, atom, AtomEnum::WINDOW, 0, 1)?.reply()?.value_len > 0)
}

/// A cover without a locker: the same windows before, under and after it, and whoever had the keyboard has it.
fn windows_stay(
    acts: &mut Acts<'_>,
    tally: &mut Tally,
    client: &mut Client,
    access: &Access,
    manager: &str,
) -> anyhow::Result<()> {
    let x = access.connect()?;
    let before = Look::take(&x)?;
    acts.covers(&format!("{manager} covered"), client, AWAY)?;
    let under = Look::take(&x)?;
    acts.uncovers(&format!("{manager} uncovered"), client, ALONE)?;
    let name = format!("{manager}: the same windows and focus before, under and after");
    let same = tally.compare(&before, &under, &Look::take(&x)?);
    acts.report.check(&name, same && before.windows() > 0, before.windows());
    tally.keys_hanging += held_key_comes_up(acts, client, &x, manager)?;
    tally.covers += 1;
    Ok(())
}

impl Tally {
    /// Whether a cover changed nothing.
    fn compare(&mut self, before: &Look, under: &Look, after: &Look) -> bool {
        self.covers += 1;
        self.windows_lost += before.lost_until(under).max(before.lost_until(after));
        self.focus_lost += usize::from(!before.has_focus_of(under) || !before.has_focus_of(after));
        before == under && before == after
    }
}

/// Starts a locker, and waits until it has the keyboard. The inner error is why it does not lock.
fn lock(
    acts: &Acts<'_>,
    access: &Access,
    manager: &str,
    (locker, commands): (&str, &[&str]),
) -> anyhow::Result<Result<Vec<Running>, String>> {
    if !is_installed(locker) {
        return Ok(Err("it is not installed".to_owned()));
    }
    let x = access.connect()?;
    let log = acts.stack.out.join(format!("{manager}-{locker}.log"));
    let mut started: Vec<Running> = Vec::new();
    for command in commands {
        started.push(Running(by_user(acts, access, command, &log)?.spawn()?));
        // The next one is a word to the first.
        std::thread::sleep(Duration::from_secs(1));
    }
    let began = Instant::now();
    while began.elapsed() < LOCKS_WITHIN {
        if is_locked(&x)? {
            return Ok(Ok(started));
        }
        let first = started.first_mut().context("no command")?;
        if first.0.try_wait()?.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = std::fs::read_to_string(&log)?;
    let why = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("and says nothing");
    Ok(Err(format!("it does not lock: {why}")))
}

fn by_user(acts: &Acts<'_>, access: &Access, command: &str, log: &Path) -> anyhow::Result<Command> {
    let mut words = command.split(' ');
    let mut built = acts.stack.user.command(words.next().unwrap_or_default());
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    built.args(words).envs(access.environment()).env("XSECURELOCK_SAVER", "saver_blank");
    built.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    Ok(built)
}

/// Whether somebody holds the keyboard, so that nobody else gets what is typed.
fn is_locked(x: &RustConnection) -> anyhow::Result<bool> {
    let root = x.setup().roots.first().map_or(x11rb::NONE, |screen| screen.root);
    let (now, mode) = (x11rb::CURRENT_TIME, GrabMode::ASYNC);
    let status = x.grab_keyboard(false, root, now, mode, mode)?.reply()?.status;
    x.ungrab_keyboard(now)?;
    x.flush()?;
    Ok(status == GrabStatus::ALREADY_GRABBED)
}

/// A cover over a locked session: nobody hears what is typed under it, and after it the session is as locked as before.
fn stays_locked(
    acts: &mut Acts<'_>,
    tally: &mut Tally,
    client: &mut Client,
    access: &Access,
    name: &str,
) -> anyhow::Result<()> {
    let x = access.connect()?;
    // Lockers draw after they have taken the keyboard.
    std::thread::sleep(Duration::from_secs(1));
    acts.picture(&format!("{name}, locked"))?;
    let before = Look::take(&x)?;
    acts.camera.show(AWAY);
    // Some lockers are as black as a cover.
    wait_until(&format!("{name}, covered"), || client.is_told_covered())?;
    let mut listener = attackers::start(access, "raw-keys", HEARD)?;
    std::thread::sleep(Duration::from_millis(500));
    let keys = acts.stack.keys_received()?;
    acts.stack.type_key('a', KEYS)?;
    let heard = attackers::finish(&mut listener)?.keys;
    let under = Look::take(&x)?;
    acts.camera.show(ALONE);
    wait_until(&format!("{name}, uncovered"), || Ok(!client.is_told_covered()?))?;
    let after = Look::take(&x)?;
    acts.picture(&format!("{name}, uncovered"))?;
    let delivered = acts.stack.keys_received()? - keys;
    let report = &mut *acts.report;
    report.check(&format!("{name}: 0 of {KEYS} keys heard under it"), heard == 0 && delivered == 0, heard);
    let same = tally.compare(&before, &under, &after);
    report.check(
        &format!("{name}: the same windows and focus"),
        same,
        format!("{before:?} {under:?} {after:?}"),
    );
    let hanging = keys_down(&x)?;
    report.check(&format!("{name}: no key hangs"), hanging == 0, hanging);
    acts.stack.type_key('a', KEYS)?;
    wait_until("what was typed to be dealt with", || Ok(x.get_input_focus()?.reply().is_ok()))?;
    std::thread::sleep(KEYS_TAKE);
    let reached = acts.stack.keys_received()? - keys;
    let locked = is_locked(&x)? && reached == 0;
    acts.report.check(
        &format!("{name}: still locked"),
        locked,
        format!("{reached} of {KEYS} at the desktop"),
    );
    tally.keys_heard += heard + u64::try_from(delivered)?;
    tally.keys_hanging += hanging;
    tally.lockers_locked += 1;
    tally.lockers_opened += usize::from(!locked);
    Ok(())
}

/// Ends a locker, and whatever it has started to draw for it.
fn end(acts: &Acts<'_>, locker: &str, locked: Vec<Running>) -> anyhow::Result<()> {
    drop(locked);
    for process in processes()?.into_iter().filter(|process| process.uid == acts.stack.user.uid) {
        if process.program().starts_with(locker) {
            // It may have ended with the first one.
            kill_process(process.pid, Signal::KILL).ok();
        }
    }
    Ok(())
}
