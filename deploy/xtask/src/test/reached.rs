//! What a run of a fuzz target reached, in libFuzzer's own words, as a table for people.
//!
//! `cov` counts edges of the program that were run, `ft` features: edges, with how often they were run. A target that
//! stops at a signature has few of both, however often it is run.

use std::fmt::Write as _;

use anyhow::{Context, Result};

/// Of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    name: String,
    /// With the seeds, and what earlier runs have found.
    begun: Coverage,
    ended: Coverage,
    pub(super) executions: u64,
    per_second: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Coverage {
    edges: u64,
    features: u64,
}

impl Reached {
    /// From the words of a run with `-print_final_stats=1`.
    ///
    /// # Errors
    /// They do not tell: a run that reached nothing must not look like one that did.
    pub(super) fn read(name: &str, words: &str) -> Result<Self> {
        let untold = || format!("{name} does not tell what it reached. Look at its output for the cause");
        let told: Vec<&str> = words.lines().filter(|line| line.contains(" cov: ")).collect();
        let begun = told.iter().find(|line| line.contains("INITED")).or(told.first());
        Ok(Reached {
            name: name.to_owned(),
            begun: begun.and_then(|line| Coverage::read(line)).with_context(untold)?,
            ended: told.last().and_then(|line| Coverage::read(line)).with_context(untold)?,
            executions: number_after(words, "stat::number_of_executed_units:").with_context(untold)?,
            per_second: number_after(words, "stat::average_exec_per_sec:").with_context(untold)?,
        })
    }
}

impl Coverage {
    fn read(line: &str) -> Option<Self> {
        Some(Coverage { edges: number_after(line, " cov:")?, features: number_after(line, " ft:")? })
    }
}

fn number_after(words: &str, mark: &str) -> Option<u64> {
    words.split_once(mark)?.1.split_whitespace().next()?.parse().ok()
}

/// A line for each target.
pub(super) fn table(all: &[Reached], seconds: u32) -> String {
    let mut text = format!(
        "{:<24} {:>11} {:>9} {:>12} {:>10} {:>15} {:>13}\n",
        "target", "executions", "a second", "edges: seeds", "edges: end", "features: seeds", "features: end"
    );
    for one in all {
        let Reached { name, begun, ended, executions, per_second } = one;
        let _written = writeln!(
            text,
            "{name:<24} {executions:>11} {per_second:>9} {:>12} {:>10} {:>15} {:>13}",
            begun.edges, ended.edges, begun.features, ended.features
        );
    }
    let _written = writeln!(text, "\n{} targets, {seconds} s each", all.len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "INFO: seed corpus: files: 3\n#2\tINITED cov: 120 ft: 130 corp: 2/9b exec/s: 0 rss: 40Mb\n\
        #9\tNEW    cov: 125 ft: 140 corp: 3/9b lim: 4 exec/s: 0\n\
        #700\tDONE   cov: 131 ft: 150 corp: 4/12b lim: 4 exec/s: 70 rss: 44Mb\n\
        stat::number_of_executed_units: 700\nstat::average_exec_per_sec:     70\n";

    #[test]
    fn what_the_seeds_reach_and_what_the_end_does_are_told_apart() {
        let read = Reached::read("protocol/cose", WORDS).expect("it tells");
        assert_eq!((read.begun.edges, read.ended.edges), (120, 131));
        assert_eq!((read.begun.features, read.ended.features), (130, 150));
        assert_eq!((read.executions, read.per_second), (700, 70));
        let text = table(&[read], 10);
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("protocol/cose")), "{text}");
        assert!(text.contains("1 targets, 10 s each"), "{text}");
    }

    #[test]
    fn a_run_that_tells_nothing_is_no_success() {
        assert!(Reached::read("cose", "").is_err());
        assert!(Reached::read("cose", WORDS.split("stat::").next().unwrap_or_default()).is_err());
    }
}
