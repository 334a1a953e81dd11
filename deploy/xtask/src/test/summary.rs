//! Reads what cargo test prints at the end of each test binary.

/// The sum over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// How many binaries reported.
    pub(super) binaries: u64,
}

impl Summary {
    /// Takes one line of cargo test's stdout; all but the summaries are passed over.
    pub(super) fn line(&mut self, line: &str) {
        if let Some((passed, failed)) = counts(line) {
            self.passed = self.passed.saturating_add(passed);
            self.failed = self.failed.saturating_add(failed);
            self.binaries += 1;
        }
    }
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; …`
fn counts(line: &str) -> Option<(u64, u64)> {
    // A test that prints without a newline stands before the summary on the same line.
    let (_, counts) = line.split_once("test result: ")?;
    let (_verdict, counts) = counts.split_once(". ")?;
    let mut fields = counts.split("; ");
    let passed = fields.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = fields.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some((passed, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_binaries_are_summed() {
        let mut summary = Summary::default();
        for line in [
            "running 2 tests\n",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 1 filtered out; finished in 1.2s\n",
        ] {
            summary.line(line);
        }
        assert_eq!(summary, Summary { passed: 7, failed: 2, binaries: 2 });
    }

    #[test]
    fn other_words_are_not_counted() {
        let mut summary = Summary::default();
        for line in ["test result: ok", "3 passed; 0 failed", "test result: ok. many passed; 0 failed", ""] {
            summary.line(line);
        }
        assert_eq!(summary, Summary::default());
    }
}
