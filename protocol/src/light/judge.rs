//! Whether a face followed the light of a sequence as a living head does.
//!
//! ```text
//!  LIT ─► rows ─► face against what is far ─► best delay ─► follows? ─► beside the head? ─► relief? ─► Lit
//!                 (exposure goes out)           │              │              └─────┬────┘
//!                                             Late     DoesNotFollow,             Flat
//!                                                      NotMeasurable
//! ```
//! Brightness is a ratio to the place's own brightness before the first step. A sheet of paper with a face on it has
//! the same ratio everywhere, whatever is printed on it: every point of it gets the same light from the room and from
//! the screen. A head does not: a forehead gets more from the ceiling, a chin less, a cheek sees the screen aslant.

use super::fit::{Basis, Colors, Explained, Lights, Signal, count};
use super::relief::{Place, Places, is_solid, pooled};
use super::{ABSENT, BESIDE, FACE_PLACES, FAR, Lit, PLACES, QUIET_MS, Sequence, Strength, Timeline};

/// The way from the host's decision to the camera's picture: screen, RDP, camera.
const DELAY_MAX_MS: u32 = 600;
/// Longer delays are tried as well, to tell a late answer from a wrong one.
const DELAY_TRIED_MAX_MS: u32 = 900;
const DELAY_STEP_MS: usize = 25;
/// Fewer looks show too few of the steps.
const SAMPLES_MIN: usize = 12;
/// A longer gap may hide a whole step.
const GAP_MAX_MS: u32 = 400;
/// Above this share of the face, what is brighter cannot be told.
const CLIPPED_MAX_PERMILLE: u16 = 300;
/// Darker than this, what is far is mostly the camera's noise.
const FAR_MIN_PERMILLE: u16 = 8;
/// Of all sequences that could have been shown, at most this share may explain what was seen better than the right one:
/// after one check, and as a product after two and three (Fisher's method, 1 %). Whoever guesses is right in one of 50
/// series.
const BETTER_MAX: [f64; TOGETHER_MAX] = [0.02, 0.001_3, 0.000_22];
/// Beyond this, one check is enough to see that nothing follows.
const BETTER_HOPELESS: f64 = 0.3;
/// No check is worth more than this.
const BETTER_MIN: f64 = 0.002;
/// Nor is anything seen to follow where less than this share of the change is explained.
const EXPLAINED_MIN: f64 = 0.25;
/// Where nothing far can be seen, how fast an automatic exposure may follow: these are tried.
const EXPOSURES_MS: [f64; 3] = [150.0, 300.0, 700.0];
/// Light that adds less than this to the room's cannot be measured.
const GAIN_MIN: f64 = 0.012;
/// A face that changes less than this does not change.
const CHANGE_MIN: f64 = 0.008;
/// What is beside the face must follow less than this share of what the face does, as far as it is known. Half of what is
/// measured there may lie beyond the edge of a sheet.
const BESIDE_MAX: f64 = 1.0 / 3.0;
/// So many checks in a row may be judged together: what movement hides in one, several may show.
const TOGETHER_MAX: usize = 3;

/// The result of a check by light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The face followed, with relief, and more than what is beside it.
    Lit,
    /// It followed, but as a sheet does.
    Flat,
    /// It changed, but not as the light did.
    DoesNotFollow,
    /// The light could not be told from the room's, or the camera gave too little.
    NotMeasurable,
    /// It followed too late.
    Late,
}

/// Each place of one look in three colours.
type Row = [[f64; 3]; PLACES];

/// The places of every look in which a face could be measured.
struct Rows {
    times: Vec<f64>,
    /// For each look and place three colours, as relative change; absent places are NaN.
    values: Vec<Row>,
}

impl Rows {
    fn of(lit: &Lit) -> Rows {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for sample in &lit.samples {
            let mut row = [[f64::NAN; 3]; PLACES];
            for (place, colors) in row.iter_mut().zip(sample.values.chunks_exact(3)) {
                for (value, log_milli) in place.iter_mut().zip(colors) {
                    if *log_milli != ABSENT {
                        *value = f64::from(*log_milli) / 1_000.0;
                    }
                }
            }
            let is_whole = row.iter().take(FACE_PLACES).flatten().all(|value| value.is_finite());
            if is_whole {
                times.push(f64::from(sample.t_ms));
                values.push(row);
            }
        }
        Rows { times, values }
    }

