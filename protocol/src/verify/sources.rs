//! Reporting processes number their reports, so that the recorder cannot omit one unnoticed.

use std::collections::BTreeMap;

use super::findings::{FindingKind, Findings};
use crate::evidence::{Entry, Id};

/// Sources remembered in each of two generations; one is a process, mostly of one session.
const GENERATION_MAX: usize = 32_768;

/// The last number of each source.
#[derive(Debug, Default)]
pub(super) struct Sources {
    recent: BTreeMap<Id, u64>,
    /// Those that have not reported since `recent` began; forgotten when `recent` is full again.
    older: BTreeMap<Id, u64>,
}

impl Sources {
    pub(super) fn check(&mut self, index: u64, entry: &Entry, findings: &mut Findings) {
        let (source, serial) = match (entry.source, entry.serial) {
            (Some(source), Some(serial)) => (source, serial),
            (None, None) => return,
            _ => return findings.add(FindingKind::EntryDamaged, Some(index), "a source without a number"),
        };
        match self.replace(source, serial) {
            None if serial != 1 => {
                let detail = format!("the first report of its source has number {serial}");
                findings.add(FindingKind::SourceStart, Some(index), detail);
            }
            Some(last) if last.checked_add(1) != Some(serial) => {
                let detail = format!("number {serial} of its source comes after {last}");
                findings.add(FindingKind::SourceOrder, Some(index), detail);
            }
            _ => {}
        }
    }

    /// The number before, if the source is known.
    fn replace(&mut self, source: Id, serial: u64) -> Option<u64> {
        if self.recent.len() >= GENERATION_MAX && !self.recent.contains_key(&source) {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(source, serial).or_else(|| self.older.remove(&source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Event;
    use crate::evidence::event::Uncover;
    use crate::verify::testing;

    fn entry(source: Option<Id>, serial: Option<u64>) -> Entry {
        Entry { source, serial, ..testing::entry(&Event::Uncover(Uncover { boot_ms: 0 })) }
    }

    /// Names of the findings about reports of (source, serial).
    fn check(reports: &[(u8, u64)]) -> Vec<&'static str> {
        let (mut sources, mut findings) = (Sources::default(), Findings::default());
        for (source, serial) in reports {
            sources.check(0, &entry(Some([*source; 16]), Some(*serial)), &mut findings);
        }
        findings.list().iter().map(|finding| finding.kind.as_str()).collect()
    }

    #[test]
    fn each_source_counts_for_itself() {
        assert!(check(&[(1, 1), (2, 1), (1, 2), (2, 2), (1, 3)]).is_empty());
    }

    #[test]
    fn a_gap_and_a_repetition_are_found() {
        assert_eq!(check(&[(1, 1), (1, 3)]), ["source-order"]);
        assert_eq!(check(&[(1, 1), (1, 1)]), ["source-order"]);
        assert_eq!(check(&[(1, u64::MAX), (1, 0)]), ["source-start", "source-order"]);
        assert_eq!(check(&[(1, 2), (1, 3)]), ["source-start"]);
    }

    #[test]
    fn half_a_source_is_damage() {
        let (mut sources, mut findings) = (Sources::default(), Findings::default());
        sources.check(3, &entry(Some([1; 16]), None), &mut findings);
        sources.check(4, &entry(None, None), &mut findings);
        assert_eq!(findings.list().len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_a_source_that_goes_on_is_known() {
        let (mut sources, mut findings) = (Sources::default(), Findings::default());
        let id = |n: usize| u128::try_from(n).unwrap().to_be_bytes();
        let mut serial = 0;
        for n in 1..5 * GENERATION_MAX {
            sources.check(0, &entry(Some(id(n)), Some(1)), &mut findings);
            if n % (GENERATION_MAX / 2) == 0 {
                serial += 1;
                sources.check(0, &entry(Some(id(0)), Some(serial)), &mut findings);
            }
            assert!(sources.recent.len() + sources.older.len() <= 2 * GENERATION_MAX);
        }
        assert!(findings.is_empty());
    }
}
