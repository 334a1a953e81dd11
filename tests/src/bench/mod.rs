//! Figures beside the fastest peer, measured in one run on this machine.
//!
//! Each measures the real thing: the released programs, the RDP loopback, the peer's own code.

mod cpu;
mod crypto;
mod latency;
mod memory;
mod proxy;

use serde_json::{Value, json};

pub use cpu::{Cpu, measure as cpu};
pub use crypto::attest_sign_verify_us;
pub use latency::{Latency, measure as latency};
pub use memory::client_peak_mb;

/// One row of the table: what was measured, and what is needed.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// The most that is acceptable; `None` = only told.
    pub needed: Option<f64>,
}

impl Row {
    pub fn text(&self) -> String {
        let needed = match self.needed {
            Some(most) if self.value <= most => format!("needed <= {most}: ok"),
            Some(most) => format!("needed <= {most}: MISSED"),
            None => String::new(),
        };
        format!("{:<32} {:>10.2} {:<4} {needed}", self.name, self.value, self.unit)
    }
}

/// Percentile of sorted values, nearest rank.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among some hundred values"
)]
pub fn percentile(sorted: &[f64], p: f64) -> f64 {
    let rank = ((sorted.len() as f64) * p).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Milliseconds as {p50, p99, max, n}.
pub fn summary(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    json!({
        "p50": percentile(&values, 0.5),
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
}