    /// Enough looks, from before the first step to after the last, without a gap.
    fn are_enough(&self, timeline: &Timeline) -> bool {
        let gaps = self.times.windows(2).map(|pair| match pair {
            [before, after] => after - before,
            _ => 0.0,
        });
        let first = self.times.first().is_some_and(|time| *time <= f64::from(QUIET_MS));
        let last = self.times.last().is_some_and(|time| *time >= f64::from(timeline.end_ms));
        self.times.len() >= SAMPLES_MIN && first && last && gaps.fold(0.0, f64::max) <= f64::from(GAP_MAX_MS)
    }

    fn has(&self, place: usize) -> bool {
        self.values
            .iter()
            .all(|row| row.get(place).is_some_and(|colors| colors.iter().all(|v| v.is_finite())))
    }

    /// One place, as `way` puts it right; `None` stands for the mean of the face.
    fn colors(&self, place: Option<usize>, way: &Way) -> Colors {
        let signal = |color: usize| {
            let value = |(row, right): (&Row, &[f64; 3])| {
                let log = place.map_or_else(|| face_of(row, color), |place| value_of(row, place, color));
                (log + right.get(color).copied().unwrap_or(0.0)).exp_m1()
            };
            Signal::new(&self.times, self.values.iter().zip(&way.0).map(value))
        };
        Colors([signal(0), signal(1), signal(2)])
    }

    /// The ways in which what is common to the whole picture can be taken out of it.
    fn ways(&self, is_far_seen: bool) -> Vec<Way> {
        let plain = Way(vec![[0.0; 3]; self.values.len()]);
        if is_far_seen {
            let far = |row: &Row| [0, 1, 2].map(|color| -value_of(row, FAR, color));
            return vec![Way(self.values.iter().map(far).collect()), plain];
        }
        let exposures = EXPOSURES_MS.iter().map(|time_ms| self.undo_exposure(*time_ms));
        [plain].into_iter().chain(exposures).collect()
    }

    /// An exposure that takes back what it sees in `time_ms` leaves the rest in the picture; from that it can be
    /// computed.
    fn undo_exposure(&self, time_ms: f64) -> Way {
        let (mut taken_back, mut before) = (0.0, None);
        let each = self.times.iter().zip(&self.values).map(|(time, row)| {
            let seen = (0..3).map(|color| face_of(row, color)).sum::<f64>() / 3.0;
            if let Some((earlier, seen_then)) = before.replace((*time, seen)) {
                taken_back += seen_then * (time - earlier) / time_ms;
            }
            [taken_back; 3]
        });
        Way(each.collect())
    }
}

/// What is added to every look, for each colour, so that what all places have in common goes out.
struct Way(Vec<[f64; 3]>);

fn value_of(row: &Row, place: usize, color: usize) -> f64 {
    row.get(place).and_then(|colors| colors.get(color).copied()).unwrap_or(0.0)
}

fn face_of(row: &Row, color: usize) -> f64 {
    (0..FACE_PLACES).map(|place| value_of(row, place, color)).sum::<f64>() / count(FACE_PLACES)
}

/// The delay and the way that explain the face best.
struct Best {
    delay_ms: u32,
    /// Its number.
    way: usize,
    explained: Explained,
}

/// Judges one check by itself.
pub fn judge(sequence: &Sequence, timeline: &Timeline, lit: &Lit) -> Outcome {
    Series::default().judge(sequence, timeline, lit)
}

/// Checks of the same face in a row, of which none has told a head from a sheet yet.
///
/// ```text
///  too bright for the camera ─► a weaker screen ─┐
///  movement hides the relief ─► one more check ──┴─► judged together ─► Lit, Flat, or NotMeasurable at last
/// ```
#[derive(Debug, Default)]
pub struct Series {
    checks: Vec<Followed>,
    strength: Strength,
    wants_more: bool,
}

