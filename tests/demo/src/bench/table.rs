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
    told: Vec<String>,
}

impl Table {
    /// One row; `None`, or no number, says that it could not be measured here.
    pub fn row(&mut self, name: &str, value: Option<f64>, unit: &str, needed: Needed) {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            self.not_measured.push(format!("NOT MEASURED: {name}"));
            return;
        };
        let (needed, end) = match needed {
            Needed::AtMost(most) => (format!("needed <= {most}: "), holds(value <= most)),
            Needed::AtLeast(least) => (format!("needed >= {least}: "), holds(value >= least)),
            Needed::Nothing => (String::new(), ""),
        };
        self.rows.push(format!("{name:<38} {value:>10.2} {unit:<4} {needed}{end}").trim_end().to_owned());
    }

    /// One key of `bench.json`.
    pub fn keep(&mut self, key: &str, value: impl Into<Value>) {
        self.figures.insert(key.to_owned(), value.into());
    }

    /// These keys are null, and why.
    pub fn leave_out(&mut self, keys: &[&str], why: &str) {
        // A part of a key, like `a.b`, is left out of the object `a`.
        keys.iter().filter(|key| !key.contains('.')).for_each(|key| self.keep(key, Value::Null));
        self.not_measured.push(format!("NOT MEASURED: {}: {why}", keys.join(", ")));
    }

    /// A line for people only.
    pub fn tell(&mut self, line: String) {
        self.told.push(line);
    }

    /// A part that broke off: what it would still have measured is missing.
    pub fn broke_off(&mut self, part: &str, why: &str) {
        self.not_measured.push(format!("NOT MEASURED: the rest of the part {part}: {why}"));
    }

    /// What is missing, each in a line.
    pub fn missing(&self) -> &[String] {
        &self.not_measured
    }

    /// All rows, then what is missing.
    pub fn lines(&self) -> impl Iterator<Item = &String> {
        self.rows.iter().chain(&self.told).chain(&self.not_measured)
    }

    pub fn figures(&self) -> &Map<String, Value> {
        &self.figures
    }

    /// Puts the part's figures into those of an earlier run: of the same part nothing is kept, of others everything.
    pub fn merge_into(&self, earlier: &mut Map<String, Value>, part: &str, took_s: f64) {
        let parts = earlier.entry("parts").or_insert_with(|| json!({}));
        let old = parts[part]["keys"].as_array().cloned().unwrap_or_default();
        let keys: Vec<&String> = self.figures.keys().collect();
        parts[part] = json!({ "took_s": took_s, "missing": self.not_measured, "keys": keys });
        for key in old.iter().filter_map(Value::as_str) {
            earlier.remove(key);
        }
        earlier.extend(self.figures.clone());
    }
}

fn holds(holds: bool) -> &'static str {
    if holds { "ok" } else { "MISSED" }
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
            (Some(1.0), Needed::Nothing),
        ] {
            table.row("x", value, "ms", needed);
        }
        let ends: Vec<&str> = table.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["ok", "MISSED", "MISSED", "ms"]);
        assert!(table.missing().is_empty());
        table.leave_out(&["a", "b"], "no root");
        assert_eq!((&table.figures()["a"], &table.figures()["b"]), (&Value::Null, &Value::Null));
        assert!(table.lines().last().unwrap().contains("a, b: no root"));
        table.broke_off("seat", "no camera");
        table.row("x", None, "ms", Needed::Nothing);
        // Of no rounds at all.
        table.row("x", Some(f64::NAN), "ms", Needed::AtMost(5.0));
        table.row("x", Some(f64::INFINITY), "", Needed::AtLeast(200.0));
        assert_eq!(table.missing().len(), 5);
    }

    #[test]
    fn one_part_measured_again_keeps_the_keys_of_the_others() {
        let table = |key: &str, value: u32| {
            let mut table = Table::default();
            table.keep(key, value);
            table
        };
        let mut all = Map::new();
        table("a", 1).merge_into(&mut all, "seat", 1.0);
        table("b", 2).merge_into(&mut all, "build", 2.0);
        table("c", 3).merge_into(&mut all, "seat", 3.0);
        assert_eq!((all.get("a"), &all["b"], &all["c"]), (None, &json!(2), &json!(3)));
        assert_eq!(all["parts"]["seat"]["took_s"], 3.0);
        assert_eq!(all["parts"]["build"]["keys"], json!(["b"]));
    }
}
