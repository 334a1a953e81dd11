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
use super::{ABSENT, BESIDE, FACE_PLACES, FAR, Lit, PLACES, QUIET_MS, Sequence, Timeline};

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
/// The square of this correlation must be explained.
const CORRELATION_MIN: f64 = 0.8;
/// Of all sequences that could have been shown, at most this share may explain the series better than the right one.
/// Whoever guesses is therefore right in 1 of 50 tries.
const BETTER_MAX: f64 = 0.02;
/// Where nothing far can be seen, how fast an automatic exposure may follow: these are tried.
const EXPOSURES_MS: [f64; 3] = [150.0, 300.0, 700.0];
/// Light that adds less than this to the room's cannot be measured.
const GAIN_MIN: f64 = 0.012;
/// The gain must be this many times as large as what changes before the first step, and as its own uncertainty.
const NOISE_RATIO_MIN: f64 = 4.0;
/// A face that changes less than this does not change.
const CHANGE_MIN: f64 = 0.008;
/// The face must follow this many times as strongly as what is beside it.
const BESIDE_RATIO_MIN: f64 = 2.0;
/// How much the places of a face must differ, of their mean. A camera whose tone curve is not the one of sRGB makes
/// dark places of a sheet differ from bright ones by up to 0.1.
const RELIEF_MIN: f64 = 0.11;
/// The same where places count alike, however well each is known.
const EVEN_RELIEF_MIN: f64 = 0.14;
/// The same, of its uncertainty.
const RELIEF_RATIO_MIN: f64 = 2.0;
/// No place is known better than this.
const ERROR_MIN: f64 = 0.02;
/// A mean over five places takes one of their differences away.
const FREEDOM: f64 = 5.0 / 4.0;

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

    /// How much the face changes before anything was shown; 0 if there are too few looks to tell.
    fn quiet_change(&self, way: &Way) -> f64 {
        let quiet = self.times.iter().take_while(|time| **time < f64::from(QUIET_MS)).count();
        if quiet < 3 {
            return 0.0;
        }
        let part = Rows {
            times: self.times.iter().take(quiet).copied().collect(),
            values: self.values.iter().take(quiet).copied().collect(),
        };
        part.colors(None, way).rms()
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

/// Judges a series against what the cover showed.
pub fn judge(sequence: &Sequence, timeline: &Timeline, lit: &Lit) -> Outcome {
    let rows = Rows::of(lit);
    if !rows.are_enough(timeline) || lit.clipped_permille > CLIPPED_MAX_PERMILLE {
        return Outcome::NotMeasurable;
    }
    let ways = rows.ways(lit.far_permille >= FAR_MIN_PERMILLE && rows.has(FAR));
    let Some((best, better)) = best_of(sequence, timeline, &rows, &ways) else {
        return Outcome::NotMeasurable;
    };
    let Some(way) = ways.get(best.way) else { return Outcome::NotMeasurable };
    let (gain, samples) = (best.explained.gain(), rows.times.len());
    let noise = rows.quiet_change(way).max(best.explained.gain_error(samples));
    let is_explained = best.explained.share >= CORRELATION_MIN * CORRELATION_MIN;
    let all_colors = best.explained.gains.iter().all(|gain| *gain > 0.0);
    if !(is_explained && all_colors && better <= BETTER_MAX) {
        let change = rows.colors(None, way).rms();
        return if change < CHANGE_MIN { Outcome::NotMeasurable } else { Outcome::DoesNotFollow };
    }
    if gain < GAIN_MIN || gain < NOISE_RATIO_MIN * noise {
        return Outcome::NotMeasurable;
    }
    if best.delay_ms > DELAY_MAX_MS {
        return Outcome::Late;
    }
    let basis = Basis::new(&rows.times, timeline, f64::from(best.delay_ms));
    let lights = Lights::of(sequence);
    match (beside(&lights, &basis, &rows, way, best.explained.gain()), relief(sequence, &basis, &rows, way)) {
        (Some(false), _) | (_, Some(false)) => Outcome::Flat,
        (Some(true), Some(true)) => Outcome::Lit,
        _ => Outcome::NotMeasurable,
    }
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

/// Whether the face follows more than what is beside it, on one side at least: a sheet has two sides, and a person may
/// have a headrest or a wall on one. `None` if nothing beside the head can be seen.
fn beside(lights: &Lights, basis: &Basis, rows: &Rows, way: &Way, gain: f64) -> Option<bool> {
    let seen = BESIDE.iter().filter(|place| rows.has(**place));
    let gain_of = |place: &usize| {
        let explained = basis.project(&rows.colors(Some(*place), way)).explain(lights);
        // What cannot be told apart from noise may be as large as its uncertainty.
        explained.gain().abs().max(explained.gain_error(rows.times.len()))
    };
    let least = seen.map(gain_of).min_by(f64::total_cmp)?;
    Some(gain >= BESIDE_RATIO_MIN * least)
}

/// Whether the places of the face follow differently, as those of a solid do. `None` if noise hides it.
///
/// How much of the face's change a place has is asked by that part of it which the light explains, so that what people
/// and hands do by themselves does not count; nor does what goes slowly up and down, since every sequence begins and ends
/// in the dark, and so does a hand's sway. What is left over changes slowly (a sheet moves in a hand, a film goes
/// on), so that neighbouring looks are not worth two: the uncertainty allows for it.
fn relief(sequence: &Sequence, basis: &Basis, rows: &Rows, way: &Way) -> Option<bool> {
    let light = basis.brightness(&Lights::of(sequence)).quick(&rows.times);
    let face = rows.colors(None, way).brightness();
    let whole = face.dot(&light);
    if whole <= 0.0 {
        return None;
    }
    let share = |place: usize| {
        let seen = rows.colors(Some(place), way).brightness();
        let share = seen.dot(&light) / whole;
        let error =
            seen.minus(&face, share).quick(&rows.times).slow_variance() * light.square() / (whole * whole);
        (share, error)
    };
    let places: Vec<(f64, f64)> = (0..FACE_PLACES).map(share).collect();
    // A place on an edge of hair or shadow wavers more than the others and hides them, unless it counts less; where it
    // is the only one that differs, it must count as much.
    let even = Relief::of(&places, |_| 1.0);
    let weighed = Relief::of(&places, |error| 1.0 / error.max(ERROR_MIN * ERROR_MIN));
    if even.is_seen(EVEN_RELIEF_MIN) || weighed.is_seen(RELIEF_MIN) {
        return Some(true);
    }
    if even.noise.sqrt() > RELIEF_MIN { None } else { Some(false) }
}

/// How much places differ, and how much of it may be chance, as variances.
struct Relief {
    spread: f64,
    noise: f64,
}

impl Relief {
    /// Of shares with their errors, each counting by a weight that follows from its error.
    fn of(places: &[(f64, f64)], weight: impl Fn(f64) -> f64) -> Relief {
        let sum = |value: &dyn Fn(f64, f64) -> f64| -> f64 {
            places.iter().map(|(share, error)| value(*share, *error) * weight(*error)).sum()
        };
        let weights = sum(&|_, _| 1.0);
        let mean = sum(&|share, _| share) / weights;
        let spread = sum(&|share, _| (share - mean).powi(2)) / weights * FREEDOM;
        Relief { spread, noise: sum(&|_, error| error) / weights }
    }

    /// Whether it is at least this, and no chance.
    fn is_seen(&self, least: f64) -> bool {
        let beyond_noise = (self.spread - self.noise).max(0.0).sqrt();
        beyond_noise >= least && self.spread >= RELIEF_RATIO_MIN * RELIEF_RATIO_MIN * self.noise
    }
}

#[cfg(test)]
mod tests;
