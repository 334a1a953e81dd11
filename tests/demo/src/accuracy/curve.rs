//! How often others open and how often the operator is kept out, for each threshold that could be chosen.
//!
//! By the best mean of four usable looks in a row that somebody reaches: it opens from there on.

use serde_json::{Map, Value, json};
use sudare_client_core::face::identity::OPEN_LOOKS;
use sudare_client_core::face::quality::Grade;

use super::figures::{count, percentile};
use super::record::{CONDITIONS, Look, Recording};

/// The best mean of each pair of an operator and a person in a condition.
#[derive(Debug, Clone, Default)]
pub(super) struct Best {
    pub(super) own: Vec<f32>,
    pub(super) others: Vec<f32>,
}

/// One threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) threshold: f64,
    /// Share of others who open.
    pub(super) fmr: f64,
    /// Share of operators who do not.
    pub(super) fnmr: f64,
}

/// Of one condition, or of all.
#[must_use]
pub(super) fn best(recordings: &[Recording], people: usize, condition: Option<usize>) -> Best {
    let mut best = Best::default();
    for recording in recordings.iter().filter(|r| condition.is_none_or(|wanted| r.condition == wanted)) {
        for operator in 0..people {
            let looks = recording.looks.iter().flatten();
            let usable = looks.filter(|look| look.quality.grade() != Grade::Poor);
            let cosines: Vec<f32> = usable.filter_map(|look| look.cosines.get(operator).copied()).collect();
            let list = if operator == recording.person { &mut best.own } else { &mut best.others };
            list.push(best_mean(&cosines));
        }
    }
    best
}

fn best_mean(cosines: &[f32]) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "four")]
    let mean = |window: &[f32]| window.iter().sum::<f32>() / window.len().max(1) as f32;
    cosines.windows(OPEN_LOOKS).map(mean).fold(-1.0, f32::max)
}

impl Best {
    /// Thresholds from 0.2 to 0.8.
    #[must_use]
    pub(super) fn curve(&self) -> Vec<Point> {
        (20..=80_u8)
            .map(|percent| {
                let threshold = f64::from(percent) / 100.0;
                let from = |values: &[f32]| values.iter().filter(|v| f64::from(**v) >= threshold).count();
                let share = |hits: usize, n: usize| count(hits) / count(n.max(1));
                Point {
                    threshold,
                    fmr: share(from(&self.others), self.others.len()),
                    fnmr: 1.0 - share(from(&self.own), self.own.len()),
                }
            })
            .collect()
    }

    /// The highest of others, the lowest of operators: the threshold lies between, if there is a between.
    fn margins(&self) -> Value {
        let highest = self.others.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let lowest = self.own.iter().copied().fold(f32::INFINITY, f32::min);
        let known = |value: f32| value.is_finite().then_some(value);
        json!({
            "others_highest": known(highest), "others": self.others.len(),
            "own_lowest": known(lowest), "own": self.own.len(),
        })
    }
}

/// The curve over all conditions, and the margins of each.
#[must_use]
pub(super) fn told(recordings: &[Recording], people: usize) -> Value {
    let of_condition = |i: usize| best(recordings, people, Some(i));
    let (mut margins, mut own_looks) = (Map::new(), Map::new());
    for (i, condition) in CONDITIONS.iter().enumerate() {
        let best = of_condition(i);
        if !best.own.is_empty() {
            margins.insert(condition.name.to_owned(), best.margins());
            own_looks.insert(condition.name.to_owned(), looks(recordings, i));
        }
    }
    let points = best(recordings, people, None).curve();
    let curve: Vec<Value> =
        points.iter().map(|p| json!({ "threshold": p.threshold, "fmr": p.fmr, "fnmr": p.fnmr })).collect();
    json!({ "mean_of_looks": OPEN_LOOKS, "margins": margins, "own_looks": own_looks, "curve": curve })
}

/// What people's looks at themselves were worth in a condition: grades, and percentiles of sharpness and cosine.
fn looks(recordings: &[Recording], condition: usize) -> Value {
    let of = recordings.iter().filter(|recording| recording.condition == condition);
    let all: Vec<(&Look, usize)> = of
        .flat_map(|recording| recording.looks.iter().flatten().map(|look| (look, recording.person)))
        .collect();
    let graded = |grade: Grade| all.iter().filter(|(look, _)| look.quality.grade() == grade).count();
    let spread = |value: &dyn Fn(&(&Look, usize)) -> f32| {
        let values: Vec<f64> = all.iter().map(|look| f64::from(value(look))).collect();
        json!([0.05, 0.5, 0.95].map(|share| percentile(&values, share)))
    };
    json!({
        "poor": graded(Grade::Poor), "usable": graded(Grade::Usable), "good": graded(Grade::Good),
        "sharp_p5_p50_p95": spread(&|(look, _)| look.quality.sharp),
        "light_p5_p50_p95": spread(&|(look, _)| look.quality.light),
        "cosine_p5_p50_p95": spread(&|(look, person)| look.cosines.get(*person).copied().unwrap_or(-1.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_four_in_a_row_count() {
        assert!((best_mean(&[0.1, 0.5, 0.6, 0.7, 0.6, 0.1]) - 0.6).abs() < 1e-6);
        assert_eq!(best_mean(&[0.9, 0.9, 0.9]), -1.0, "three looks open nothing");
    }

    #[test]
    fn a_higher_threshold_keeps_more_people_out() {
        let curve = Best { own: vec![0.6, 0.7], others: vec![0.3, 0.5, -1.0] }.curve();
        let at = |threshold: f64| *curve.iter().find(|p| (p.threshold - threshold).abs() < 1e-9).unwrap();
        assert_eq!((at(0.54).fmr, at(0.54).fnmr), (0.0, 0.0));
        assert!((at(0.40).fmr - 1.0 / 3.0).abs() < 1e-9 && at(0.65).fnmr == 0.5);
        assert!(curve.windows(2).all(|pair| pair[0].fmr >= pair[1].fmr && pair[0].fnmr <= pair[1].fnmr));
    }
}
