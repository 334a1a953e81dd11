//! All of it: incidents go on while somebody kills, and in the end nothing may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sudare_client_runtime::spool;

use super::crew::{Crew, Programs, Who};
use super::judge::{self, Verdict};
use super::moments::{STEPS, wait_for};
use super::place::Place;

/// After the last kill everything must be delivered within this time.
const DRAIN: Duration = Duration::from_secs(60);
/// Between a step that was seen and the kill; the shorter ones hit it before its sync.
const LATER_MAX_US: u64 = 3_000;
const DOWN_MAX_MS: u64 = 300;
const ANY_MOMENT_MAX_MS: u64 = 800;

/// What shall be done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub kills: u32,
    pub seed: u64,
    /// Guards, each with its client.
    pub pairs: usize,
}

/// What was done, and what came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub kills: u32,
    /// Who was killed and at which step → how often.
    pub steps: BTreeMap<String, u32>,
    /// Named steps at which nobody was killed.
    pub unseen: BTreeSet<&'static str>,
    pub verdict: Verdict,
}

/// Kills as planned, lets everything be delivered, and reads the log.
pub fn run(place: &Place, programs: &Programs, plan: Plan) -> anyhow::Result<Outcome> {
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut outcome = Outcome { unseen: STEPS.iter().map(|step| step.name).collect(), ..Outcome::default() };
    let mut crew = Crew::start(place, programs, plan.pairs)?;
    while outcome.kills < plan.kills {
        let who = victim(&mut random, plan.pairs);
        let moment = moment(&mut random, place, plan.pairs)?;
        crew.kill(who)?;
        outcome.kills += 1;
        outcome.unseen.remove(moment);
        *outcome.steps.entry(format!("{}, {moment}", who.kind())).or_default() += 1;
        thread::sleep(Duration::from_millis(random.random_range(0..DOWN_MAX_MS)));
        crew.restart(who)?;
    }
    crew.quiet()?;
    drain(place, plan.pairs)?;
    crew.end()?;
    outcome.verdict = judge::judge(place, plan.pairs)?;
    Ok(outcome)
}

fn victim(random: &mut ChaCha8Rng, pairs: usize) -> Who {
    let number = random.random_range(0..pairs);
    match random.random_range(0..4) {
        0 => Who::Client(number),
        1 => Who::Guard(number),
        _ => Who::Recorder,
    }
}

/// How many of the steps have a name at all.
pub fn named_steps() -> usize {
    STEPS.len()
}

/// Waits for a moment, and tells which one it was.
fn moment(random: &mut ChaCha8Rng, place: &Place, pairs: usize) -> anyhow::Result<&'static str> {
    let any = Duration::from_millis(random.random_range(0..ANY_MOMENT_MAX_MS));
    let later = Duration::from_micros(random.random_range(0..LATER_MAX_US));
    let is_at_once = random.random_ratio(1, 3);
    let step = STEPS.choose(random).copied().filter(|_| random.random_ratio(4, 5));
    if let Some(step) = step
        && wait_for(step, place, pairs)?
    {
        if !is_at_once {
            thread::sleep(later);
        }
        return Ok(step.name);
    }
    if step.is_none() {
        thread::sleep(any);
    }
    Ok("any moment")
}

/// Until no client has anything left to deliver.
fn drain(place: &Place, pairs: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let left: usize = (0..pairs).map(|number| spool::waiting(&place.client(number)).incidents).sum();
        if left == 0 {
            return Ok(());
        }
        if begun.elapsed() > DRAIN {
            bail!("{left} incidents are not delivered");
        }
        thread::sleep(Duration::from_millis(50));
    }
}
