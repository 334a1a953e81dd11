//! The entries in order: tree, signatures of the log key, sequence, clocks, receipts.

use super::authority::Authority;
use super::clocks::Clocks;
use super::erasures::Erasures;
use super::findings::{FindingKind, Findings};
use super::incidents::Incidents;
use super::leaf::{Depth, Leaf};
use super::sessions::Sessions;
use super::sources::Sources;
use crate::evidence::{Entry, Event};
use crate::tlog::merkle::{HashTile, Tree};
use crate::tlog::note::VerifyingKey;
use crate::tlog::{SignedCheckpoint, VerifierKey};

/// Takes the leaves of a log one by one and collects findings about them.
#[derive(Debug)]
pub struct LogCheck {
    verifier: VerifierKey,
    /// Proofs of what the log was earlier, smallest first; compared when the tree reaches their size.
    receipts: Vec<SignedCheckpoint>,
    tree: Tree,
    index: u64,
    /// False once leaves were missing: then no root can be computed.
    whole: bool,
    host_key: Option<VerifyingKey>,
    depth: Depth,
    authority: Authority,
    clocks: Clocks,
    sources: Sources,
    sessions: Sessions,
    incidents: Incidents,
    erasures: Erasures,
}

impl LogCheck {
    /// Starts before the first leaf. `verifier` and `receipts` come from outside the store.
    pub fn new(verifier: VerifierKey, mut receipts: Vec<SignedCheckpoint>) -> Self {
        receipts.sort_by_key(SignedCheckpoint::size);
        receipts.reverse();
        Self {
            verifier,
            receipts,
            tree: Tree::new(),
            index: 0,
            whole: true,
            host_key: None,
            depth: Depth::Signatures,
            authority: Authority::default(),
            clocks: Clocks::default(),
            sources: Sources::default(),
            sessions: Sessions::default(),
            incidents: Incidents::default(),
            erasures: Erasures::default(),
        }
    }

    /// Sets how much is checked; by default all signatures.
    #[must_use]
    pub fn with_depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Checks host records and policies, too. The key comes from outside the store.
    #[must_use]
    pub fn with_organisation(mut self, key: Option<VerifyingKey>) -> Self {
        self.authority = Authority::new(key);
        self
    }

    /// Leaves seen, missing ones counted.
    pub fn entries(&self) -> u64 {
        self.index
    }

    /// Different incidents seen.
    pub fn incidents(&self) -> u64 {
        self.incidents.count()
    }

    /// The partial tiles of the tree so far, or nothing if leaves were missing.
    pub fn partial_tiles(&self) -> Vec<HashTile> {
        if self.whole { self.tree.partial_tiles() } else { Vec::new() }
    }

    /// Checks the next leaf; returns it read, and the tiles it filled.
    pub fn leaf(&mut self, bytes: &[u8], findings: &mut Findings) -> (Option<Entry>, Vec<HashTile>) {
        self.take(Leaf::examine(bytes, self.verifier.key(), self.depth), findings)
    }

    /// The same for a leaf that was examined elsewhere, under the same key and depth.
    pub fn take(&mut self, leaf: Leaf, findings: &mut Findings) -> (Option<Entry>, Vec<HashTile>) {
        self.compare_receipts(findings);
        let index = self.index;
        self.index += 1;
        let Leaf { hash, entry, problem } = leaf;
        let filled = if self.whole { self.tree.push(hash) } else { Vec::new() };
        if let Some((kind, error)) = problem {
            findings.add(kind, Some(index), error.to_string());
        }
        let Some((entry, event)) = entry else { return (None, filled) };
        self.check_place(index, &entry, findings);
        match event {
            Ok(event) => self.check(index, &entry, &event, findings),
            Err(error) => findings.add(FindingKind::EntryDamaged, Some(index), error.to_string()),
        }
        (Some(entry), filled)
    }

    /// Skips leaves that could not be read at all; the caller has reported why.
    pub fn skip(&mut self, count: u64) {
        self.whole &= count == 0;
        self.index += count;
    }

