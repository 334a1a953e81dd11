//! The only place that prints: progress on stderr, results on stdout.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output module of this program")]

use std::time::Duration;

use crate::steps::{Outcome, Row};

/// Says what a step does and why, before it starts.
pub(crate) fn step(name: &str, why: &str) {
    eprintln!("==> {name}: {why}");
}

/// Says how a step ended.
pub(crate) fn outcome(outcome: &Outcome, took: Duration) {
    eprintln!("    {}, {}", outcome_text(outcome), seconds(took));
}

/// Says something that a person should know while a step runs.
pub(crate) fn note(text: &str) {
    for line in text.lines() {
        eprintln!("    {line}");
    }
}

/// Prints why the program stops, with each cause.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("xtask: {error:#}");
}

/// Passes a line of a program on, with its end as it came.
pub(crate) fn pass(line: &str) {
    print!("{line}");
}

/// Prints a result.
pub(crate) fn result(line: &str) {
    println!("{line}");
}

/// Prints all steps with how they ended and how long they took. Of a long reason the first line
/// is enough: all of it stood where the step ended.
pub(crate) fn table(rows: &[Row]) {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    println!();
    for row in rows {
        println!(
            "{:width$}  {:>8}  {}",
            row.name,
            seconds(row.took),
            outcome_text(&row.outcome).lines().next().unwrap_or_default()
        );
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed(note) if note.is_empty() => "ok".to_owned(),
        Outcome::Passed(note) => format!("ok: {note}"),
        Outcome::Failed(reason) => format!("FAILED: {reason}"),
        Outcome::Skipped(reason) => format!("not run: {reason}"),
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
