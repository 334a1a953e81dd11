//! What becomes of each report in a batch: new, already in the log, or out of order. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

use sudare_evidence::report::NewEntries;
use sudare_protocol::evidence::Id;

use crate::tail::Last;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Its entries are appended; the last of them will stand there.
    New(Last),
    /// It is in the log already.
    Known(Last),
    /// The source skips a number, or goes back.
    OutOfOrder,
}

impl Disposition {
    pub(super) fn is_new(self) -> bool {
        matches!(self, Disposition::New(_))
    }
}

/// Decides on a batch for a log with `size` entries. `last_of` knows the last entry of each source, `completed` the
/// entry that completed an incident.
pub(super) fn decide(
    batch: &[&NewEntries],
    size: u64,
    last_of: &BTreeMap<Id, Last>,
    completed: impl Fn(&Id) -> Option<u64>,
) -> Vec<Disposition> {
    let mut next_leaf = size;
    let mut last: BTreeMap<Id, Last> = BTreeMap::new();
    let mut completing: BTreeMap<Id, u64> = BTreeMap::new();
    let mut dispositions = Vec::with_capacity(batch.len());
    for new in batch {
        let known = last.get(&new.source).or_else(|| last_of.get(&new.source)).copied();
        let last_serial = new.serial + new.entries.len() as u64 - 1;
        let done = new.once.and_then(|id| completing.get(&id).copied().or_else(|| completed(&id)));
        let disposition = match (known, done) {
            (Some(known), _) if known.serial == last_serial => Disposition::Known(known),
            (Some(known), _) if known.serial + 1 != new.serial => Disposition::OutOfOrder,
            // Nothing is recorded, so the source continues with the same number.
            (_, Some(leaf_index)) => Disposition::Known(Last { serial: new.serial - 1, leaf_index }),
            (_, None) => {
                next_leaf += new.entries.len() as u64;
                Disposition::New(Last { serial: last_serial, leaf_index: next_leaf - 1 })
            }
        };
        if let Disposition::New(at) = disposition {
            last.insert(new.source, at);
            completing.extend(new.once.map(|id| (id, at.leaf_index)));
        }
        dispositions.push(disposition);
    }
    dispositions
}

#[cfg(test)]
mod tests {
    use sudare_evidence::report::wire::NewEntry;

    use super::*;

    fn report(source: u8, serial: u64, entries: usize, once: Option<u8>) -> NewEntries {
        let entry = NewEntry {
            session_id: None,
            incident_id: None,
            reason: None,
            blobs: vec![],
            kind: 4,
            body: vec![],
        };
        let (source, once) = ([source; 16], once.map(|id| [id; 16]));
        NewEntries { source, serial, entries: vec![entry; entries], receipt: false, once }
    }

    fn at(serial: u64, leaf_index: u64) -> Last {
        Last { serial, leaf_index }
    }

    #[test]
    fn a_batch_is_decided_as_if_each_report_came_alone() {
        let last_of = BTreeMap::from([([1; 16], at(4, 40))]);
        let completed = |id: &Id| (*id == [9; 16]).then_some(30);
        let batch = [
            report(1, 3, 2, None),
            report(1, 5, 2, None),
            report(1, 5, 2, None),
            report(1, 8, 1, None),
            report(2, 1, 1, Some(8)),
            report(3, 1, 2, Some(8)),
            report(4, 1, 2, Some(9)),
        ];
        let batch: Vec<&NewEntries> = batch.iter().collect();
        let expected = [
            Disposition::Known(at(4, 40)),
            Disposition::New(at(6, 51)),
            Disposition::Known(at(6, 51)),
            Disposition::OutOfOrder,
            Disposition::New(at(1, 52)),
            // The incident was completed within this batch, and the other before it.
            Disposition::Known(at(0, 52)),
            Disposition::Known(at(0, 30)),
        ];
        assert_eq!(decide(&batch, 50, &last_of, completed), expected);
    }
}
