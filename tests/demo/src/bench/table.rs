//! What was measured: rows for people, keys for programs, and what could not be measured.

use serde_json::{Map, Value, json};

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Needed {
    AtMost(f64),
    AtLeast(f64),
    /// Only told.
    Nothing,
}

/// The table, and `bench.json`.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<String>,
    figures: Map<String, Value>,
    not_measured: Vec<String>,
}

impl Table {
    /// One row; `None` says that it could not be measured here.
    pub fn row(&mut self, name: &str, value: Option<f64>, unit: &str, needed: Needed) {
        let (needed, holds) = match needed {
            Needed::AtMost(most) => (format!("needed <= {most}: "), value.is_some_and(|v| v <= most)),
            Needed::AtLeast(least) => (format!("needed >= {least}: "), value.is_some_and(|v| v >= least)),
            Needed::Nothing => (String::new(), true),
        };
        let end = match (value, needed.is_empty(), holds) {
            (None, ..) => "NOT MEASURED",
            (_, true, _) => "",
            (_, _, true) => "ok",
            (_, _, false) => "MISSED",
        };
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        self.rows.push(format!("{name:<38} {value:>10} {unit:<4} {needed}{end}").trim_end().to_owned());
    }

    /// One key of `bench.json`.
    pub fn keep(&mut self, key: &str, value: impl Into<Value>) {
        self.figures.insert(key.to_owned(), value.into());
    }

    /// These keys are null, and why.
    pub fn leave_out(&mut self, keys: &[&str], why: &str) {
        keys.iter().for_each(|key| self.keep(key, Value::Null));
        self.not_measured.push(format!("NOT MEASURED: {}: {why}", keys.join(", ")));
    }

    /// All rows, then what is missing.
    pub fn lines(&self) -> impl Iterator<Item = &String> {
        self.rows.iter().chain(&self.not_measured)
    }

    pub fn figures(&self) -> &Map<String, Value> {
        &self.figures
    }
}

/// Percentile of sorted values, nearest rank.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among some hundred values"
)]
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let rank = ((sorted.len() as f64) * p).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Milliseconds as {p50, p95, p99, max, n}.
pub fn summary(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    json!({
        "p50": percentile(&values, 0.5),
        "p95": percentile(&values, 0.95),
        "p99": percentile(&values, 0.99),
        "max": values.last(),
        "n": values.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.99)), (50.0, 99.0));
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn a_figure_that_is_missed_or_missing_is_never_ok() {
        let mut table = Table::default();
        for (value, needed) in [
            (Some(5.0), Needed::AtMost(5.0)),
            (Some(5.1), Needed::AtMost(5.0)),
            (Some(199.0), Needed::AtLeast(200.0)),
            (None, Needed::AtMost(5.0)),
            (Some(f64::NAN), Needed::AtMost(5.0)),
            (Some(1.0), Needed::Nothing),
        ] {
            table.row("x", value, "ms", needed);
        }
        let ends: Vec<&str> = table.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["ok", "MISSED", "MISSED", "MEASURED", "MISSED", "ms"]);
        table.leave_out(&["a", "b"], "no root");
        assert_eq!((&table.figures()["a"], &table.figures()["b"]), (&Value::Null, &Value::Null));
        assert!(table.lines().last().unwrap().contains("a, b: no root"));
    }
}
