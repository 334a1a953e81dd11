//! Who opens whose desktop at each operating point that a policy can choose: the same looks, the same evidence rule,
//! another threshold.

use serde_json::{Map, Value, json};
use sudare_client_core::face::identity::Thresholds;
use sudare_protocol::eyes::Recognition;

use super::people::Person;
use super::record::Recording;
use super::replay::{Sweep, sweep};

/// All tries at one operating point.
#[derive(Debug)]
pub(super) struct AtPoint {
    recognition: Recognition,
    operator_min: f32,
    sweep: Sweep,
}

/// All tries at each point. `thresholds` are the model's.
#[must_use]
pub(super) fn sweeps(recordings: &[Recording], people: usize, thresholds: Thresholds) -> Vec<AtPoint> {
    let at = |recognition| {
        let thresholds = thresholds.at(recognition);
        let sweep = sweep(recordings, people, &thresholds);
        AtPoint { recognition, operator_min: thresholds.operator_min, sweep }
    };
    Recognition::ALL.map(at).into()
}

/// Those of a policy that chooses none.
#[must_use]
pub(super) fn normal(points: &[AtPoint]) -> Option<&Sweep> {
    points.iter().find(|point| point.recognition == Recognition::default()).map(|point| &point.sweep)
}

/// `{threshold, fmr, fnmr}` of each point: figures with their intervals, of strangers who open within 20 s and of
/// operators who do not.
#[must_use]
pub(super) fn figures(points: &[AtPoint], people: &[Person]) -> Value {
    let told = points.iter().map(|AtPoint { recognition, operator_min, sweep }| {
        let mut all = sweep.figures(people);
        let mut take = |key: &str| all.remove(key).unwrap_or_default();
        let (fmr, fnmr) = (take("stranger_opens"), take("fnmr_at_open"));
        // As written, and not with the digits of a 32-bit number.
        let threshold = (f64::from(*operator_min) * 1_000.0).round() / 1_000.0;
        (recognition.as_str().to_owned(), json!({ "threshold": threshold, "fmr": fmr, "fnmr": fnmr }))
    });
    Value::Object(told.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::replay::tests::{LIMITS, look, recording};

    #[test]
    fn each_point_has_its_threshold_and_its_own_strangers_and_operators() {
        // Person 0 is hardly known at the own desktop, and person 1 resembles person 0 a little.
        let recordings = [
            recording(0, vec![look([0.57, 0.2]), look([0.57, 0.2]), look([0.57, 0.1])]),
            recording(1, vec![look([0.52, 0.8]), look([0.52, 0.8]), look([0.52, 0.7])]),
        ];
        let points = sweeps(&recordings, 2, LIMITS);
        let told = figures(&points, &[]);
        for (name, threshold, fmr, fnmr) in
            [("strict", 0.6, 0.0, 0.5), ("normal", 0.54, 0.0, 0.0), ("lenient", 0.5, 0.5, 0.0)]
        {
            let point = &told[name];
            assert_eq!(point["threshold"], json!(threshold), "{name}");
            assert_eq!(
                (&point["fmr"]["value"], &point["fnmr"]["value"]),
                (&json!(fmr), &json!(fnmr)),
                "{name}"
            );
            for figure in [&point["fmr"], &point["fnmr"]] {
                assert_eq!(figure["n"], json!(2), "{name}");
                assert!(figure["low"].as_f64() < figure["high"].as_f64(), "{name}: {figure}");
            }
        }
        let same = normal(&points).unwrap().figures(&[]);
        assert_eq!(told["normal"]["fmr"], same["stranger_opens"]);
        assert!(normal(&[]).is_none());
    }
}
