//! What a scenario found.

use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    pub detail: String,
}

/// One JSON object of `sudare-stack`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub scenario: String,
    pub ok: bool,
    /// Why nothing was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Why it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub checks: Vec<Check>,
    /// Numbers of the run, by a name that ends with the unit.
    pub figures: serde_json::Map<String, serde_json::Value>,
    pub pictures: Vec<PathBuf>,
    pub took_ms: u64,
}

impl Report {
    pub fn new(scenario: &str) -> Self {
        Report { scenario: scenario.to_owned(), ok: true, ..Report::default() }
    }

    pub fn check(&mut self, name: &str, ok: bool, detail: impl std::fmt::Display) {
        self.ok &= ok;
        // Anyone watching sees it grow; the whole report is printed at the end.
        tracing::info!("{} {name}", if ok { "ok    " } else { "FAILED" });
        self.checks.push(Check { name: name.to_owned(), ok, detail: detail.to_string() });
    }

    pub fn figure(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// Closes the report with how the scenario ended.
    pub fn finish(mut self, started: Instant, ended: anyhow::Result<()>) -> Self {
        if let Err(error) = ended {
            self.ok = false;
            self.error = Some(format!("{error:#}"));
        }
        // A scenario that looked at nothing proves nothing.
        self.ok &= !self.checks.is_empty();
        self.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_or_none_at_all_is_a_failure() {
        let mut report = Report::new("x");
        report.check("one", true, "");
        assert!(report.clone().finish(Instant::now(), Ok(())).ok);
        assert!(!report.clone().finish(Instant::now(), Err(anyhow::anyhow!("broken"))).ok);
        report.check("two", false, 3);
        assert!(!report.finish(Instant::now(), Ok(())).ok);
        assert!(!Report::new("y").finish(Instant::now(), Ok(())).ok);
    }
}
