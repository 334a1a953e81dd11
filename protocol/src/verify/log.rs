//! The entries in order: tree, signatures of the log key, sequence, clocks, receipts.

use std::collections::BTreeSet;

use super::findings::{FindingKind, Findings};
use super::incidents::Incidents;
use super::sessions::Sessions;
use crate::cose::CoseError;
use crate::evidence::{Entry, EntryError, Event, Id};
use crate::tlog::merkle::{HashTile, Tree, leaf_hash};
use crate::tlog::note::VerifyingKey;
use crate::tlog::{SignedCheckpoint, VerifierKey};

/// A calendar clock may be corrected by this much without a remark.
const CLOCK_CORRECTION_MS: u64 = 2_000;

/// Takes the leaves of a log one by one and collects what is wrong with them.
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
    clocks: Clocks,
    sessions: Sessions,
    incidents: Incidents,
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
            clocks: Clocks::default(),
            sessions: Sessions::default(),
            incidents: Incidents::default(),
        }
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
    pub fn leaf(&mut self, leaf: &[u8], findings: &mut Findings) -> (Option<Entry>, Vec<HashTile>) {
        self.compare_receipts(findings);
        let index = self.index;
        self.index += 1;
        let filled = if self.whole { self.tree.push(leaf_hash(leaf)) } else { Vec::new() };
        let entry = self.read(index, leaf, findings);
        if let Some(entry) = &entry {
            self.check(index, entry, findings);
        }
        (entry, filled)
    }

    /// Leaves that could not be read at all. The caller has reported why.
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

    /// Reads an entry and checks its signature; a wrongly signed one is read all the same, so
    /// that one edit does not hide what follows from it.
    fn read(&mut self, index: u64, leaf: &[u8], findings: &mut Findings) -> Option<Entry> {
        let error = match Entry::open(leaf, self.verifier.key()) {
            Ok(entry) => return Some(entry),
            Err(error) => error,
        };
        let kind = match error {
            EntryError::Version(_) => FindingKind::NewerVersion,
            EntryError::Cose(CoseError::WrongKey | CoseError::BadSignature) => FindingKind::EntrySignature,
            _ => FindingKind::EntryDamaged,
        };
        findings.add(kind, Some(index), error.to_string());
        Entry::open_unverified(leaf).ok()
    }

    /// The first entry says for which log it is, and which key signs HELLO.
    fn start(&mut self, index: u64, event: &Event, findings: &mut Findings) {
        let Event::LogStart(start) = event else {
            return findings.add(FindingKind::LogStart, Some(index), "the first entry is of another kind");
        };
        if start.log_key != self.verifier.key().to_bytes() {
            findings.add(FindingKind::LogStart, Some(index), "it begins the log of another key");
        }
        self.host_key = host_key(index, &start.host_key, findings);
    }

    fn check(&mut self, index: u64, entry: &Entry, findings: &mut Findings) {
        if entry.seq != index {
            let detail = format!("it says that it is number {}", entry.seq);
            findings.add(FindingKind::EntryOrder, Some(index), detail);
        }
        self.clocks.check(index, entry, findings);
        let event = match entry.event() {
            Ok(event) => event,
            Err(error) => return findings.add(FindingKind::EntryDamaged, Some(index), error.to_string()),
        };
        match &event {
            _ if index == 0 => self.start(index, &event, findings),
            Event::LogStart(_) => {
                findings.add(FindingKind::LogStart, Some(index), "a log begins only once");
            }
            Event::HostKeyChange(change) => self.host_key = host_key(index, &change.host_key, findings),
            Event::Unknown { kind, .. } => {
                let detail = format!("kind {kind}; use a newer sudare-audit to read it");
                findings.add(FindingKind::UnknownKind, Some(index), detail);
            }
            _ => {}
        }
        let host_key = self.host_key.as_ref();
        let manifest = self.sessions.check(index, entry, &event, host_key, findings);
        self.incidents.check(index, entry, &event, manifest, findings);
    }
}

fn host_key(index: u64, bytes: &[u8; 32], findings: &mut Findings) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(bytes).ok();
    if key.is_none() {
        findings.add(FindingKind::EntryDamaged, Some(index), "the host key in it is no key");
    }
    key
}

/// Order of time within a boot and over boots.
#[derive(Debug, Default)]
struct Clocks {
    last: Option<(Id, u64, u64)>,
    earlier_boots: BTreeSet<Id>,
}

impl Clocks {
    fn check(&mut self, index: u64, entry: &Entry, findings: &mut Findings) {
        if let Some((boot_id, boot_ms, wall_ms)) = self.last {
            if entry.boot_id == boot_id && entry.boot_ms < boot_ms {
                let detail = format!("clock since boot: {} after {boot_ms} ms", entry.boot_ms);
                findings.add(FindingKind::TimeOrder, Some(index), detail);
            }
            if entry.boot_id != boot_id {
                self.earlier_boots.insert(boot_id);
            }
            if entry.wall_ms.saturating_add(CLOCK_CORRECTION_MS) < wall_ms {
                let detail = format!("calendar clock: {} after {wall_ms} ms", entry.wall_ms);
                findings.add(FindingKind::ClockSetBack, Some(index), detail);
            }
        }
        if self.earlier_boots.contains(&entry.boot_id) {
            findings.add(FindingKind::TimeOrder, Some(index), "an earlier boot of the host came again");
        }
        self.last = Some((entry.boot_id, entry.boot_ms, entry.wall_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::{HostKeyChange, LogStart, Note};
    use crate::evidence::{Stamp, VERSION};
    use crate::tlog::note::SigningKey;
    use crate::tlog::{Checkpoint, VerifierKey};

    const ORIGIN: &str = "sudare.example/log/test";

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn entry(seq: u64, event: &Event, stamp: Stamp) -> Entry {
        let (kind, body) = event.encode();
        let Stamp { wall_ms, boot_ms, boot_id } = stamp;
        let (session_id, incident_id, reason, blobs) = (None, None, None, vec![]);
        let version = VERSION;
        let (source, serial) = (None, None);
        Entry {
            version,
            seq,
            wall_ms,
            boot_ms,
            boot_id,
            session_id,
            incident_id,
            kind,
            reason,
            blobs,
            body,
            source,
            serial,
        }
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
