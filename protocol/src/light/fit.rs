//! The arithmetic of the judgement: signals without their slow drift, and how much of them a sequence explains.

use super::{STEPS, Sequence, Timeline};

/// A camera gathers light for about this long before it gives a picture.
const EXPOSURE_MS: f64 = 60.0;
/// Parts of the exposure that are looked at one by one.
const PARTS: u32 = 4;
/// Neighbours that are more alike than this are not told apart from a drift.
const ALIKE_MAX: f64 = 0.9;
/// What moves with up to this power of time is slow: a hand, a head, a cloud.
const SLOW_POWER: i32 = 3;
/// Below this a sum of squares is nothing.
const NOTHING: f64 = 1e-12;

/// One value for each sample, with mean and slope taken away: a slow exposure or white balance changes those.
#[derive(Debug, Clone)]
pub(super) struct Signal(Vec<f64>);

impl Signal {
    pub(super) fn new(times: &[f64], values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        let time_mean = mean(times);
        let value_mean = mean(&values);
        let (mut xy, mut xx) = (0.0, 0.0);
        for (time, value) in times.iter().zip(&values) {
            xy += (time - time_mean) * (value - value_mean);
            xx += (time - time_mean) * (time - time_mean);
        }
        let slope = if xx > NOTHING { xy / xx } else { 0.0 };
        for (time, value) in times.iter().zip(&mut values) {
            *value -= value_mean + slope * (time - time_mean);
        }
        Signal(values)
    }

    pub(super) fn dot(&self, other: &Self) -> f64 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }

    pub(super) fn square(&self) -> f64 {
        self.dot(self)
    }

    /// What is left without `times` the other.
    pub(super) fn minus(&self, other: &Self, times: f64) -> Self {
        Signal(self.0.iter().zip(&other.0).map(|(a, b)| a - b * times).collect())
    }

    /// The variance of one value, as many times as large as neighbours resemble each other.
    pub(super) fn slow_variance(&self) -> f64 {
        let square = self.square();
        let neighbours: f64 = self.0.iter().zip(self.0.iter().skip(1)).map(|(a, b)| a * b).sum();
        let alike = if square > NOTHING { (neighbours / square).clamp(0.0, ALIKE_MAX) } else { 0.0 };
        square / (count(self.0.len()) - 3.0).max(1.0) * (1.0 + alike) / (1.0 - alike)
    }

    /// Without what goes slowly up and down: the third power of time and those below it.
    pub(super) fn quick(&self, times: &[f64]) -> Self {
        let (middle, half) = (mean(times), times.last().map_or(1.0, |last| (last - mean(times)).max(1.0)));
        let mut quick = self.clone();
        let mut slow: Vec<Signal> = Vec::new();
        for power in 0..=SLOW_POWER {
            let mut wave = Signal(times.iter().map(|time| ((time - middle) / half).powi(power)).collect());
            for before in &slow {
                wave = wave.minus(before, wave.dot(before));
            }
            let length = wave.square().sqrt();
            if length > NOTHING {
                wave.0.iter_mut().for_each(|value| *value /= length);
                quick = quick.minus(&wave, quick.dot(&wave));
                slow.push(wave);
            }
        }
        quick
    }

    /// What is left of it.
    pub(super) fn rms(&self) -> f64 {
        (self.square() / count(self.0.len())).sqrt()
    }
}

/// When each step reached the camera, if everything between takes one delay: the signals of which every sequence is a
/// weighted sum.
#[derive(Debug)]
pub(super) struct Basis {
    columns: Vec<Signal>,
    gram: [[f64; STEPS]; STEPS],
}

impl Basis {
    pub(super) fn new(times: &[f64], timeline: &Timeline, delay_ms: f64) -> Self {
        let ends = timeline.starts_ms.iter().skip(1).chain([&timeline.end_ms]);
        let columns: Vec<Signal> = timeline
            .starts_ms
            .iter()
            .zip(ends)
            .map(|(start_ms, end_ms)| {
                let step = f64::from(*start_ms)..f64::from(*end_ms);
                let seen = |time: &f64| {
                    let at =
                        |part| time - delay_ms - EXPOSURE_MS * (f64::from(part) + 0.5) / f64::from(PARTS);
                    let inside = (0..PARTS).filter(|part| step.contains(&at(*part))).count();
                    count(inside) / f64::from(PARTS)
                };
                Signal::new(times, times.iter().map(seen))
            })
            .collect();
        let mut gram = [[0.0; STEPS]; STEPS];
        for (row, a) in gram.iter_mut().zip(&columns) {
            row.iter_mut().zip(&columns).for_each(|(product, b)| *product = a.dot(b));
        }
        Basis { columns, gram }
    }

    /// The change of brightness that a sequence is, in units of its light.
    pub(super) fn brightness(&self, lights: &Lights) -> Signal {
        let [red, green, blue] = &lights.0;
        let mut sum = Signal(vec![0.0; self.columns.first().map_or(0, |column| column.0.len())]);
        let levels = red.iter().zip(green).zip(blue).map(|((red, green), blue)| (red + green + blue) / 3.0);
        for (column, level) in self.columns.iter().zip(levels) {
            sum.0.iter_mut().zip(&column.0).for_each(|(sum, value)| *sum += level * value);
        }
        sum
    }

    /// How each step goes together with three colours, from which every sequence can be tried quickly.
    pub(super) fn project(&self, colors: &Colors) -> Projection<'_> {
        let mut dots = [[0.0; STEPS]; 3];
        for (dots, signal) in dots.iter_mut().zip(&colors.0) {
            for (dot, column) in dots.iter_mut().zip(&self.columns) {
                *dot = column.dot(signal);
            }
        }
        Projection { gram: &self.gram, dots, total: colors.0.iter().map(Signal::square).sum() }
    }
}

