//! An approval: one person's signature on a request to erase pictures early.
//!
//! ```text
//! COSE_Sign1( key: approver, external_aad: "sudare/v1 erasure approval", payload: CBOR map )
//! ```
//! Two different approvers of the policy under which the incident happened must sign the same request
//! (NIST SP 800-53, AU-9(5): dual authorisation). An approval names its log and incident and expires,
//! so it can neither be used elsewhere nor kept for later.

use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::cbor;
use crate::cose::{self, CoseError};
use crate::evidence::Id;
use crate::evidence::event::BlobId;
use crate::limits::APPROVERS_MIN;
use crate::rules::ByteKey;
use crate::utc::utc;
use crate::{SigningKey, VerifyingKey};

/// `external_aad` of every approval.
pub const APPROVAL_CONTEXT: &[u8] = b"sudare/v1 erasure approval";
/// The only version so far; a reader refuses higher ones.
pub const VERSION: u16 = 1;
/// Longest signed approval that is read.
pub const APPROVAL_MAX_BYTES: usize = 4 * 1024;
/// Pictures that one approval may name.
pub const PICTURES_MAX: usize = 32;
/// An approval is valid for a month at most: its signer should still remember why.
pub const VALIDITY_MAX_MS: u64 = 31 * 24 * 3_600_000;
/// How far ahead of the host an approver's clock may be.
pub const CLOCK_DIFFERENCE_MS: u64 = 10 * 60_000;

/// What one approver agrees to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Approval {
    /// [`VERSION`].
    #[n(0)]
    pub version: u16,
    /// Origin of the log.
    #[n(1)]
    pub origin: String,
    /// The incident.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub incident_id: Id,
    /// Pictures of it; none means all of them.
    #[n(3)]
    pub pictures: Vec<BlobId>,
    /// Why, as a number that the organisation gives a meaning (a text could hold a name).
    #[n(4)]
    pub reason_code: u16,
    /// Unix time of the signature.
    #[n(5)]
    pub made_ms: u64,
    /// Unix time after which it is void.
    #[n(6)]
    pub expires_ms: u64,
}

/// Why approvals do not allow an erasure.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApprovalError {
    /// Signed by somebody else, or changed.
    #[error(
        "an approval was changed, or is not signed by an approver of this incident's policy. Ask somebody whom the policy names"
    )]
    NotAnApprover,
    /// Signed, but not decodable.
    #[error("an approval is signed but cannot be decoded. Create it again with `sudare-audit approve`")]
    Malformed,
    /// From a later version.
    #[error(
        "an approval has version {0}, but this program reads version {VERSION}. Use a newer sudare-audit"
    )]
    Version(u16),
    /// For something else.
    #[error(
        "an approval is for another {0}. Have both approvers sign for the same log, incident and pictures"
    )]
    OtherThing(&'static str),
    /// Too late, too early, or valid for too long.
    #[error(
        "an approval is valid from {made} to {expires}, but it is now {now}. Approvals last {days} days at most: have it signed again",
        made = utc(*made_ms),
        expires = utc(*expires_ms),
        now = utc(*now_ms),
        days = VALIDITY_MAX_MS / 86_400_000
    )]
    Time {
        /// From.
        made_ms: u64,
        /// To.
        expires_ms: u64,
        /// The host's clock.
        now_ms: u64,
    },
    /// The same person twice, or only one.
    #[error(
        "{0} different people approved, but {APPROVERS_MIN} are required. Have another approver of the policy sign as well"
    )]
    TooFew(usize),
    /// The policy names no approvers.
    #[error(
        "the policy of this incident names no approvers, so it cannot be erased early. It is erased when its retention period ends"
    )]
    NoApprovers,
}

