//! `index.html`: the table and the drawings of a run, in one file beside the sheet of errors.

use serde_json::Value;

use super::outcome::{Outcome, metres};
use super::plots::{Bar, bars, escaped, histogram, lines};
use super::report::{ROWS, Report, verdict};
use super::scene::Class;
use super::worst::Wrong;

const STYLE: &str = "body{font-family:sans-serif;max-width:72em;margin:2em auto;color:#222}\
table{border-collapse:collapse}td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:left}\
.missed{color:#a00;font-weight:bold}svg{max-width:100%}img{max-width:100%}";
/// Of the histogram.
const DELAY_STEP_MS: f64 = 100.0;

/// Writes the page.
#[must_use]
pub(super) fn page(report: &Report, outcome: &Outcome<'_>, wrong: &[Wrong]) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Accuracy</title><style>{STYLE}</style>\
         <h1>Accuracy</h1><p>How each figure is obtained, on whom, and what it does not say: docs/accuracy.md.</p>"
    );
    html += &table(report);
    for (heading, drawing) in [
        ("Who opens, and who is kept out, by threshold", identity(report)),
        ("Onlookers noticed, by distance", recall(report)),
        ("From the whole face in view to the cover", delays(outcome)),
        ("Locked out in vain", lockout(report)),
    ] {
        let drawing = drawing.unwrap_or_else(|| "<p>Not measured in this run.</p>".to_owned());
        html += &format!("<h2>{heading}</h2>{drawing}");
    }
    html += "<h2>The worst errors</h2><p>White: somebody else, or a phone. Green, red, orange: whom the eyes took for the \
             operator, a stranger, undecided.</p><img src=\"errors.png\" alt=\"the worst errors\"><ol>";
    for error in wrong {
        html += &format!("<li>{}</li>", escaped(&error.captions.join(". ")));
    }
    html + "</ol></html>\n"
}

fn table(report: &Report) -> String {
    let mut html =
        "<table><tr><th>figure</th><th>value</th><th>95 %</th><th>n</th><th>needed</th></tr>".to_owned();
    for (key, name, needed) in ROWS {
        let found = report.find(key);
        let value = found.and_then(|found| found.as_f64().or_else(|| found.get("value")?.as_f64()));
        let part = |key: &str| found.and_then(|found| found.get(key)).and_then(Value::as_f64);
        let interval = part("low").zip(part("high")).map(|(low, high)| format!("{low:.3} to {high:.3}"));
        let shown = value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.3}"));
        let judged = found.zip(value).and_then(|(found, value)| verdict(found, value, needed));
        let (class, needed) = match judged {
            Some((needed, "MISSED")) => ("missed", format!("{needed} MISSED")),
            Some((needed, end)) => ("", format!("{needed} {end}")),
            None => ("", String::new()),
        };
        html += &format!(
            "<tr class=\"{class}\"><td title=\"{key}\">{}</td><td>{shown}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            interval.unwrap_or_default(),
            part("n").map(|n| format!("{n:.2}").trim_end_matches(".00").to_owned()).unwrap_or_default(),
            escaped(&needed)
        );
    }
    html + "</table>"
}

fn identity(report: &Report) -> Option<String> {
    let points = report.find("identity.curve")?.as_array()?;
    let line = |key: &str| -> Vec<[f64; 2]> {
        points.iter().filter_map(|point| Some([point["threshold"].as_f64()?, point[key].as_f64()?])).collect()
    };
    let all = [("others who open (FMR)", line("fmr")), ("operators kept out (FNMR)", line("fnmr"))];
    Some(lines("mean of four looks in a row, all conditions", "share", [0.2, 0.8], &all))
}

fn recall(report: &Report) -> Option<String> {
    let mut all: Vec<Bar> = Vec::new();
    for (key, name) in [
        ("onlooker_recall_2m.by_metres", ""),
        ("onlooker_recall_3m.by_metres", ""),
        ("onlooker_recall_masked_2m.by_metres", ", masked"),
    ] {
        for (metres, figure) in report.find(key).and_then(Value::as_object).into_iter().flatten() {
            all.push((format!("{metres} m{name}"), figure["value"].as_f64()?, interval(figure)));
        }
    }
    (!all.is_empty()).then(|| bars("share", 1.0, &all))
}

fn delays(outcome: &Outcome<'_>) -> Option<String> {
    let noticed = outcome.played.iter().filter(|played| !metres(played).is_empty());
    let delays: Vec<f64> = noticed
        .filter_map(|played| played.noticed?.delay_ms)
        .map(|ms| u32::try_from(ms).map_or(f64::INFINITY, f64::from))
        .collect();
    (!delays.is_empty()).then(|| histogram("number of onlookers, by delay in ms", DELAY_STEP_MS, &delays))
}

fn lockout(report: &Report) -> Option<String> {
    let mut all: Vec<Bar> = Vec::new();
    for class in [Class::Alone, Class::Street, Class::SeatedBehind, Class::Poster] {
        let key = format!("lockout_share.{}", class.as_str());
        for (figure, name) in [(report.find(&key), ""), (report.find(&format!("{key}.plain")), " (plain)")] {
            let Some(figure) = figure.filter(|figure| !figure.is_null()) else { continue };
            all.push((format!("{}{name}", class.as_str()), figure["value"].as_f64()?, interval(figure)));
        }
    }
    (!all.is_empty()).then(|| bars("share of the time", 1.0, &all))
}

fn interval(figure: &Value) -> Option<[f64; 2]> {
    Some([figure["low"].as_f64()?, figure["high"].as_f64()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_without_measurements_is_whole_and_one_with_them_has_drawings() {
        let mut report = Report::default();
        report.complete("nothing was measured");
        let outcome = Outcome { people: &[], played: &[] };
        let empty = page(&report, &outcome, &[]);
        assert!(empty.ends_with("</html>\n") && empty.matches("Not measured in this run").count() == 4);
        report.keep("identity", json!({ "curve": [{ "threshold": 0.5, "fmr": 0.0, "fnmr": 0.1 }] }));
        report.keep("lockout_share.alone", json!({ "value": 0.5, "low": 0.1, "high": 0.9, "n": 3 }));
        let drawn = page(&report, &outcome, &[]);
        assert_eq!(drawn.matches("<svg").count(), 2);
        assert!(drawn.contains("&lt;= 0.01 MISSED"), "{drawn}");
    }
}