impl Series {
    /// How strong the light of the next check must be.
    pub fn strength(&self) -> Strength {
        self.strength
    }

    /// One more check at once may tell what it is.
    pub fn wants_more(&self) -> bool {
        self.wants_more
    }

    /// Whoever sits there now may be somebody else. The room is the same.
    pub fn forget(&mut self) {
        (self.checks, self.wants_more) = (Vec::new(), false);
    }

    /// Judges one check against what the cover showed, together with those before it.
    pub fn judge(&mut self, sequence: &Sequence, timeline: &Timeline, lit: &Lit) -> Outcome {
        self.wants_more = false;
        let outcome = if lit.clipped_permille > CLIPPED_MAX_PERMILLE {
            self.dim()
        } else {
            match follow(sequence, timeline, lit) {
                Ok(followed) => self.compare(followed),
                Err(Outcome::DoesNotFollow) => self.nothing_follows(),
                Err(outcome) => outcome,
            }
        };
        if !self.wants_more {
            self.forget();
            if outcome == Outcome::NotMeasurable {
                self.strength = Strength::Full;
            }
        }
        outcome
    }

    fn dim(&mut self) -> Outcome {
        if let Some(weaker) = self.strength.weaker() {
            (self.strength, self.wants_more) = (weaker, true);
        }
        Outcome::NotMeasurable
    }

    fn compare(&mut self, followed: Followed) -> Outcome {
        self.checks.push(followed);
        let is_last = self.checks.len() >= TOGETHER_MAX;
        let better: f64 = self.checks.iter().map(|check| check.better.max(BETTER_MIN)).product();
        let follows = BETTER_MAX.get(self.checks.len() - 1).is_some_and(|most| better <= *most);
        if !follows && is_last {
            return self.nothing_follows();
        }
        let places: Vec<Places> = self.checks.iter().map(|check| check.places).collect();
        let verdict = match (self.is_alone(), is_solid(&pooled(&places))) {
            _ if !follows => None,
            (Some(false), _) | (_, Some(false)) => Some(Outcome::Flat),
            (Some(true), Some(true)) => Some(Outcome::Lit),
            _ => None,
        };
        self.wants_more = verdict.is_none() && !is_last;
        verdict.unwrap_or(Outcome::NotMeasurable)
    }

    /// Whether the face follows more than what is beside it, on one side at least: a sheet has two sides, and a person
    /// may have a headrest or a wall on one. `None` if nothing beside the head can be seen, or too little to tell.
    fn is_alone(&self) -> Option<bool> {
        let side = |side: usize| {
            let seen = self.checks.iter().filter_map(|check| check.sides.get(side).copied().flatten());
            Place::pooled(&seen.collect::<Vec<_>>())
        };
        let sides: Vec<Place> = (0..BESIDE.len()).filter_map(side).collect();
        let follows_less = |side: &Place| side.share.abs() + side.error.sqrt() <= BESIDE_MAX;
        if sides.iter().any(follows_less) {
            return Some(true);
        }
        let all_follow = sides.iter().all(|side| side.share > 2.0 * side.error.sqrt());
        (!sides.is_empty() && all_follow).then_some(false)
    }

    /// Light as weak as the weakest may be lost in what moves.
    fn nothing_follows(&self) -> Outcome {
        if self.strength == Strength::Ninth { Outcome::NotMeasurable } else { Outcome::DoesNotFollow }
    }
}

/// What one check shows of a face that may have followed in time.
#[derive(Debug)]
struct Followed {
    /// The share of other sequences that explain it better.
    better: f64,
    places: Places,
    /// What is beside it, of what the face does; `None` where that is not in the picture.
    sides: [Option<Place>; BESIDE.len()],
}

