//! The list of steps done: what each gave, how long it took, and whether all went well.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::report;

/// How a step ended.
pub(crate) enum Outcome {
    /// With a note of a few words, which may be empty.
    Passed(String),
    Failed(String),
    Skipped(String),
}

/// One line of the table at the end.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
}

/// What was done so far.
#[derive(Default)]
pub(crate) struct Steps {
    rows: Vec<Row>,
}

impl Steps {
    /// Does one step. `None` says that it failed; the reason is printed and kept.
    ///
    /// `action` returns its result and a note of a few words for the reader.
    pub(crate) fn run<T>(
        &mut self,
        name: &'static str,
        why: &str,
        action: impl FnOnce() -> Result<(T, String)>,
    ) -> Option<T> {
        report::step(name, why);
        let start = Instant::now();
        let (value, outcome) = match action() {
            Ok((value, note)) => (Some(value), Outcome::Passed(note)),
            Err(error) => (None, Outcome::Failed(format!("{error:#}"))),
        };
        let took = start.elapsed();
        report::outcome(&outcome, took);
        self.rows.push(Row { name, took, outcome });
        value
    }

    /// Writes down a step that cannot be done because an earlier one failed.
    pub(crate) fn skip(&mut self, name: &'static str, reason: &str) {
        self.rows.push(Row { name, took: Duration::ZERO, outcome: Outcome::Skipped(reason.to_owned()) });
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The names of the steps that failed.
    pub(crate) fn failed(&self) -> Vec<&'static str> {
        let failed = self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed(_)));
        failed.map(|row| row.name).collect()
    }

    /// Ends with an error when a step failed, for commands that cannot go on without.
    pub(crate) fn require_all(&self) -> Result<()> {
        let failed = self.failed();
        if !failed.is_empty() {
            bail!("the set-up is incomplete ({}). See the reason above", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_remembered_and_a_skipped_one_is_no_success() {
        let mut steps = Steps::default();
        assert_eq!(steps.run("one", "works", || Ok((1, String::new()))), Some(1));
        assert_eq!(steps.run::<()>("two", "breaks", || bail!("no network")), None);
        steps.skip("three", "two failed");
        assert_eq!(steps.failed(), ["two"]);
        assert_eq!(steps.rows().len(), 3);
        let error = steps.require_all().expect_err("step two failed").to_string();
        assert!(error.contains("two") && !error.contains("three"), "{error}");
    }
}
