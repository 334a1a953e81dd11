//! The whole attack matrix on one display: clients of the session's user, compositors, and SIGKILL
//! of what covers; with a control that leaks, because a check that cannot fail proves nothing.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sudare_test_kit::needs::is_installed;
use sudare_test_kit::wait_until;
use x11rb::protocol::xproto::ConnectionExt as _;

use super::desktop::{Desktop, Typist};
use super::display::{Access, Running};
use super::hostile::Attack;
use super::matrix::{self, Line, PANEL, ready};
use super::sampler::{ScreenObserver, Seen};

/// How long each attack lasts.
pub const EACH: Duration = Duration::from_secs(2);
/// How long the display is watched without a cover.
const CONTROL: Duration = Duration::from_millis(500);
/// Without the process that covers.
const DEAD: Duration = Duration::from_secs(1);
const TYPED_EVERY: Duration = Duration::from_millis(20);
/// A key that types a letter on every layout of Xvfb and xorgxrdp.
const LETTER: u8 = 38;

/// Compositors, how they are started, and the attacks that they are tried with.
const COMPOSITORS: [(&str, &[&str], &[Attack]); 2] = [
    (
        "picom",
        &["picom", "--config", "/dev/null", "--backend", "xrender"],
        &[Attack::Raise, Attack::NewWindows],
    ),
    (
        "xfwm4",
        &["dbus-run-session", "--", "xfwm4", "--replace", "--compositor=on"],
        &[Attack::Raise, Attack::NewWindows, Attack::OverlayChild],
    ),
];

/// One row of the matrix, as `bench.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub server: String,
    pub attack: String,
    pub samples: u64,
    pub samples_per_second: f64,
    pub leaked_frames: u64,
    pub keys_delivered: u64,
    pub sample_gap_ms_max: f64,
}

impl Row {
    fn new(server: &str, attack: &str, seen: &Seen, keys_delivered: u64) -> Self {
        Row {
            server: server.to_owned(),
            attack: attack.to_owned(),
            samples: seen.samples,
            samples_per_second: f64::from(u32::try_from(seen.samples).unwrap_or(u32::MAX))
                / seen.seconds.max(1e-3),
            leaked_frames: seen.leaked_frames,
            keys_delivered,
            sample_gap_ms_max: seen.sample_gap_ms_max,
        }
    }

    fn of(server: &str, with: &str, line: &Line) -> Self {
        let attack = format!("{with}{}", line.attack.name());
        Row::new(server, &attack, &line.seen, line.keys_delivered)
    }

    /// Whether nothing came through.
    pub fn is_tight(&self) -> bool {
        self.leaked_frames == 0 && self.keys_delivered == 0
    }
}

/// What was found on one display.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    pub rows: Vec<Row>,
    pub control_leaked_frames: u64,
    pub control_keys_delivered: u64,
    /// Attacks that could not be tried, and why.
    pub not_tried: Vec<String>,
}

/// Attacks the display in every way. Its last compositor stays.
pub fn all(access: &Access, server: &str) -> anyhow::Result<Matrix> {
    let mut found = some(access, server, &Attack::ALL)?;
    for (name, command, attacks) in COMPOSITORS {
        if let Some(missing) = [name, command[0]].into_iter().find(|program| !is_installed(program)) {
            found.not_tried.push(format!("{name} on {server}: {missing} is not installed"));
            continue;
        }
        let _compositor = compositor(access, command)?;
        let lines = matrix::matrix(access, attacks, EACH).with_context(|| format!("with {name}"))?;
        found.rows.extend(lines.iter().map(|line| Row::of(server, &format!("{name}+"), line)));
    }
    Ok(found)
}

/// The control, these attacks, and SIGKILL of the blanker, of its guard and of both.
pub fn some(access: &Access, server: &str, attacks: &[Attack]) -> anyhow::Result<Matrix> {
    let (seen, keys) = matrix::control(access, CONTROL)?;
    let lines = matrix::matrix(access, attacks, EACH)?;
    // An attack that never ran proves nothing.
    let (lines, idle): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.strikes > 0);
    let refused = |line: &Line| format!("{} on {server}: the server refuses it", line.attack.name());
    let mut rows: Vec<Row> = lines.iter().map(|line| Row::of(server, "", line)).collect();
    for (name, killed) in
        [("kill-blanker", [true, false]), ("kill-guard", [false, true]), ("kill-both", [true, true])]
    {
        let (seen, keys) = kill(access, killed).context(name)?;
        rows.push(Row::new(server, name, &seen, keys));
    }
    Ok(Matrix {
        rows,
        control_leaked_frames: seen.leaked_frames,
        control_keys_delivered: keys,
        not_tried: idle.iter().map(refused).collect(),
    })
}

/// Kills what covers, waits, starts successors, and waits again.
fn kill(access: &Access, [blanker_dies, guard_dies]: [bool; 2]) -> anyhow::Result<(Seen, u64)> {
    let desktop = Desktop::show(access)?;
    let typist = Typist::new(access)?;
    let keyboard = typist.physical_keyboard()?;
    let mut blanker = ready(access)?;
    desktop.delivered()?;
    let type_for = |time: Duration| -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            typist.type_letters(1)?;
            typist.press_on(keyboard, LETTER)?;
            std::thread::sleep(TYPED_EVERY);
        }
        Ok(())
    };
    let observer = ScreenObserver::start(access, PANEL)?;
    if guard_dies {
        blanker.end_guard()?;
    }
    if blanker_dies {
        blanker.kill()?;
    }
    type_for(DEAD)?;
    let mut successor = ready(access)?;
    type_for(EACH.saturating_sub(DEAD))?;
    let seen = observer.finish()?;
    let delivered = desktop.delivered()?;
    successor.uncover()?;
    Ok((seen, delivered))
}

/// Starts a compositor and waits until it owns the compositor selection.
fn compositor(access: &Access, command: &[&str]) -> anyhow::Result<Running> {
    let (program, arguments) = command.split_first().unwrap_or((&"", &[]));
    let child =
        access.command(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let running = Running(child);
    let x = access.connect()?;
    let place = x.intern_atom(false, b"_NET_WM_CM_S0")?.reply()?.atom;
    wait_until(&format!("{command:?} to own the compositor selection"), || {
        Ok(x.get_selection_owner(place)?.reply()?.owner != x11rb::NONE)
    })?;
    // It owns the selection before it draws.
    std::thread::sleep(Duration::from_millis(500));
    Ok(running)
}
