//! Time-stamp tokens beside a copy of the log: who signed them, for which checkpoint, and whether the entries' times
//! agree with them.
//!
//! ```text
//! <size>.note  the stamped checkpoint ── log key ──► a receipt: the log must still continue it
//! <size>.tsr   the service's answer ── SHA-256(note), then openssl ──► "these entries existed at this time"
//!
//!   entry size-1 ── recorded ──► checkpoint ── stamped ──► entry size       (clocks of the host)
//!                  not after the token's time (AHEAD_MAX_MS)   not long before it (BEHIND_MAX_MS)
//! ```
//! The shipper writes both files, the note first. If it is killed in between, the note alone remains and counts as a
//! receipt. The folder is trusted as little as the store. Times are Unix milliseconds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest as _, Sha256};
use sudare_evidence::reader::{ReadError, Store};
use sudare_evidence::timetoken::{self, MAX_ANSWER_BYTES, Token, TokenError};
use sudare_protocol::tlog::note::MAX_NOTE_BYTES;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey};
use sudare_protocol::verify::{FindingKind, Findings};

use crate::authority::{Authority, Judgement};
use crate::error::AuditError;
use crate::report::Stamped;

/// Tokens of one audit: one every ten minutes for almost two years.
pub const TOKENS_MAX: usize = 100_000;
/// An entry's time may be this much later than that of the token after it, since clocks differ and services round.
pub const AHEAD_MAX_MS: u64 = 60_000;
/// The first entry after a checkpoint may be this much older than the checkpoint's token, since the checkpoint had to
/// be shipped first.
pub const BEHIND_MAX_MS: u64 = 3_600_000;

/// Where the tokens are, and who must have signed them.
#[derive(Clone, Debug)]
pub struct Timestamps {
    /// The folder `timestamps` of a shipped copy.
    pub folder: PathBuf,
    /// The time-stamp service; its certificate must not come with the evidence.
    pub authority: Authority,
}

/// The valid tokens, to be compared with the entries.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Tokens by the size of their checkpoint.
    good: BTreeMap<u64, Token>,
    /// Checkpoints that were stamped or about to be stamped.
    pub(super) receipts: Vec<SignedCheckpoint>,
}

impl Timestamps {
    /// Reads and verifies all tokens.
    pub(super) fn open(
        &self,
        store: &Store,
        verifier: &VerifierKey,
        findings: &mut Findings,
    ) -> Result<Times, AuditError> {
        let mut times = Times::default();
        for size in self.sizes()? {
            let (checkpoint, digest) = match self.note(size, store, verifier)? {
                Ok(note) => note,
                Err(why) => {
                    findings.add(FindingKind::TimestampCheckpoint, None, format!("{size}.note {why}"));
                    continue;
                }
            };
            times.receipts.push(checkpoint);
            let Some(response) = store.read(&self.path(size, "tsr"), MAX_ANSWER_BYTES)? else { continue };
            match self.judge(&response, &digest)? {
                Ok(token) => drop(times.good.insert(size, token)),
                Err((kind, why)) => findings.add(kind, None, format!("{size}.tsr {why}")),
            }
        }
        if times.good.is_empty() {
            let detail = format!("there is no valid token in {}", self.folder.display());
            findings.add(FindingKind::TimestampMissing, None, detail);
        }
        Ok(times)
    }

    /// Files of which every byte was checked: valid tokens, with the notes that they are for.
    pub(super) fn checked<'a>(&'a self, times: &'a Times) -> impl Iterator<Item = PathBuf> + 'a {
        times.good.keys().flat_map(|size| ["note", "tsr"].map(|kind| self.path(*size, kind)))
    }

    /// Sizes of all checkpoints that have a file in the folder.
    fn sizes(&self) -> Result<Vec<u64>, AuditError> {
        let unreadable =
            |source| AuditError::Read(ReadError::Unreadable { path: self.folder.clone(), source });
        let mut sizes = Vec::new();
        for file in fs::read_dir(&self.folder).map_err(unreadable)? {
            let path = PathBuf::from(file.map_err(unreadable)?.file_name());
            let is_ours = path.extension().is_some_and(|kind| kind == "tsr" || kind == "note");
            let size = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            sizes.extend(size.filter(|_| is_ours));
            if sizes.len() > 2 * TOKENS_MAX {
                let source = io::Error::other(format!(
                    "it holds more than {TOKENS_MAX} tokens, so check them in parts, each in a folder of its own"
                ));
                return Err(unreadable(source));
            }
        }
        sizes.sort_unstable();
        sizes.dedup();
        Ok(sizes)
    }