    /// After the last leaf: compares with the checkpoint and reports what is left open.
    pub fn finish(&mut self, checkpoint: &SignedCheckpoint, findings: &mut Findings) {
        self.compare_receipts(findings);
        for receipt in std::mem::take(&mut self.receipts) {
            if receipt.size() > checkpoint.size() {
                let detail = format!(
                    "a receipt proves {} entries, the store's checkpoint covers {}",
                    receipt.size(),
                    checkpoint.size()
                );
                findings.add(FindingKind::RolledBack, None, detail);
            }
        }
        let same = self.tree.size() == checkpoint.size() && self.tree.root() == checkpoint.root();
        if self.whole && !same {
            let detail = format!("recomputed from {} entries", self.tree.size());
            findings.add(FindingKind::RootDiffers, None, detail);
        }
        self.incidents.finish(findings);
    }

    fn compare_receipts(&mut self, findings: &mut Findings) {
        while let Some(receipt) = self.receipts.pop_if(|receipt| receipt.size() <= self.index) {
            if self.whole && receipt.root() != self.tree.root() {
                let detail = format!("the first {} entries are not those of the receipt", receipt.size());
                findings.add(FindingKind::Forked, None, detail);
            }
        }
    }

    /// Everything about an entry that does not depend on what happened.
    fn check_place(&mut self, index: u64, entry: &Entry, findings: &mut Findings) {
        if entry.seq != index {
            let detail = format!("it says that it is number {}", entry.seq);
            findings.add(FindingKind::EntryOrder, Some(index), detail);
        }
        self.clocks.check(index, entry, findings);
        self.sources.check(index, entry, findings);
    }

    fn check(&mut self, index: u64, entry: &Entry, event: &Event, findings: &mut Findings) {
        match event {
            _ if index == 0 => self.start(entry, event, findings),
            Event::LogStart(_) => {
                findings.add(FindingKind::LogStart, Some(index), "a log begins only once");
            }
            Event::HostKeyChange(change) => {
                self.set_host_key(index, entry, &change.host_key, &change.host_record, findings);
            }
            Event::SessionStart(start) => {
                let rules = self.authority.policy(index, entry, start, findings);
                if let (Some(session_id), Some(rules)) = (entry.session_id, rules) {
                    self.erasures.begin(session_id, rules);
                }
            }
            Event::Unknown { kind, .. } => {
                let detail = format!("kind {kind}; use a newer sudare-audit to read it");
                findings.add(FindingKind::UnknownKind, Some(index), detail);
            }
            _ => {}
        }
        let host_key = self.host_key.as_ref();
        let said = self.sessions.check(index, entry, event, host_key, self.depth, findings);
        self.incidents.check(index, entry, event, said, findings);
        if self.authority.is_known() {
            self.erasures.check(index, entry, event, self.verifier.name(), findings);
        }
    }

    /// The first entry says for which log it is, and which key signs HELLO.
    fn start(&mut self, entry: &Entry, event: &Event, findings: &mut Findings) {
        let Event::LogStart(start) = event else {
            return findings.add(FindingKind::LogStart, Some(0), "the first entry is of another kind");
        };
        if start.log_key != self.verifier.key().to_bytes() {
            findings.add(FindingKind::LogStart, Some(0), "it begins the log of another key");
        }
        self.set_host_key(0, entry, &start.host_key, &start.host_record, findings);
    }

