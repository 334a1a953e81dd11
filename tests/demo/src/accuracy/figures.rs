//! Figures that say how sure they are: a share with its interval, a rate with its bound, a percentile.

use serde_json::{Value, json};

/// For 95 %.
const Z: f64 = 1.959_964;

/// Who was in the pictures. Of a figure over several people, the weaker word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Synthetic,
    Real,
}

impl Kind {
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Kind::Synthetic => "synthetic",
            Kind::Real => "real",
        }
    }
}

/// Wilson's interval of a share (1927), 95 %. `hits` may be a sum of parts, as of time.
#[must_use]
pub(super) fn wilson(hits: f64, n: f64) -> [f64; 2] {
    if n <= 0.0 {
        return [0.0, 1.0];
    }
    let (share, square) = (hits / n, Z * Z);
    let middle = share + square / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    [((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0)]
}

/// Tries of one kind of scene: 1 for what is counted, 0 for what is not, or the part of the time in between.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    tries: Vec<(f64, Kind)>,
}

impl Tally {
    pub(super) fn add(&mut self, share: f64, kind: Kind) {
        self.tries.push((share, kind));
    }

    #[must_use]
    pub(super) fn n(&self) -> usize {
        self.tries.len()
    }

    /// `None` without tries.
    #[must_use]
    pub(super) fn value(&self) -> Option<f64> {
        (!self.tries.is_empty()).then(|| self.sum() / count(self.n()))
    }

    /// `{value, n, low, high, kind}`, and the same of the real people alone where others took part. Null without tries.
    #[must_use]
    pub(super) fn figure(&self) -> Value {
        let Some(mut figure) = self.plain() else { return Value::Null };
        if self.kind() == Kind::Synthetic {
            let real = self.tries.iter().filter(|(_, kind)| *kind == Kind::Real).copied().collect();
            figure["real"] = Tally { tries: real }.plain().unwrap_or(Value::Null);
        }
        figure
    }

    fn plain(&self) -> Option<Value> {
        let value = self.value()?;
        let [low, high] = wilson(self.sum(), count(self.n()));
        Some(json!({
            "value": value, "n": self.n(), "low": low, "high": high, "kind": self.kind().as_str(),
        }))
    }

    fn sum(&self) -> f64 {
        self.tries.iter().map(|(share, _)| share).sum()
    }

    /// Real only if everybody was.
    fn kind(&self) -> Kind {
        self.tries.iter().map(|(_, kind)| *kind).min().unwrap_or(Kind::Synthetic)
    }
}

/// Events in so many hours, with the exact interval of a Poisson rate; of none, the upper bound is about 3 / hours.
#[must_use]
pub(super) fn rate(events: u32, hours: f64, kind: Kind) -> Value {
    if hours <= 0.0 {
        return Value::Null;
    }
    let expected = |wanted: f64, seen: u32| solve(|mean| poisson_at_most(seen, mean), wanted);
    let low = events.checked_sub(1).map_or(0.0, |fewer| expected(0.975, fewer));
    // Of no event only one side is open, so all of the 5 % are on it.
    let high = expected(if events == 0 { 0.05 } else { 0.025 }, events);
    json!({
        "value": f64::from(events) / hours, "n": hours, "unit": "hours", "events": events,
        "low": low / hours, "high": high / hours, "kind": kind.as_str(),
    })
}

/// The chance of at most `events` where `mean` are expected.
fn poisson_at_most(events: u32, mean: f64) -> f64 {
    let (mut term, mut sum) = ((-mean).exp(), 0.0);
    for k in 0..=events {
        sum += term;
        term *= mean / f64::from(k + 1);
    }
    sum
}

/// Where a falling function passes `wanted`.
fn solve(falling: impl Fn(f64) -> f64, wanted: f64) -> f64 {
    let (mut low, mut high) = (0.0, 700.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if falling(middle) > wanted { low = middle } else { high = middle }
    }
    low
}

/// The value at this share of the sorted values, nearest rank.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among some thousand values"
)]
#[must_use]
pub(super) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (count(sorted.len()) * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// A number of tries.
#[allow(clippy::cast_precision_loss, reason = "some thousand")]
#[must_use]
pub(super) const fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.0006, "{found} is not {expected}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Newcombe (1998), table I, method 3.
        for (hits, n, low, high) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let [found_low, found_high] = wilson(hits, n);
            near(found_low, low);
            near(found_high, high);
        }
        assert_eq!(wilson(0.0, 0.0), [0.0, 1.0]);
    }

    #[test]
    fn a_figure_of_some_real_people_names_the_weaker_word_and_tells_the_real_ones_apart() {
        let mut tally = Tally::default();
        assert_eq!((tally.figure(), tally.value()), (Value::Null, None));
        tally.add(1.0, Kind::Real);
        assert_eq!((tally.figure()["kind"].as_str(), tally.figure().get("real")), (Some("real"), None));
        tally.add(0.0, Kind::Synthetic);
        let figure = tally.figure();
        assert_eq!(
            (&figure["value"], &figure["n"], &figure["kind"]),
            (&json!(0.5), &json!(2), &json!("synthetic"))
        );
        assert_eq!((&figure["real"]["value"], &figure["real"]["n"]), (&json!(1.0), &json!(1)));
    }

    #[test]
    fn no_event_leaves_the_rule_of_three_and_one_has_its_exact_bounds() {
        let none = rate(0, 2.0, Kind::Real);
        near(none["high"].as_f64().unwrap(), 2.9957 / 2.0);
        let one = rate(1, 1.0, Kind::Real);
        near(one["low"].as_f64().unwrap(), 0.0253);
        near(one["high"].as_f64().unwrap(), 5.5716);
        assert_eq!(rate(1, 0.0, Kind::Real), Value::Null);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.95)), (Some(50.0), Some(95.0)));
        assert_eq!((percentile(&[7.0], 0.95), percentile(&[], 0.5)), (Some(7.0), None));
    }
}
