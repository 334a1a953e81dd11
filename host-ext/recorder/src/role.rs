//! Which kinds of entries a process may report, by the user that the kernel vouches for. Pure.
//!
//! | kinds | about | reported by |
//! |---|---|---|
//! | 1 to 3 | the log itself | nobody: the recorder writes them |
//! | 40 to 59 | stored evidence: erased, approved, opened | root, and the recorder's own user (`sudare-audit`) |
//! | all others | sessions | guards, and the two above |

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::ops::RangeInclusive;

use sudare_evidence::report::wire::NewEntry;

const LOG_ITSELF: RangeInclusive<u16> = 1..=3;
const EVIDENCE_HANDLING: RangeInclusive<u16> = 40..=59;

/// The role of a connected process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Reports about its sessions.
    Guard,
    /// May also report that evidence was erased or opened.
    Administrator,
}

/// Why a report is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forbidden {
    #[error(
        "entries about erased or opened evidence are accepted from root and from the recorder's own user only. Run \
         `sudare-audit` as one of them. A guard never reports any"
    )]
    EvidenceHandling,
    #[error(
        "entries about the log itself are written by the recorder alone. Investigate the process that reported one"
    )]
    TheLog,
}

impl Role {
    /// Of a process of user `uid`, for a recorder that runs as `own_uid`.
    pub(super) fn of(uid: u32, own_uid: u32) -> Self {
        if uid == 0 || uid == own_uid { Role::Administrator } else { Role::Guard }
    }

    /// Accepts all of the entries, or none.
    pub(super) fn may_report(self, entries: &[NewEntry]) -> Result<(), Forbidden> {
        let any = |kinds: RangeInclusive<u16>| entries.iter().any(|entry| kinds.contains(&entry.kind));
        match self {
            _ if any(LOG_ITSELF) => Err(Forbidden::TheLog),
            Role::Guard if any(EVIDENCE_HANDLING) => Err(Forbidden::EvidenceHandling),
            Role::Guard | Role::Administrator => Ok(()),
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
    fn root_and_the_recorders_user_are_administrators_and_others_guards() {
        assert_eq!(
            [0, 7, 8].map(|uid| Role::of(uid, 7)),
            [Role::Administrator, Role::Administrator, Role::Guard]
        );
    }

    #[test]
    fn a_guard_reports_what_happens_and_nothing_about_evidence_or_the_log() {
        for kind in [4, 14, 39, 60] {
            assert_eq!(Role::Guard.may_report(&[entry(kind)]), Ok(()), "{kind}");
        }
        for kind in [40, 41, 42, 59] {
            let mixed = [entry(14), entry(kind)];
            assert_eq!(Role::Guard.may_report(&mixed), Err(Forbidden::EvidenceHandling), "{kind}");
            assert_eq!(Role::Administrator.may_report(&mixed), Ok(()), "{kind}");
        }
        for kind in 1..=3 {
            for role in [Role::Guard, Role::Administrator] {
                assert_eq!(role.may_report(&[entry(kind)]), Err(Forbidden::TheLog), "{kind}");
            }
        }
    }
}