/// Signs an approval.
pub fn sign(approval: &Approval, approver: &SigningKey) -> Result<Vec<u8>, ApprovalError> {
    let lasts_ms = approval.expires_ms.checked_sub(approval.made_ms);
    if lasts_ms.is_none_or(|ms| ms > VALIDITY_MAX_MS) {
        let Approval { made_ms, expires_ms, .. } = *approval;
        return Err(ApprovalError::Time { made_ms, expires_ms, now_ms: made_ms });
    }
    let payload = minicbor::to_vec(approval).map_err(|_| ApprovalError::Malformed)?;
    let signed = cose::sign1(approver, APPROVAL_CONTEXT, &payload);
    let fits = signed.len() <= APPROVAL_MAX_BYTES && approval.pictures.len() <= PICTURES_MAX;
    if fits { Ok(signed) } else { Err(ApprovalError::Malformed) }
}

/// Checks that `key` signed an approval, and reads it. Whether it is in time is checked by [`agree`].
pub fn open(signed: &[u8], key: &VerifyingKey) -> Result<Approval, ApprovalError> {
    if signed.len() > APPROVAL_MAX_BYTES {
        return Err(ApprovalError::Malformed);
    }
    let payload = cose::verify1(key, APPROVAL_CONTEXT, signed).map_err(|error| match error {
        CoseError::Malformed => ApprovalError::Malformed,
        CoseError::WrongKey | CoseError::BadSignature => ApprovalError::NotAnApprover,
    })?;
    let approval: Approval = cbor::read(payload).map_err(|_| ApprovalError::Malformed)?;
    if approval.pictures.len() > PICTURES_MAX {
        return Err(ApprovalError::Malformed);
    }
    if approval.version > VERSION { Err(ApprovalError::Version(approval.version)) } else { Ok(approval) }
}

/// What the erasure covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Origin of the log.
    pub origin: &'a str,
    /// The incident.
    pub incident_id: Id,
    /// Pictures of it; none means all of them.
    pub pictures: &'a [BlobId],
}

/// Checks that two different approvers of the policy agree to exactly this, now. Every approval
/// given must be valid: an invalid one is a sign of a mistake.
pub fn agree(
    wish: &Wish<'_>,
    approvals: &[Vec<u8>],
    approvers: &[ByteKey],
    now_ms: u64,
) -> Result<(), ApprovalError> {
    if approvers.is_empty() {
        return Err(ApprovalError::NoApprovers);
    }
    let mut different = Vec::new();
    for signed in approvals {
        let (approver, approval) = by_one_of(signed, approvers)?;
        check(wish, &approval, now_ms)?;
        if !different.contains(&approver) {
            different.push(approver);
        }
    }
    if different.len() < APPROVERS_MIN { Err(ApprovalError::TooFew(different.len())) } else { Ok(()) }
}

fn by_one_of(signed: &[u8], approvers: &[ByteKey]) -> Result<([u8; 32], Approval), ApprovalError> {
    for approver in approvers {
        let Ok(key) = VerifyingKey::from_bytes(&approver.0) else { continue };
        match open(signed, &key) {
            Err(ApprovalError::NotAnApprover) => {}
            opened => return opened.map(|approval| (approver.0, approval)),
        }
    }
    Err(ApprovalError::NotAnApprover)
}

