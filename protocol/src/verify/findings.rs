//! What an audit found, by stable names that scripts may rely on.

/// Findings of each class that are listed in full; further ones are only counted, so that a ruined log does
/// not fill memory, and oddities do not crowd out forgeries.
pub const FINDINGS_MAX: usize = 1000;

macro_rules! kinds {
    ($($variant:ident $name:literal $integrity:literal $doc:literal;)*) => {
        /// Name of a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FindingKind { $(#[doc = $doc] $variant,)* }

        impl FindingKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The stable name in JSON and documents.
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
            /// True if something was changed, removed or forged; false if it only looks odd.
            pub fn is_integrity(self) -> bool { match self { $(Self::$variant => $integrity,)* } }
            /// One sentence for people and documents.
            pub fn sentence(self) -> &'static str { match self { $(Self::$variant => $doc,)* } }
        }
    };
}

kinds! {
    CheckpointMissing "checkpoint-missing" true "The store has no checkpoint.";
    CheckpointRefused "checkpoint-refused" true "The checkpoint is not signed by the given key, or was changed.";
    RootDiffers "root-differs" true "The entries do not lead to the root that the checkpoint signs.";
    BundleMissing "bundle-missing" true "A file of entries is missing.";
    BundleDamaged "bundle-damaged" true "A file of entries is truncated or holds another number of entries.";
    TileMissing "tile-missing" true "A file of hashes is missing.";
    TileDiffers "tile-differs" true "Stored hashes are not those of the entries.";
    EntryDamaged "entry-damaged" true "An entry cannot be read.";
    EntrySignature "entry-signature" true "An entry is not signed by the log key.";
    EntryOrder "entry-order" true "An entry is not at the position that it states.";
    LogStart "log-start" true "The first entry does not begin this log.";
    RolledBack "rolled-back" true "The log is shorter than a receipt proves it was.";
    Forked "forked" true "The log's beginning is not the one that a receipt proves.";
    ReceiptRefused "receipt-refused" true "A receipt is not signed by the given key, or was changed.";
    SourceOrder "source-order" true "A process that reports to the recorder skipped or repeated a number.";
    HostRecord "host-record" true "The organisation's record of the host key is not signed by the organisation, is not valid, or is for another key.";
    Policy "policy" true "The policy of a session is not signed by the organisation's key, or was not valid.";
    CosignatureRefused "cosignature-refused" true "The cosignature of a witness on the checkpoint is wrong.";
    TimestampDamaged "timestamp-damaged" true "A time token cannot be read.";
    TimestampSignature "timestamp-signature" true "The signature of a time token is wrong: it was changed.";
    TimestampCertificate "timestamp-certificate" true "A time token is not signed under the given certificate, or not within its validity.";
    TimestampCheckpoint "timestamp-checkpoint" true "A time token is not for a checkpoint of this log.";
    SessionHandshake "session-handshake" true "A session's handshake is not signed as it should be.";
    SessionUnknown "session-unknown" true "A client message belongs to a session that never began.";
    MessageSignature "message-signature" true "A client message is not signed by the device under this session's transcript.";
    MessageRepeated "message-repeated" true "A client message is in the log twice.";
    ManifestIncomplete "manifest-incomplete" true "A completed incident lacks a picture that the client announced.";
    ManifestExceeded "manifest-exceeded" true "An incident has a camera picture that the client did not announce, or announced as something else.";
    BlobMissing "blob-missing" true "A sealed picture is missing.";
    BlobHeaderMissing "blob-header-missing" true "The age header of a sealed picture is missing. A copy shipped with --headers has them in the other bucket.";
    BlobDiffers "blob-differs" true "A sealed picture is not the one that the log vouches for.";
    ErasureEarly "erasure-early" true "A picture was erased before its retention period ended.";
    ErasureUnapproved "erasure-unapproved" true "Pictures were erased early without two approvals that the policy accepts, or under another incident.";
    NewerVersion "newer-version" false "An entry has a version that this program does not know.";
    UnknownKind "unknown-kind" false "An entry has a kind that this program does not know; it was verified all the same.";
    TimeOrder "time-order" false "The host's clock since boot went back, or an earlier boot reappeared.";
    ClockSetBack "clock-set-back" false "The host's calendar clock was set back.";
    SourceStart "source-start" false "The first report of a process is not number 1: earlier ones are not in this log.";
    CosignatureMissing "cosignature-missing" false "The checkpoint bears no cosignature of a given witness.";
    TimestampMissing "timestamp-missing" false "No time token vouches for this log.";
    TimestampTime "timestamp-time" false "A token's time does not match the times of the entries around its checkpoint.";
    ManifestUncompleted "manifest-uncompleted" false "A client announced pictures, but the incident was never completed.";
    ErasureUnfinished "erasure-unfinished" false "A picture is recorded as erased, but its age header is still there.";
    PicturesMissing "pictures-missing" false "An incident was closed without pictures that were due, and they never arrived.";
    IncidentReopened "incident-reopened" false "An incident was opened twice, so its evidence is from different times.";
    IncidentUnopened "incident-unopened" false "An incident was completed that was never opened.";
    IncidentIncomplete "incident-incomplete" false "An incident was opened and never completed.";
    PictureUnlisted "picture-unlisted" false "A stored picture is not in the list that completes its incident; it was verified all the same.";
    BeyondCheckpoint "beyond-checkpoint" false "The store holds entries that the checkpoint does not cover.";
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name.
    pub kind: FindingKind,
    /// Leaf index, where it concerns one entry.
    pub entry: Option<u64>,
    /// What exactly, in English.
    pub detail: String,
}

/// A bounded list of findings.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    integrity: u64,
    plausibility: u64,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, kind: FindingKind, entry: Option<u64>, detail: impl Into<String>) {
        let count = if kind.is_integrity() { &mut self.integrity } else { &mut self.plausibility };
        *count += 1;
        if *count <= FINDINGS_MAX as u64 {
            self.list.push(Finding { kind, entry, detail: detail.into() });
        }
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many report that something was changed, removed or forged.
    pub fn integrity(&self) -> u64 {
        self.integrity
    }

    /// How many report that something looks odd.
    pub fn plausibility(&self) -> u64 {
        self.plausibility
    }

    /// The first [`FINDINGS_MAX`] of each class.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// How many more there were.
    pub fn unlisted(&self) -> u64 {
        self.integrity + self.plausibility - self.list.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ruined_log_does_not_fill_the_memory() {
        let mut findings = Findings::default();
        for entry in 0..FINDINGS_MAX as u64 + 5 {
            findings.add(FindingKind::EntryDamaged, Some(entry), "cut");
        }
        assert_eq!((findings.list().len(), findings.unlisted()), (FINDINGS_MAX, 5));
        findings.add(FindingKind::ClockSetBack, None, "the other class has room of its own");
        assert_eq!((findings.list().len(), findings.unlisted()), (FINDINGS_MAX + 1, 5));
        assert_eq!((findings.integrity(), findings.plausibility()), (FINDINGS_MAX as u64 + 5, 1));
    }

    #[test]
    fn names_are_unique() {
        for (i, a) in FindingKind::ALL.iter().enumerate() {
            assert!(FindingKind::ALL[i + 1..].iter().all(|b| a.as_str() != b.as_str()));
        }
    }
}
