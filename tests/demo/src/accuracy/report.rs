//! `accuracy.json` and the table: stable keys, what each needs, and what was not measured.

use serde_json::{Map, Value, json};

use crate::bench::Needed;

/// A key of the file, what people call it, and what it must be. A dot leads into an object.
pub(super) type Row = (&'static str, &'static str, Needed);

/// In the order of the table.
pub(super) const ROWS: [Row; 44] = [
    ("onlooker_recall_2m", "onlookers within 2 m noticed", Needed::AtLeast(0.98)),
    ("onlooker_recall_2m.delay_ms_yaw_below_30.p50", "  delay, p50, ms", Needed::Nothing),
    ("onlooker_recall_2m.delay_ms_yaw_below_30.p95", "  delay, p95, ms", Needed::AtMost(1_200.0)),
    ("onlooker_recall_masked_2m", "the same with masks", Needed::AtLeast(0.95)),
    ("onlooker_recall_masked_2m.delay_ms.p95", "  delay, p95, ms", Needed::Nothing),
    ("onlooker_recall_3m", "onlookers at 3 m noticed", Needed::AtLeast(0.85)),
    ("onlooker_recall_3m.delay_ms.p95", "  delay, p95, ms", Needed::Nothing),
    ("lockout_share.alone", "locked out, alone", Needed::AtMost(0.01)),
    ("lockout_share.habits", "locked out, habits", Needed::AtMost(0.02)),
    ("lockout_share.street", "locked out, a street behind", Needed::AtMost(0.2)),
    ("lockout_share.seated_behind", "locked out, people seated behind", Needed::AtMost(0.2)),
    ("lockout_share.poster", "locked out, a poster", Needed::AtMost(0.1)),
    ("lockout_share.tv", "locked out, a television", Needed::AtMost(0.2)),
    ("false_covers_per_hour.home", "false covers an hour, at home", Needed::AtMost(0.125)),
    ("false_covers_per_hour.cafe", "false covers an hour, in a café", Needed::AtMost(1.0)),
    ("stranger_opens", "strangers who open within 20 s", Needed::AtMost(0.0)),
    ("lookalike_opens", "look-alikes who do", Needed::AtMost(0.01)),
    ("fnmr_at_open", "operators who are not let in", Needed::AtMost(0.02)),
    ("fnmr_at_open.opening_ms_p50", "  opening, p50, ms", Needed::Nothing),
    ("fnmr_at_open.opening_ms_p95", "  opening, p95, ms", Needed::AtMost(3_000.0)),
    ("operator_called_stranger", "operators called strangers", Needed::AtMost(0.0)),
    ("identity.by_point.strict.fmr", "strict: strangers who open", Needed::Nothing),
    ("identity.by_point.strict.fnmr", "strict: operators not let in", Needed::Nothing),
    ("identity.by_point.lenient.fmr", "lenient: strangers who open", Needed::Nothing),
    ("identity.by_point.lenient.fnmr", "lenient: operators not let in", Needed::Nothing),
    ("spoof_visible_s_max.print", "a print keeps it open, s", Needed::AtMost(3.0)),
    ("spoof_visible_s_max.replay", "a film keeps it open, s", Needed::AtMost(3.0)),
    ("spoof_visible_s_max.print_without_light", "  without light", Needed::Nothing),
    ("spoof_visible_s_max.replay_without_light", "  a film without light, s", Needed::Nothing),
    ("active_light.bpcer", "light: real people refused", Needed::AtMost(0.05)),
    ("active_light.apcer_print", "light: prints let in", Needed::AtMost(0.05)),
    ("active_light.apcer_replay", "light: films let in", Needed::AtMost(0.05)),
    ("active_light.shut_out", "light: not let in within 30 s", Needed::Nothing),
    ("active_light.shut_out.opening_s.p95", "  opening, p95, s", Needed::Nothing),
    ("lens_detected_1s", "a covered lens noticed in 1 s", Needed::AtLeast(0.95)),
    ("phone_recall_2s", "a phone noticed in 2 s", Needed::AtLeast(0.8)),
    ("phone_recall_2s.delay_ms.p95", "  delay, p95, ms", Needed::Nothing),
    ("phone_hidden_face_reopens", "reopens behind a phone", Needed::AtMost(0.0)),
    ("onlooker_recall_2m.plain", "plain rule: within 2 m noticed", Needed::Nothing),
    ("lockout_share.alone.plain", "plain rule: locked out, alone", Needed::Nothing),
    ("lockout_share.street.plain", "plain rule: a street behind", Needed::Nothing),
    ("lockout_share.seated_behind.plain", "plain rule: people seated behind", Needed::Nothing),
    ("lockout_share.poster.plain", "plain rule: a poster", Needed::Nothing),
    ("lockout_share.tv.plain", "plain rule: a television", Needed::Nothing),
];

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Report {
    figures: Map<String, Value>,
    /// What this machine cannot measure, and why.
    lacking: Vec<(&'static str, String)>,
}

impl Report {
    /// Keeps a value under a key with at most one dot.
    pub(super) fn keep(&mut self, key: &str, value: Value) {
        match key.split_once('.') {
            None => drop(self.figures.insert(key.to_owned(), value)),
            Some((outer, inner)) => {
                let outer = self.figures.entry(outer).or_insert_with(|| json!({}));
                if let Some(object) = outer.as_object_mut() {
                    object.insert(inner.to_owned(), value);
                }
            }
        }
    }

    /// Has a figure that stays null say why, where the reason is this machine.
    pub(super) fn lacks(&mut self, key: &'static str, why: &str) {
        self.lacking.push((key, why.to_owned()));
    }

    /// Every key is there in the end: null and a reason, where nothing was measured.
    pub(super) fn complete(&mut self, left_out: &str) {
        let mut reasons = Map::new();
        for (key, _, _) in ROWS.iter().filter(|(key, ..)| is_figure(key)) {
            if self.find(key).is_none_or(Value::is_null) {
                let lacking = self.lacking.iter().find(|(name, _)| name == key).map(|(_, why)| why.as_str());
                let reason = lacking.unwrap_or(left_out);
                reasons.insert((*key).to_owned(), json!(reason));
                self.keep(key, Value::Null);
            }
        }
        self.keep("not_measured", Value::Object(reasons));
    }

    #[must_use]
    pub(super) fn figures(&self) -> &Map<String, Value> {
        &self.figures
    }

    /// The table, then what is missing.
    #[must_use]
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = ROWS.iter().filter_map(|row| self.line(row)).collect();
        let missing = self.figures.get("not_measured").and_then(Value::as_object);
        for (key, why) in missing.into_iter().flatten() {
            lines.push(format!("NOT MEASURED: {key}: {}", why.as_str().unwrap_or_default()));
        }
        lines
    }

    /// One row: value, interval, number of tries, what is needed.
    fn line(&self, (key, name, needed): &Row) -> Option<String> {
        let found = self.find(key)?;
        let value = found.as_f64().or_else(|| found.get("value")?.as_f64())?;
        let number = |key: &str| found.get(key).and_then(Value::as_f64);
        let interval = match (number("low"), number("high"), number("n")) {
            (Some(low), Some(high), Some(n)) => {
                let unit = if found.get("unit").is_some() { " h" } else { "" };
                format!("{low:.3} to {high:.3}, n = {}{unit}", (n * 100.0).round() / 100.0)
            }
            _ => String::new(),
        };
        let shown = if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") };
        let end = verdict(found, value, *needed)
            .map_or_else(String::new, |(needed, end)| format!("needed {needed}: {end}"));
        Some(format!("{name:<34} {shown:>8}  {interval:<29} {end}").trim_end().to_owned())
    }

    /// What a key with dots names.
    #[must_use]
    pub(super) fn find(&self, key: &str) -> Option<&Value> {
        let (first, rest) = key.split_once('.').unwrap_or((key, ""));
        let inner = rest.split('.').filter(|part| !part.is_empty());
        inner.fold(self.figures.get(first), |value, part| value?.get(part))
    }
}