    fn set_host_key(
        &mut self,
        index: u64,
        entry: &Entry,
        key: &[u8; 32],
        record: &[u8],
        findings: &mut Findings,
    ) {
        self.authority.host_key(index, entry.wall_ms, key, record, findings);
        self.host_key = VerifyingKey::from_bytes(key).ok();
        if self.host_key.is_none() {
            findings.add(FindingKind::EntryDamaged, Some(index), "the host key in it is no key");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Stamp;
    use crate::evidence::event::{HostKeyChange, LogStart, Note};
    use crate::records::{HostRecord, Signed};
    use crate::tlog::merkle::leaf_hash;
    use crate::tlog::note::SigningKey;
    use crate::tlog::{Checkpoint, VerifierKey};
    use crate::verify::testing;

    const ORIGIN: &str = "sudare.example/log/test";

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn entry(seq: u64, event: &Event, stamp: Stamp) -> Entry {
        let Stamp { wall_ms, boot_ms, boot_id } = stamp;
        Entry { seq, wall_ms, boot_ms, boot_id, ..testing::entry(event) }
    }

    fn stamp(ms: u64) -> Stamp {
        Stamp { wall_ms: ms, boot_ms: ms, boot_id: [0; 16] }
    }

    fn note(value: u64) -> Event {
        Event::Note(Note { code: 0, value })
    }

    /// A log of a start and three notes, all signed by key 2.
    fn leaves() -> Vec<Vec<u8>> {
        let start = LogStart {
            host_key: key(2).verifying_key().to_bytes(),
            log_key: key(1).verifying_key().to_bytes(),
            host_record: vec![],
        };
        let events = [Event::LogStart(start), note(1), note(2), note(3)];
        let entries = events.iter().zip(0..).map(|(event, seq)| entry(seq, event, stamp(seq)));
        entries.map(|entry| entry.sign(&key(1)).unwrap()).collect()
    }

    fn sign(leaves: &[Vec<u8>]) -> SignedCheckpoint {
        let mut tree = Tree::new();
        leaves.iter().for_each(|leaf| drop(tree.push(leaf_hash(leaf))));
        let checkpoint = Checkpoint { origin: ORIGIN.into(), size: tree.size(), root: tree.root() };
        checkpoint.sign(&key(1)).unwrap()
    }

    fn check(
        leaves: &[Vec<u8>],
        checkpoint: &SignedCheckpoint,
        receipts: &[SignedCheckpoint],
    ) -> Vec<(&'static str, Option<u64>)> {
        let verifier = VerifierKey::new(ORIGIN, key(1).verifying_key()).unwrap();
        let mut check = LogCheck::new(verifier, receipts.to_vec());
        let mut findings = Findings::default();
        for leaf in leaves {
            check.leaf(leaf, &mut findings);
        }
        check.finish(checkpoint, &mut findings);
        findings.list().iter().map(|finding| (finding.kind.as_str(), finding.entry)).collect()
    }

    #[test]
    fn a_sound_log_has_no_findings() {
        let leaves = leaves();
        assert_eq!(check(&leaves, &sign(&leaves), &[sign(&leaves[..2]), sign(&leaves)]), []);
    }

    #[test]
    fn swapped_entries_are_out_of_order_even_if_the_log_key_signs_them() {
        let mut leaves = leaves();
        leaves.swap(1, 2);
        let found = check(&leaves, &sign(&leaves), &[]);
        assert!(found.contains(&("entry-order", Some(1))) && found.contains(&("time-order", Some(2))));
    }

    #[test]
    fn an_entry_by_another_key_is_refused_also_if_the_log_names_that_key() {
        let mut forged = leaves();
        let change = HostKeyChange { host_key: key(7).verifying_key().to_bytes(), host_record: vec![] };
        forged[1] = entry(1, &Event::HostKeyChange(change), stamp(1)).sign(&key(1)).unwrap();
        assert_eq!(check(&forged, &sign(&forged), &[]), []);
        forged[2] = entry(2, &note(2), stamp(2)).sign(&key(7)).unwrap();
        assert_eq!(check(&forged, &sign(&forged), &[]), [("entry-signature", Some(2))]);
    }

    /// Names of the findings about a log whose host key has this record, with the organisation's key.
    fn with_record(record: Vec<u8>, wall_ms: u64) -> Vec<&'static str> {
        let verifier = VerifierKey::new(ORIGIN, key(1).verifying_key()).unwrap();
        let log_key = key(1).verifying_key().to_bytes();
        let start = LogStart { host_key: key(2).verifying_key().to_bytes(), log_key, host_record: record };
        let at = Stamp { wall_ms, boot_ms: 0, boot_id: [1; 16] };
        let leaf = entry(0, &Event::LogStart(start), at).sign(&key(1)).unwrap();
        let mut check = LogCheck::new(verifier, vec![]).with_organisation(Some(key(5).verifying_key()));
        let mut findings = Findings::default();
        check.leaf(&leaf, &mut findings);
        findings.list().iter().map(|finding| finding.kind.as_str()).collect()
    }

    #[test]
    fn with_the_organisations_key_a_host_key_needs_a_record() {
        let record = |organisation: u8, host: u8| {
            let host_key = key(host).verifying_key().to_bytes();
            let record =
                HostRecord { host_id: "h".into(), host_key, not_before_ms: 10, not_after_ms: 20, log: None };
            Signed::sign(&key(organisation), &record).unwrap()
        };
        assert_eq!(with_record(record(5, 2), 15), [""; 0]);
        for (record, wall_ms) in
            [(record(6, 2), 15), (record(5, 3), 15), (record(5, 2), 9), (record(5, 2), 21), (vec![], 15)]
        {
            assert_eq!(with_record(record, wall_ms), ["host-record"]);
        }
    }

    #[test]
    fn hashes_alone_notice_every_change_but_not_who_signed() {
        let leaves = leaves();
        let verifier = VerifierKey::new(ORIGIN, key(1).verifying_key()).unwrap();
        let hashes_only = |leaves: &[Vec<u8>], checkpoint: &SignedCheckpoint| {
            let mut check = LogCheck::new(verifier.clone(), vec![]).with_depth(Depth::Hashes);
            let mut findings = Findings::default();
            for leaf in leaves {
                check.leaf(leaf, &mut findings);
            }
            check.finish(checkpoint, &mut findings);
            findings.list().iter().map(|finding| finding.kind.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(hashes_only(&leaves, &sign(&leaves)), [""; 0]);
        let mut forged = leaves.clone();
        forged[2] = entry(2, &note(2), stamp(2)).sign(&key(7)).unwrap();
        assert_eq!(hashes_only(&forged, &sign(&leaves)), ["root-differs"]);
        assert_eq!(hashes_only(&forged, &sign(&forged)), [""; 0], "the log key vouches for it");
    }

    #[test]
    fn a_report_left_out_is_found() {
        let mut leaves = leaves();
        for (at, serial) in [(1, 1), (2, 2), (3, 4)] {
            let mut entry = entry(at, &note(at), stamp(at));
            (entry.source, entry.serial) = (Some([8; 16]), Some(serial));
            leaves[usize::try_from(at).unwrap()] = entry.sign(&key(1)).unwrap();
        }
        assert_eq!(check(&leaves, &sign(&leaves), &[]), [("source-order", Some(3))]);
    }

    #[test]
    fn rollback_and_fork_contradict_a_receipt() {
        let leaves = leaves();
        let receipt = sign(&leaves);
        let older = &leaves[..3];
        assert_eq!(check(older, &sign(older), std::slice::from_ref(&receipt)), [("rolled-back", None)]);
        let mut fork = leaves.clone();
        fork[3] = entry(3, &note(9), stamp(3)).sign(&key(1)).unwrap();
        assert_eq!(check(&fork, &sign(&fork), &[receipt]), [("forked", None)]);
    }

    #[test]
    fn a_log_that_starts_for_another_log_key_is_refused() {
        let mut leaves = leaves();
        leaves.remove(0);
        let found = check(&leaves, &sign(&leaves), &[]);
        assert!(found.contains(&("log-start", Some(0))));
    }

    #[test]
    fn clocks_that_go_back_are_remarked() {
        let mut leaves = leaves();
        let back = Stamp { wall_ms: 10_000, boot_ms: 9, boot_id: [1; 16] };
        leaves[1] = entry(1, &note(1), back).sign(&key(1)).unwrap();
        let found = check(&leaves, &sign(&leaves), &[]);
        assert!(found.contains(&("clock-set-back", Some(2))) && found.contains(&("time-order", Some(2))));
    }

    #[test]
    fn kinds_and_versions_of_the_future_are_listed() {
        let mut leaves = leaves();
        let future = Event::Unknown { kind: 4000, body: vec![0xa0] };
        leaves[1] = entry(1, &future, stamp(1)).sign(&key(1)).unwrap();
        let newer = Entry { version: 2, ..entry(2, &note(2), stamp(2)) };
        leaves[2] = newer.sign(&key(1)).unwrap();
        let found = check(&leaves, &sign(&leaves), &[]);
        assert_eq!(found, [("unknown-kind", Some(1)), ("newer-version", Some(2))]);
    }
}
