//! Reads a log from its first leaf to its checkpoint and collects findings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, thread};

use sudare_base::clock;
use sudare_evidence::reader::{CHECKPOINT, COSIGNED, Store};
use sudare_protocol::VerifyingKey;
use sudare_protocol::evidence::Entry;
use sudare_protocol::tlog::merkle::HashTile;
use sudare_protocol::tlog::{
    SignedCheckpoint, TileContent, TilePath, VerifierKey, WitnessKey, cosignature, tiles,
};
use sudare_protocol::verify::{Depth, FindingKind, Findings, LogCheck};

use crate::blobs::BlobCheck;
use crate::error::AuditError;
use crate::pool::{self, Bundle, Content};
use crate::report::{Cosignature, Counts, Report};
use crate::timestamps::{Times, Timestamps};
use crate::uncovered::{self, Covered};

/// A recorder signs the checkpoint within this time after writing tiles.
const RECORDER_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An audit with its inputs; keys and receipts must not come from the store.
pub struct Walk<'a> {
    store: &'a Store,
    verifier: VerifierKey,
    receipts: Vec<SignedCheckpoint>,
    organisation: Option<VerifyingKey>,
    witnesses: Vec<WitnessKey>,
    timestamps: Option<Timestamps>,
    depth: Depth,
    progress: Option<Progress<'a>>,
    findings: Findings,
    /// Missing files of entries in a row: the first entry, the first file, how many.
    missing: Option<(u64, TilePath, u64)>,
}

/// Called with the number of entries done and the number of all entries.
type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Checks everything that can be checked offline: log, signatures, sessions, incidents, sealed pictures.
pub fn verify_store(dir: &Path, verifier: &VerifierKey, receipts: &[Vec<u8>]) -> Result<Report, AuditError> {
    let store = Store::open(dir)?;
    Walk::new(&store, verifier, receipts).verify()
}

impl<'a> Walk<'a> {
    /// `receipts` are earlier checkpoints that were kept elsewhere.
    pub fn new(store: &'a Store, verifier: &VerifierKey, receipts: &[Vec<u8>]) -> Self {
        let mut findings = Findings::default();
        let mut accepted = Vec::new();
        for note in receipts {
            match SignedCheckpoint::open(note, verifier) {
                Ok(receipt) => accepted.push(receipt),
                Err(error) => findings.add(FindingKind::ReceiptRefused, None, error.to_string()),
            }
        }
        Self {
            store,
            verifier: verifier.clone(),
            receipts: accepted,
            organisation: None,
            witnesses: Vec::new(),
            timestamps: None,
            depth: Depth::Signatures,
            progress: None,
            findings,
            missing: None,
        }
    }

    /// Also verifies host records and policies, with the organisation's key.
    #[must_use]
    pub fn with_organisation(mut self, key: Option<VerifyingKey>) -> Self {
        self.organisation = key;
        self
    }

    /// Requires a cosignature by each of these witnesses.
    #[must_use]
    pub fn with_witnesses(mut self, witnesses: Vec<WitnessKey>) -> Self {
        self.witnesses = witnesses;
        self
    }

    /// Also verifies time-stamp tokens, and compares the entries' times with them.
    #[must_use]
    pub fn with_timestamps(mut self, timestamps: Option<Timestamps>) -> Self {
        self.timestamps = timestamps;
        self
    }

    /// Limits how much is checked; by default everything is.
    #[must_use]
    pub fn with_depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Reports progress.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress<'a>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Checks the log and the sealed pictures, and lists the files that it does not vouch for. With [`Depth::Hashes`] the
    /// pictures are among those.
    pub fn verify(self) -> Result<Report, AuditError> {
        let store = self.store;
        let mut blobs = (self.depth != Depth::Hashes).then(|| BlobCheck::new(store));
        let (mut counts, mut findings, mut covered) =
            self.walk(|index, entry, findings| match &mut blobs {
                Some(blobs) => blobs.check(index, entry, findings),
                None => Ok(()),
            })?;
        covered.pictures = blobs.map(|blobs| blobs.finish(&mut findings));
        counts.erased = covered.pictures.as_ref().map_or(0, |pictures| pictures.erased.len() as u64);
        let uncovered = uncovered::find(store, &covered, &mut findings)?;
        Ok(Report::new(counts, &findings).with_uncovered(uncovered))
    }

    /// Checks the log, and calls `visit` with each readable entry, in order.
    pub fn run(
        self,
        visit: impl FnMut(u64, &Entry, &mut Findings) -> Result<(), AuditError>,
    ) -> Result<Report, AuditError> {
        let (counts, findings, _) = self.walk(visit)?;
        Ok(Report::new(counts, &findings))
    }