fn follow(sequence: &Sequence, timeline: &Timeline, lit: &Lit) -> Result<Followed, Outcome> {
    let rows = Rows::of(lit);
    if !rows.are_enough(timeline) {
        return Err(Outcome::NotMeasurable);
    }
    let ways = rows.ways(lit.far_permille >= FAR_MIN_PERMILLE && rows.has(FAR));
    let best = best_of(sequence, timeline, &rows, &ways);
    let (best, better) = best.ok_or(Outcome::NotMeasurable)?;
    let way = ways.get(best.way).ok_or(Outcome::NotMeasurable)?;
    let all_colors = best.explained.gains.iter().all(|gain| *gain > 0.0);
    if !all_colors || better > BETTER_HOPELESS || best.explained.share < EXPLAINED_MIN {
        let change = rows.colors(None, way).rms();
        return Err(if change < CHANGE_MIN { Outcome::NotMeasurable } else { Outcome::DoesNotFollow });
    }
    let gain = best.explained.gain();
    let is_sure = BETTER_MAX.first().is_some_and(|most| better <= *most);
    if is_sure && gain < GAIN_MIN {
        return Err(Outcome::NotMeasurable);
    }
    if best.delay_ms > DELAY_MAX_MS {
        return Err(if is_sure { Outcome::Late } else { Outcome::DoesNotFollow });
    }
    let basis = Basis::new(&rows.times, timeline, f64::from(best.delay_ms));
    let places = places(sequence, &basis, &rows, way).ok_or(Outcome::NotMeasurable)?;
    let side = |place: usize| {
        rows.has(place).then(|| {
            let seen = basis.project(&rows.colors(Some(place), way)).explain(&Lights::of(sequence));
            let error = seen.gain_error(rows.times.len()) / gain;
            Place { share: seen.gain() / gain, error: error * error }
        })
    };
    Ok(Followed { better, places, sides: BESIDE.map(side) })
}

/// The best fit, and the share of other sequences that fit better.
fn best_of(sequence: &Sequence, timeline: &Timeline, rows: &Rows, ways: &[Way]) -> Option<(Best, f64)> {
    let wanted = Lights::of(sequence);
    let all = Sequence::all().into_iter().filter(|other| other != sequence);
    let all: Vec<Lights> = all.map(|other| Lights::of(&other)).collect();
    let mut best: Option<Best> = None;
    let mut others = vec![0.0_f64; all.len()];
    let faces: Vec<Colors> = ways.iter().map(|way| rows.colors(None, way)).collect();
    for delay_ms in (0..=DELAY_TRIED_MAX_MS).step_by(DELAY_STEP_MS) {
        let basis = Basis::new(&rows.times, timeline, f64::from(delay_ms));
        for (way, face) in faces.iter().enumerate() {
            let seen = basis.project(face);
            let explained = seen.explain(&wanted);
            if best.as_ref().is_none_or(|best| explained.share > best.explained.share) {
                best = Some(Best { delay_ms, way, explained });
            }
            if delay_ms <= DELAY_MAX_MS {
                for (share, other) in others.iter_mut().zip(&all) {
                    *share = share.max(seen.explain(other).share);
                }
            }
        }
    }
    let best = best?;
    let better = others.iter().filter(|share| **share > best.explained.share).count();
    Some((best, count(better) / count(others.len()).max(1.0)))
}

/// How much of the face's change each place has; `None` if the face does not become brighter.
///
/// It is asked by that part of the change which the light explains, so that what people and hands do by themselves does
/// not count; nor does what goes slowly up and down, since every sequence begins and ends in the dark, and so does a
/// hand's sway. What is left over changes slowly (a sheet moves in a hand, a film goes on), so that neighbouring looks
/// are not worth two: the uncertainty allows for it.
fn places(sequence: &Sequence, basis: &Basis, rows: &Rows, way: &Way) -> Option<Places> {
    let light = basis.brightness(&Lights::of(sequence)).quick(&rows.times);
    let face = rows.colors(None, way).brightness();
    let whole = face.dot(&light);
    (whole > 0.0).then(|| {
        std::array::from_fn(|place| {
            let seen = rows.colors(Some(place), way).brightness();
            let share = seen.dot(&light) / whole;
            let rest = seen.minus(&face, share).quick(&rows.times);
            Place { share, error: rest.slow_variance() * light.square() / (whole * whole) }
        })
    })
}

#[cfg(test)]
mod tests;
