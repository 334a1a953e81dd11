//! Every attack, one after the other, with a screen observer and a typist.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sudare_blanker::wire::Rect;
use sudare_test_kit::program;

use super::blanker::Blanker;
use super::desktop::{Desktop, Typist};
use super::display::{Access, Running};
use super::hostile::{Attack, Outcome};
use super::sampler::{ScreenObserver, Seen};

/// The words of the cover in the matrix: where no attacker shows itself.
pub const PANEL: Rect = Rect { x: 600, y: 60, width: 320, height: 120 };
const PANEL_COLOUR: u32 = 0x00_30_60;
/// The attacker shows itself before the cover comes, as an application that runs already does.
const HEAD_START: Duration = Duration::from_millis(200);
const TYPED_EVERY: Duration = Duration::from_millis(50);

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub attack: Attack,
    pub seen: Seen,
    /// Keys and clicks that reached the desktop or the attacker after `Covered`.
    pub keys_delivered: u64,
    pub keys_typed: u64,
    pub strikes: u64,
    /// From the request to the answer.
    pub covered_ms: f64,
    /// Looks of the health check that saw the cover damaged.
    pub unhealthy: usize,
}

impl Line {
    /// Whether nothing came through.
    pub fn is_tight(&self) -> bool {
        self.seen.leaked_frames == 0 && self.keys_delivered == 0
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_second = self.seen.samples as f64 / self.seen.seconds.max(1e-3);
        write!(
            f,
            "{:<20} {:>5} strikes, {:>5} samples ({per_second:>4.0}/s, gap {:>5.1} ms), {:>4} leaked frames, \
             {:>3} of {:>3} keys, covered after {:>5.1} ms, {} unhealthy",
            self.attack.name(),
            self.strikes,
            self.seen.samples,
            self.seen.sample_gap_ms_max,
            self.seen.leaked_frames,
            self.keys_delivered,
            self.keys_typed,
            self.covered_ms,
            self.unhealthy
        )
    }
}

/// Runs these attacks on a display whose blanker is started and ended here.
pub fn matrix(access: &Access, attacks: &[Attack], each: Duration) -> anyhow::Result<Vec<Line>> {
    let desktop = Desktop::show(access)?;
    let typist = Typist::new(access)?;
    let mut blanker = ready(access)?;
    let mut lines = Vec::new();
    for attack in attacks {
        blanker.uncover()?;
        lines.push(one(access, &mut blanker, &desktop, &typist, *attack, each)?);
    }
    blanker.uncover().ok();
    Ok(lines)
}

/// The same observer and typist without a cover: both must notice.
pub fn control(access: &Access, each: Duration) -> anyhow::Result<(Seen, u64)> {
    let desktop = Desktop::show(access)?;
    let typist = Typist::new(access)?;
    let observer = ScreenObserver::start(access, PANEL)?;
    let typed_until = Instant::now() + each;
    while Instant::now() < typed_until {
        typist.type_letters(1)?;
        std::thread::sleep(TYPED_EVERY);
    }
    Ok((observer.finish()?, desktop.delivered()?))
}

/// A blanker that has covered, and painted its panel.
pub fn ready(access: &Access) -> anyhow::Result<Blanker> {
    let mut blanker = Blanker::start(access)?;
    blanker.cover()?;
    blanker.paint(PANEL, PANEL_COLOUR)?;
    blanker.cover()?;
    Ok(blanker)
}

fn one(
    access: &Access,
    blanker: &mut Blanker,
    desktop: &Desktop,
    typist: &Typist,
    attack: Attack,
    each: Duration,
) -> anyhow::Result<Line> {
    let lasts = HEAD_START + each + Duration::from_millis(300);
    let mut hostile = start(access, attack, lasts)?;
    std::thread::sleep(HEAD_START);
    blanker.health.clear();
    let asked = Instant::now();
    let covered = blanker.cover()?;
    desktop.delivered()?;
    let observer = ScreenObserver::start(access, PANEL)?;
    let until = Instant::now() + each;
    let mut keys_typed = 0;
    while Instant::now() < until {
        typist.type_letters(1)?;
        keys_typed += 2;
        blanker.catch_up();
        if blanker.has_ended {
            // What a guard does. The old one goes by itself when the new one covers.
            *blanker = ready(access)?;
        }
        std::thread::sleep(TYPED_EVERY);
    }
    let seen = observer.finish()?;
    let delivered = desktop.delivered()?;
    blanker.catch_up();
    let outcome = finish(&mut hostile)?;
    Ok(Line {
        attack,
        seen,
        keys_delivered: delivered + outcome.keys,
        keys_typed,
        strikes: outcome.strikes,
        covered_ms: (covered - asked).as_secs_f64() * 1e3,
        unhealthy: blanker.health.iter().filter(|(_, pixels, input)| !(*pixels && *input)).count(),
    })
}

/// Starts an attacker.
pub fn start(access: &Access, attack: Attack, lasts: Duration) -> anyhow::Result<Running> {
    let child = access
        .command(program("sudare-hostile")?)
        .args([attack.name(), &lasts.as_millis().to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(Running(child))
}

/// Waits for an attacker's own result.
pub fn finish(hostile: &mut Running) -> anyhow::Result<Outcome> {
    let mut text = String::new();
    hostile.0.stdout.take().context("no output")?.read_to_string(&mut text)?;
    ensure!(hostile.0.wait()?.success(), "the attacker crashed");
    let (strikes, keys) = text.trim().split_once(' ').context("the attacker printed no result")?;
    Ok(Outcome { strikes: strikes.parse()?, keys: keys.parse()? })
}