    fn walk(
        mut self,
        mut visit: impl FnMut(u64, &Entry, &mut Findings) -> Result<(), AuditError>,
    ) -> Result<(Counts, Findings, Covered), AuditError> {
        let signatures = self.depth == Depth::Signatures;
        let mut counts = Counts { signatures, ..Counts::default() };
        let checkpoint = self.read_checkpoint()?;
        let cosigned = self.read_cosigned()?;
        let times = self.times()?;
        counts.timestamps = times.newest();
        counts.cosignatures = self.cosignatures(checkpoint.as_ref());
        let mut covered = Covered { files: self.covered_tokens(&times), ..Covered::default() };
        for (name, note) in [(CHECKPOINT, checkpoint.as_ref()), (COSIGNED, cosigned.as_ref())] {
            covered.files.extend(note.filter(|note| self.is_whole(note)).map(|_| PathBuf::from(name)));
        }
        let receipts = std::mem::take(&mut self.receipts);
        counts.checkpoints = receipts.len() + usize::from(checkpoint.is_some());
        let Some(checkpoint) = checkpoint else { return Ok((counts, self.findings, covered)) };
        covered.size = checkpoint.size();
        let (store, depth, key) = (self.store, self.depth, *self.verifier.key());
        let mut check = LogCheck::new(self.verifier.clone(), receipts)
            .with_depth(depth)
            .with_organisation(self.organisation);
        let mut visit = |index, entry: &Entry, findings: &mut Findings| {
            times.check(index, entry.wall_ms, findings);
            visit(index, entry, findings)
        };
        let stopped = pool::examine(store, checkpoint.size(), &key, depth, |bundle| {
            self.bundle(bundle, &mut check, &mut visit)?;
            if let Some(progress) = &mut self.progress {
                progress(check.entries(), checkpoint.size());
            }
            Ok(())
        })?;
        let claim = checkpoint.size();
        self.report_missing(&stopped.map_or_else(String::new, |path| {
            format!(". The checkpoint claims {claim} entries: nothing from {path} on was looked for")
        }));
        for tile in check.partial_tiles() {
            self.compare_tile(&tile)?;
        }
        check.finish(&checkpoint, &mut self.findings);
        self.look_beyond(&checkpoint)?;
        (counts.entries, counts.incidents) = (check.entries(), check.incidents());
        Ok((counts, self.findings, covered))
    }

    /// Whether every signature of a note was checked: the log's own, and those of the given witnesses.
    fn is_whole(&self, note: &SignedCheckpoint) -> bool {
        let note = note.note().as_bytes();
        let witnesses = cosignature::check(note, &self.witnesses).map_or(0, |found| found.len());
        cosignature::lines(note).is_ok_and(|lines| lines == witnesses + 1)
    }

    /// The files of time stamps that lie in the store and were checked.
    fn covered_tokens(&self, times: &Times) -> BTreeSet<PathBuf> {
        let Some(timestamps) = &self.timestamps else { return BTreeSet::new() };
        let inside = |path: PathBuf| {
            let path = path.canonicalize().ok()?;
            path.strip_prefix(self.store.dir().canonicalize().ok()?).ok().map(Path::to_owned)
        };
        timestamps.checked(times).filter_map(inside).collect()
    }