/// How much of each colour every step of a sequence has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lights([[f64; STEPS]; 3]);

impl Lights {
    pub(super) fn of(sequence: &Sequence) -> Self {
        let steps = sequence.lights();
        Lights([0, 1, 2].map(|color: usize| steps.map(|light| light.get(color).copied().unwrap_or(0.0))))
    }
}

fn product(a: &[f64; STEPS], b: &[f64; STEPS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Three colours as seen from the steps.
#[derive(Debug)]
pub(super) struct Projection<'a> {
    gram: &'a [[f64; STEPS]; STEPS],
    dots: [[f64; STEPS]; 3],
    total: f64,
}

impl Projection<'_> {
    /// How strongly each colour follows a sequence, and how much of the change that explains.
    pub(super) fn explain(&self, lights: &Lights) -> Explained {
        let mut explained = Explained::default();
        let colors = lights.0.iter().zip(&self.dots).zip(&mut explained.gains);
        for ((light, dots), gain) in colors {
            let xy = product(light, dots);
            let xx: f64 = self.gram.iter().zip(light).map(|(row, a)| a * product(row, light)).sum();
            if xx > NOTHING {
                *gain = xy / xx;
                explained.square += if xy > 0.0 { xy * xy / xx } else { 0.0 };
                explained.light_square += xx / 3.0;
            }
        }
        if self.total > NOTHING {
            explained.share = (explained.square / self.total).clamp(0.0, 1.0);
        }
        explained.rest = (self.total - explained.square).max(0.0);
        explained
    }
}

/// The three colours of one place.
#[derive(Debug, Clone)]
pub(super) struct Colors(pub(super) [Signal; 3]);

impl Colors {
    /// Their mean.
    pub(super) fn brightness(&self) -> Signal {
        let [red, green, blue] = &self.0;
        let all = red.0.iter().zip(&green.0).zip(&blue.0);
        Signal(all.map(|((red, green), blue)| (red + green + blue) / 3.0).collect())
    }

    /// The mean change of the three.
    pub(super) fn rms(&self) -> f64 {
        self.0.iter().map(Signal::rms).sum::<f64>() / 3.0
    }
}

/// What a sequence explains of three colours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Explained {
    /// Relative brightness that the screen's full light adds, of each colour.
    pub(super) gains: [f64; 3],
    /// Share of the change that is explained: the square of the correlation.
    pub(super) share: f64,
    square: f64,
    rest: f64,
    light_square: f64,
}

impl Explained {
    /// The mean gain.
    pub(super) fn gain(&self) -> f64 {
        self.gains.iter().sum::<f64>() / 3.0
    }

    /// How uncertain the mean gain is, from what is left unexplained in `samples` samples.
    pub(super) fn gain_error(&self, samples: usize) -> f64 {
        let freedom = 3.0 * count(samples) - 9.0;
        if self.light_square <= NOTHING || freedom <= 0.0 {
            return f64::INFINITY;
        }
        (self.rest / freedom / self.light_square / 3.0).sqrt()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len()).max(1.0)
}

/// Counts here are far below the limits of f64.
#[allow(clippy::cast_precision_loss, reason = "a few dozen samples")]
pub(super) fn count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_neither_level_nor_slope() {
        let times: Vec<f64> = (0..30).map(f64::from).collect();
        let line = Signal::new(&times, times.iter().map(|t| 5.0 - 0.3 * t));
        assert!(line.rms() < 1e-9);
        let wave = Signal::new(&times, times.iter().map(|t| t.sin() + 2.0 * t));
        assert!(wave.rms() > 0.5);
    }

    #[test]
    fn a_hand_that_drifts_leaves_nothing_and_steps_stay() {
        let times: Vec<f64> = (0..30).map(|n| f64::from(n) * 100.0).collect();
        let drift = |t: &f64| 3.0 - t / 900.0 + (t / 1_000.0).powi(2) - (t / 1_500.0).powi(3);
        let drifts = Signal::new(&times, times.iter().map(drift));
        assert!(drifts.rms() > 0.1 && drifts.quick(&times).rms() < 1e-9);
        let steps = Signal::new(&times, times.iter().map(|t| if t % 700.0 < 350.0 { 0.0 } else { 1.0 }));
        assert!(steps.quick(&times).rms() > 0.8 * steps.rms());
    }

    #[test]
    fn what_follows_is_explained_with_its_gain() {
        let times: Vec<f64> = (0..30).map(|n| f64::from(n) * 100.0).collect();
        let timeline = Timeline::planned();
        let sequence = Sequence::from_nonce([3; 32]);
        let basis = Basis::new(&times, &timeline, 200.0);
        let light = |color: usize| {
            let level = |time: &f64| {
                let steps = sequence.lights();
                let at = time - 200.0 - 30.0;
                let step = (timeline.starts_ms.iter()).rposition(|start| f64::from(*start) <= at);
                let lit = at < f64::from(timeline.end_ms);
                step.filter(|_| lit).map_or(0.0, |step| 0.1 * steps[step][color])
            };
            Signal::new(&times, times.iter().map(level))
        };
        let explained =
            basis.project(&Colors([light(0), light(1), light(2)])).explain(&Lights::of(&sequence));
        assert!(explained.share > 0.97, "{explained:?}");
        assert!((explained.gain() - 0.1).abs() < 0.01, "{explained:?}");
    }
}