fn check(wish: &Wish<'_>, approval: &Approval, now_ms: u64) -> Result<(), ApprovalError> {
    let same_pictures = || {
        let (mut theirs, mut ours) = (approval.pictures.clone(), wish.pictures.to_vec());
        theirs.sort_unstable();
        ours.sort_unstable();
        theirs == ours
    };
    if approval.origin != wish.origin {
        return Err(ApprovalError::OtherThing("log"));
    }
    if approval.incident_id != wish.incident_id {
        return Err(ApprovalError::OtherThing("incident"));
    }
    if !same_pictures() {
        return Err(ApprovalError::OtherThing("choice of pictures"));
    }
    let Approval { made_ms, expires_ms, .. } = *approval;
    let begun = made_ms <= now_ms.saturating_add(CLOCK_DIFFERENCE_MS);
    let lasts_ms = expires_ms.saturating_sub(made_ms);
    if begun && now_ms <= expires_ms && lasts_ms <= VALIDITY_MAX_MS {
        Ok(())
    } else {
        Err(ApprovalError::Time { made_ms, expires_ms, now_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn approvers() -> Vec<ByteKey> {
        [1, 2, 3].map(|n| ByteKey(key(n).verifying_key().to_bytes())).to_vec()
    }

    fn approval() -> Approval {
        Approval {
            version: VERSION,
            origin: "log/a".into(),
            incident_id: [7; 16],
            pictures: vec![],
            reason_code: 3,
            made_ms: NOW_MS - 1_000,
            expires_ms: NOW_MS + 1_000,
        }
    }

    fn wish() -> Wish<'static> {
        Wish { origin: "log/a", incident_id: [7; 16], pictures: &[] }
    }

    fn judged(approvals: &[(Approval, u8)]) -> Result<(), ApprovalError> {
        let signed: Vec<_> = approvals.iter().map(|(a, n)| sign(a, &key(*n)).unwrap()).collect();
        agree(&wish(), &signed, &approvers(), NOW_MS)
    }

    #[test]
    fn two_different_approvers_are_needed() {
        assert_eq!(judged(&[(approval(), 1), (approval(), 3)]), Ok(()));
        assert_eq!(judged(&[(approval(), 1)]), Err(ApprovalError::TooFew(1)));
        let twice = Approval { made_ms: NOW_MS - 5, ..approval() };
        assert_eq!(judged(&[(approval(), 1), (twice, 1)]), Err(ApprovalError::TooFew(1)));
        assert_eq!(judged(&[(approval(), 1), (approval(), 9)]), Err(ApprovalError::NotAnApprover));
        assert_eq!(agree(&wish(), &[], &[], NOW_MS), Err(ApprovalError::NoApprovers));
    }

    #[test]
    fn an_approval_is_good_for_one_thing_and_for_its_time() {
        let other = |change: fn(&mut Approval)| {
            let mut changed = approval();
            change(&mut changed);
            judged(&[(approval(), 1), (changed, 2)])
        };
        assert_eq!(other(|a| a.origin = "log/b".into()), Err(ApprovalError::OtherThing("log")));
        assert_eq!(other(|a| a.incident_id = [8; 16]), Err(ApprovalError::OtherThing("incident")));
        let pictures = other(|a| a.pictures = vec![BlobId([1; 16])]);
        assert_eq!(pictures, Err(ApprovalError::OtherThing("choice of pictures")));
        assert_eq!(other(|a| a.version = 2), Err(ApprovalError::Version(2)));
        assert!(matches!(other(|a| a.expires_ms = NOW_MS - 1), Err(ApprovalError::Time { .. })));
        let ahead = other(|a| (a.made_ms, a.expires_ms) = (NOW_MS + 700_000, NOW_MS + 800_000));
        assert!(matches!(ahead, Err(ApprovalError::Time { .. })));
        let long = Approval { expires_ms: NOW_MS + VALIDITY_MAX_MS, ..approval() };
        assert!(matches!(sign(&long, &key(1)), Err(ApprovalError::Time { .. })));
    }

    #[test]
    fn a_changed_approval_is_refused() {
        let signed = sign(&approval(), &key(1)).unwrap();
        let public = key(1).verifying_key();
        assert_eq!(open(&signed, &public), Ok(approval()));
        for at in 0..signed.len() {
            let mut bad = signed.clone();
            bad[at] ^= 1;
            assert!(open(&bad, &public).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let signed = cose::sign1(&key(1), APPROVAL_CONTEXT, &bytes);
            drop(open(&signed, &key(1).verifying_key()));
            prop_assert!(open(&bytes, &key(1).verifying_key()).is_err());
        }
    }
}
