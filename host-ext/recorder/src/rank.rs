//! Who may report what, by the user that the kernel names, pure.
//!
//! Guards say what happened in sessions. What becomes of evidence afterwards (kinds 40 to 59: erased,
//! approved, looked at) is said by those who tend it: root, and the recorder's own user. How the log itself
//! begins and goes on (kinds 1 to 3), the recorder says alone.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::ops::RangeInclusive;

use sudare_evidence::report::wire::NewEntry;

const OF_THE_LOG: RangeInclusive<u16> = 1..=3;
const OF_KEPT_EVIDENCE: RangeInclusive<u16> = 40..=59;

/// What kind of process is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Reports about its sessions.
    Guard,
    /// May also say that evidence was erased or looked at.
    Tender,
}

/// Why entries are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotYours {
    #[error(
        "Entries about erased or opened evidence are taken from root and from the recorder's own user only. Run \
         `sudare-audit` as one of them; a guard never reports any"
    )]
    KeptEvidence,
    #[error(
        "Entries about the log itself are written by the recorder alone. Whoever reports one is at fault: look at \
         that process"
    )]
    TheLog,
}

impl Rank {
    /// Of a process of user `uid`, at a recorder of user `own_uid`.
    pub(super) fn of(uid: u32, own_uid: u32) -> Self {
        if uid == 0 || uid == own_uid { Rank::Tender } else { Rank::Guard }
    }

    /// All of the entries, or none.
    pub(super) fn may_report(self, entries: &[NewEntry]) -> Result<(), NotYours> {
        let any = |kinds: RangeInclusive<u16>| entries.iter().any(|entry| kinds.contains(&entry.kind));
        match self {
            _ if any(OF_THE_LOG) => Err(NotYours::TheLog),
            Rank::Guard if any(OF_KEPT_EVIDENCE) => Err(NotYours::KeptEvidence),
            Rank::Guard | Rank::Tender => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u16) -> NewEntry {
        NewEntry { session_id: None, incident_id: None, reason: None, blobs: vec![], kind, body: vec![] }
    }

    #[test]
    fn root_and_the_recorders_user_tend_and_others_report() {
        assert_eq!([0, 7, 8].map(|uid| Rank::of(uid, 7)), [Rank::Tender, Rank::Tender, Rank::Guard]);
    }

    #[test]
    fn a_guard_reports_what_happens_and_nothing_about_evidence_or_the_log() {
        for kind in [4, 14, 39, 60] {
            assert_eq!(Rank::Guard.may_report(&[entry(kind)]), Ok(()), "{kind}");
        }
        for kind in [40, 41, 42, 59] {
            let mixed = [entry(14), entry(kind)];
            assert_eq!(Rank::Guard.may_report(&mixed), Err(NotYours::KeptEvidence), "{kind}");
            assert_eq!(Rank::Tender.may_report(&mixed), Ok(()), "{kind}");
        }
        for kind in 1..=3 {
            for rank in [Rank::Guard, Rank::Tender] {
                assert_eq!(rank.may_report(&[entry(kind)]), Err(NotYours::TheLog), "{kind}");
            }
        }
    }
}