/// What is needed in words, and whether it holds: `ok`, `MISSED`, or `ok, unproven` where the interval of so few tries
/// reaches beyond it. That nothing at all may happen is never proven, and is judged by the value.
#[must_use]
pub(super) fn verdict(figure: &Value, value: f64, needed: Needed) -> Option<(String, &'static str)> {
    let bound = |key: &str| figure.get(key).and_then(Value::as_f64);
    let end = |holds: bool, proven: bool| match (holds, proven) {
        (false, _) => "MISSED",
        (true, false) => "ok, unproven",
        (true, true) => "ok",
    };
    match needed {
        Needed::AtMost(most) => {
            let proven = most == 0.0 || bound("high").is_none_or(|high| high <= most);
            Some((format!("<= {most}"), end(value <= most, proven)))
        }
        Needed::AtLeast(least) => {
            let proven = bound("low").is_none_or(|low| low >= least);
            Some((format!(">= {least}"), end(value >= least, proven)))
        }
        Needed::Nothing => None,
    }
}

/// Not a part of one.
fn is_figure(key: &str) -> bool {
    !["delay", "plain", "opening", "by_point"].iter().any(|part| key.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of the issue.
    const KEYS: [&str; 25] = [
        "onlooker_recall_2m",
        "onlooker_recall_masked_2m",
        "onlooker_recall_3m",
        "lockout_share.alone",
        "lockout_share.habits",
        "lockout_share.street",
        "lockout_share.seated_behind",
        "lockout_share.poster",
        "lockout_share.tv",
        "false_covers_per_hour.home",
        "false_covers_per_hour.cafe",
        "stranger_opens",
        "lookalike_opens",
        "fnmr_at_open",
        "spoof_visible_s_max.print",
        "spoof_visible_s_max.replay",
        "active_light.bpcer",
        "active_light.apcer_print",
        "active_light.apcer_replay",
        "lens_detected_1s",
        "phone_recall_2s",
        "phone_hidden_face_reopens",
        "operator_called_stranger",
        "not_measured",
        "not_measured.phone_recall_2s",
    ];

    fn find<'a>(report: &'a Report, key: &str) -> Option<&'a Value> {
        if let Some(name) = key.strip_prefix("not_measured.") {
            return report.figures().get("not_measured")?.get(name);
        }
        report.find(key)
    }

    #[test]
    fn every_key_is_there_and_what_is_null_has_its_reason() {
        let mut report = Report::default();
        report.keep(
            "stranger_opens",
            json!({ "value": 0.0, "n": 500, "low": 0.0, "high": 0.0076, "kind": "real" }),
        );
        report.lacks("phone_recall_2s", "phone-detector is not installed");
        report.complete("left out by --only");
        for key in KEYS {
            let value = find(&report, key).unwrap_or_else(|| panic!("no {key}"));
            let reason = report.figures()["not_measured"].get(key);
            assert_eq!(value.is_null(), reason.is_some(), "{key}");
        }
        assert_eq!(report.figures()["not_measured"]["lookalike_opens"], "left out by --only");
        assert_eq!(report.figures()["not_measured"]["phone_recall_2s"], "phone-detector is not installed");
    }

    #[test]
    fn a_row_says_how_sure_it_is_and_what_was_needed() {
        let mut report = Report::default();
        let figure = |value: f64| json!({ "value": value, "n": 240, "low": 0.95, "high": 0.99, "delay_ms_yaw_below_30": { "p95": 1_300.0 } });
        report.keep("onlooker_recall_2m", figure(0.97));
        let lines = report.lines();
        assert!(lines[0].contains("0.970") && lines[0].contains("0.950 to 0.990, n = 240"), "{lines:?}");
        assert!(lines[0].ends_with("needed >= 0.98: MISSED"), "{lines:?}");
        assert!(lines[1].contains("1300") && lines[1].ends_with("needed <= 1200: MISSED"), "{lines:?}");
        report.keep("onlooker_recall_2m", figure(0.98));
        assert!(report.lines()[0].ends_with("ok, unproven"));
        report.keep("lockout_share.street", json!({ "value": 0.1, "n": 400, "low": 0.07, "high": 0.13 }));
        assert!(report.lines().iter().any(|line| line.ends_with("needed <= 0.2: ok")));
    }
}