    /// The stamped checkpoint with the hash of its file, or why the file cannot be used.
    fn note(
        &self,
        size: u64,
        store: &Store,
        verifier: &VerifierKey,
    ) -> Result<Result<(SignedCheckpoint, [u8; 32]), String>, AuditError> {
        let Some(note) = store.read(&self.path(size, "note"), MAX_NOTE_BYTES)? else {
            return Ok(Err("is missing, so the checkpoint of its token is unknown".to_owned()));
        };
        Ok(match SignedCheckpoint::open(&note, verifier) {
            Ok(checkpoint) if checkpoint.size() == size => Ok((checkpoint, Sha256::digest(&note).into())),
            Ok(checkpoint) => Err(format!("is the checkpoint of {} entries", checkpoint.size())),
            Err(error) => Err(format!("is not a checkpoint of this log: {error}")),
        })
    }

    fn judge(
        &self,
        response: &[u8],
        digest: &[u8; 32],
    ) -> Result<Result<Token, (FindingKind, String)>, AuditError> {
        let token = match timetoken::read(response, digest) {
            Ok(token) => token,
            Err(TokenError::WrongDigest) => {
                let why = "is a token for something other than the note".to_owned();
                return Ok(Err((FindingKind::TimestampCheckpoint, why)));
            }
            Err(TokenError::Malformed(why)) => {
                return Ok(Err((FindingKind::TimestampDamaged, format!("cannot be read: {why}"))));
            }
            Err(error) => {
                return Ok(Err((FindingKind::TimestampDamaged, format!("cannot be used: {error}"))));
            }
        };
        Ok(match self.authority.judge(response, digest, &token)? {
            Judgement::Good => Ok(token),
            Judgement::OtherCertificate(why) => {
                Err((FindingKind::TimestampCertificate, format!("does not hold: {why}")))
            }
            Judgement::Changed(why) => {
                Err((FindingKind::TimestampSignature, format!("does not hold: {why}")))
            }
        })
    }

    fn path(&self, size: u64, kind: &str) -> PathBuf {
        self.folder.join(Path::new(&size.to_string()).with_extension(kind))
    }
}

impl Times {
    /// Compares the time of an entry with the tokens before and after it.
    pub(super) fn check(&self, index: u64, wall_ms: u64, findings: &mut Findings) {
        if let Some(token) = self.good.get(&index.saturating_add(1))
            && wall_ms > unix_ms(token).saturating_add(AHEAD_MAX_MS)
        {
            let detail = format!("its time is later than that of the token after it, {}", token.time);
            findings.add(FindingKind::TimestampTime, Some(index), detail);
        }
        if let Some(token) = self.good.get(&index)
            && wall_ms.saturating_add(BEHIND_MAX_MS) < unix_ms(token)
        {
            let detail = format!("its time is long before that of the token preceding it, {}", token.time);
            findings.add(FindingKind::TimestampTime, Some(index), detail);
        }
    }

    /// What the newest token vouches for.
    pub(super) fn newest(&self) -> Option<Stamped> {
        let (size, token) = self.good.last_key_value()?;
        Some(Stamped { tokens: self.good.len(), entries: *size, time: token.time.clone() })
    }
}

fn unix_ms(token: &Token) -> u64 {
    u64::try_from(token.time_ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_MS: u64 = 1_800_000_000_000;

    /// Findings about entries 4 and 5 with these times, where one token covers entry 4 but not entry 5.
    fn found(before_ms: u64, after_ms: u64) -> Vec<Option<u64>> {
        let token = Token { time: "then".into(), time_ms: AT_MS.cast_signed(), policy: "1.2".into() };
        let times = Times { good: [(5, token)].into(), receipts: Vec::new() };
        let mut findings = Findings::default();
        times.check(4, before_ms, &mut findings);
        times.check(5, after_ms, &mut findings);
        assert!(findings.list().iter().all(|finding| finding.kind == FindingKind::TimestampTime));
        findings.list().iter().map(|finding| finding.entry).collect()
    }

    #[test]
    fn an_entry_cannot_be_younger_than_the_token_after_it_nor_the_next_one_much_older() {
        assert_eq!(found(AT_MS, AT_MS), []);
        assert_eq!(found(AT_MS + AHEAD_MAX_MS, AT_MS - BEHIND_MAX_MS), []);
        assert_eq!(found(AT_MS + AHEAD_MAX_MS + 1, AT_MS), [Some(4)]);
        assert_eq!(found(AT_MS, AT_MS - BEHIND_MAX_MS - 1), [Some(5)]);
        assert_eq!(found(0, u64::MAX), [], "an idle host, or shipped late");
    }
}