    fn read_checkpoint(&mut self) -> Result<Option<SignedCheckpoint>, AuditError> {
        let Some(note) = self.store.checkpoint()? else {
            self.findings.add(FindingKind::CheckpointMissing, None, "there is no file `checkpoint`");
            return Ok(None);
        };
        match SignedCheckpoint::open(&note, &self.verifier) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(error) => {
                self.findings.add(FindingKind::CheckpointRefused, None, error.to_string());
                Ok(None)
            }
        }
    }

    /// The newest checkpoint that a witness cosigned proves an earlier state of the log, like any receipt.
    fn read_cosigned(&mut self) -> Result<Option<SignedCheckpoint>, AuditError> {
        let Some(note) = self.store.cosigned()? else { return Ok(None) };
        match SignedCheckpoint::open(&note, &self.verifier) {
            Ok(checkpoint) => {
                self.receipts.push(checkpoint.clone());
                Ok(Some(checkpoint))
            }
            Err(error) => {
                self.findings.add(FindingKind::CheckpointRefused, None, format!("{COSIGNED}: {error}"));
                Ok(None)
            }
        }
    }

    /// A time-stamped checkpoint is a receipt as well.
    fn times(&mut self) -> Result<Times, AuditError> {
        let Some(timestamps) = &self.timestamps else { return Ok(Times::default()) };
        let mut times = timestamps.open(self.store, &self.verifier, &mut self.findings)?;
        self.receipts.append(&mut times.receipts);
        Ok(times)
    }

    /// The newest cosignature of each witness, whichever checkpoint carries it.
    fn cosignatures(&mut self, checkpoint: Option<&SignedCheckpoint>) -> Vec<Cosignature> {
        let mut newest: Vec<Cosignature> = Vec::new();
        for signed in self.receipts.iter().chain(checkpoint) {
            match cosignature::check(signed.note().as_bytes(), &self.witnesses) {
                Ok(found) => newest.extend(found.into_iter().map(|by| Cosignature {
                    witness: by.name,
                    entries: signed.size(),
                    time_s: by.time_s,
                })),
                Err(error) => self.findings.add(FindingKind::CosignatureRefused, None, error.to_string()),
            }
        }
        newest.sort_by(|a, b| (&a.witness, b.entries).cmp(&(&b.witness, a.entries)));
        newest.dedup_by(|later, first| later.witness == first.witness);
        for witness in &self.witnesses {
            if !newest.iter().any(|by| by.witness == witness.name()) {
                let detail = format!("there is none by {}", witness.name());
                self.findings.add(FindingKind::CosignatureMissing, None, detail);
            }
        }
        newest
    }

    /// Files of entries that are missing one after the other are one finding.
    fn report_missing(&mut self, more: &str) {
        if let Some((entry, path, count)) = self.missing.take() {
            let others =
                if count > 1 { format!(" and the {} files after it", count - 1) } else { String::new() };
            self.findings.add(FindingKind::BundleMissing, Some(entry), format!("{path}{others}{more}"));
        }
    }

    fn bundle(
        &mut self,
        bundle: Bundle,
        check: &mut LogCheck,
        visit: &mut impl FnMut(u64, &Entry, &mut Findings) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let Bundle { path, content } = bundle;
        let Some(Content { leaves, broken, too_many }) = content else {
            let (_, _, count) = self.missing.get_or_insert((check.entries(), path, 0));
            *count += 1;
            check.skip(path.width as u64);
            return Ok(());
        };
        self.report_missing("");
        let missing = path.width.saturating_sub(leaves.len());
        for leaf in leaves {
            let index = check.entries();
            let (entry, filled) = check.take(leaf, &mut self.findings);
            if let Some(entry) = entry {
                visit(index, &entry, &mut self.findings)?;
            }
            for tile in filled {
                self.compare_tile(&tile)?;
            }
        }
        let mut damaged =
            |detail: String| self.findings.add(FindingKind::BundleDamaged, Some(check.entries()), detail);
        if let Some(error) = broken.filter(|_| missing > 0) {
            damaged(format!("{path}: {error}"));
        } else if missing > 0 {
            damaged(format!("{path}: {missing} of {} entries are missing", path.width));
        }
        // In place of a partial bundle, the full one may have been read, which holds more.
        if !path.is_partial() && too_many {
            damaged(format!("{path}: it holds more than {} entries", path.width));
        }
        check.skip(missing as u64);
        Ok(())
    }

    /// Other readers rely on stored hashes, so they must match the entries.
    fn compare_tile(&mut self, tile: &HashTile) -> Result<(), AuditError> {
        let content = TileContent::Hashes(tile.level);
        let path = TilePath { content, index: tile.index, width: tile.hashes.len() };
        let Some(stored) = self.store.tile(path)? else {
            self.findings.add(FindingKind::TileMissing, None, path.to_string());
            return Ok(());
        };
        let stored: Vec<&[u8]> = stored.chunks(32).collect();
        let hashes = tile.hashes.iter().map(<[u8; 32]>::as_slice);
        let differs = hashes.enumerate().find(|(at, hash)| stored.get(*at) != Some(hash));
        let too_long = !path.is_partial() && stored.len() > tile.hashes.len();
        if let Some((at, _)) = differs {
            let leaf = (tile.level == 0).then(|| tile.index * tiles::TILE_WIDTH as u64 + at as u64);
            let what = if at < stored.len() {
                "does not match the entries"
            } else {
                "and all later ones are missing"
            };
            let detail = format!("{path}: hash {at} {what}");
            self.findings.add(FindingKind::TileDiffers, leaf, detail);
        } else if too_long {
            self.findings.add(FindingKind::TileDiffers, None, format!("{path}: it is too long"));
        }
        Ok(())
    }

    /// If an older checkpoint was put back, newer entries remain in the files. A running recorder causes the same for a
    /// moment, between writing tiles and signing the checkpoint, so the checkpoint is read again first.
    fn look_beyond(&mut self, checkpoint: &SignedCheckpoint) -> Result<(), AuditError> {
        if !self.store.has_entries_after(checkpoint.size()) {
            return Ok(());
        }
        let since = clock::monotonic();
        while self.store.checkpoint()?.as_deref() == Some(checkpoint.note().as_bytes()) {
            if clock::monotonic().saturating_sub(since) >= RECORDER_PATIENCE {
                let detail =
                    format!("the checkpoint covers {} entries, but the files hold more", checkpoint.size());
                self.findings.add(FindingKind::BeyondCheckpoint, None, detail);
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Walk({}, {:?})", self.store.dir().display(), self.depth)
    }
}
