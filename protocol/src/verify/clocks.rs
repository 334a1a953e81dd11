//! The order of time within a boot and across boots.

use std::collections::BTreeSet;

use super::findings::{FindingKind, Findings};
use crate::evidence::{Entry, Id};
use crate::utc::utc_ms;

/// A calendar clock may be corrected by this much without a finding.
const CLOCK_CORRECTION_MS: u64 = 2_000;
/// Boots that are remembered: one a day for a century.
const BOOTS_MAX: usize = 36_525;

/// Where the host's clocks were.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    last: Option<(Id, u64, u64)>,
    earlier_boots: BTreeSet<Id>,
}

impl Clocks {
    pub(super) fn check(&mut self, index: u64, entry: &Entry, findings: &mut Findings) {
        if let Some((boot_id, boot_ms, wall_ms)) = self.last {
            if entry.boot_id == boot_id && entry.boot_ms < boot_ms {
                let detail = format!("clock since boot: {} ms after {boot_ms} ms", entry.boot_ms);
                findings.add(FindingKind::TimeOrder, Some(index), detail);
            }
            if entry.boot_id != boot_id && self.earlier_boots.len() < BOOTS_MAX {
                self.earlier_boots.insert(boot_id);
            }
            if entry.wall_ms.saturating_add(CLOCK_CORRECTION_MS) < wall_ms {
                let detail = format!("calendar clock: {} after {}", utc_ms(entry.wall_ms), utc_ms(wall_ms));
                findings.add(FindingKind::ClockSetBack, Some(index), detail);
            }
        }
        if self.earlier_boots.contains(&entry.boot_id) {
            findings.add(FindingKind::TimeOrder, Some(index), "an earlier boot of the host came again");
        }
        self.last = Some((entry.boot_id, entry.boot_ms, entry.wall_ms));
    }
}
