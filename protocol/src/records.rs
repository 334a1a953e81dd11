//! What the organisation signs: which hosts, which devices, and by which policy.
//!
//! The organisation key is offline and belongs to the security team. Client and host pin its
//! public half at set-up, so neither a host administrator nor a device owner can change a
//! record. Each kind has its own `external_aad`, so one can never pass for another.

use std::collections::BTreeMap;

use ed25519_dalek::{SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::cbor;
use crate::cose::{self, CoseError};
use crate::eyes::{EyesError, EyesRules};
use crate::groups::Group;
use crate::limits::{
    AUDITORS_MAX, AUDITORS_MIN, ENROLLER_USERS_MAX, GROUP_MEMBERS_MAX, GROUPS_MAX, RECORD_MAX_BYTES,
    TEXT_MAX_BYTES,
};
use crate::notice::{Notice, NoticeError};
use crate::rules::{EvidenceRules, RulesError};
use crate::text::is_plain;
use crate::timings::TimingError;
use crate::tlog::{NoteError, VerifierKey};
use crate::utc::utc;

/// Which host key belongs to a host, and for how long (Unix milliseconds).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HostRecord {
    #[n(0)]
    pub host_id: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub host_key: [u8; 32],
    #[n(2)]
    pub not_before_ms: u64,
    #[n(3)]
    pub not_after_ms: u64,
    /// The public line of the log in which this host's evidence is kept (C2SP vkey). With it, clients believe only
    /// receipts that this log's key proves.
    #[n(4)]
    pub log: Option<String>,
}

/// Which device key belongs to a device, and for which RDP user it may speak.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub device_id: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    pub device_key: [u8; 32],
    #[n(2)]
    pub user: String,
    #[n(3)]
    pub not_before_ms: u64,
    #[n(4)]
    pub not_after_ms: u64,
}

/// What happens to a session whose evidence cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum EvidenceDuty {
    /// The session stays covered until evidence can be kept again.
    #[n(0)]
    Required,
    /// The session goes on; the gap is recorded.
    #[n(1)]
    BestEffort,
}

/// The rules of one organisation for its sessions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Policy {
    /// Shown to people and to the log; a later serial replaces an earlier one.
    #[n(0)]
    pub organisation: String,
    #[n(1)]
    pub serial: u64,
    #[n(2)]
    pub not_before_ms: u64,
    #[n(3)]
    pub not_after_ms: u64,
    /// age recipients (`age1…`) that can open pictures. At least two, so that one lost key loses nothing.
    #[n(4)]
    pub auditors: Vec<String>,
    #[n(5)]
    pub evidence: EvidenceDuty,
    /// Timings that differ from the defaults, by name (see `timings::TABLE`).
    #[n(6)]
    pub timings: BTreeMap<String, u64>,
    /// What is kept, for how long, and who can open it; the defaults if absent.
    #[n(7)]
    pub rules: Option<EvidenceRules>,
    /// What must show that the operator is there, and alive; the defaults if absent.
    #[n(8)]
    pub eyes: Option<EyesRules>,
    /// What an employee accepts before anything looks; nothing is asked if absent.
    #[n(9)]
    pub notice: Option<Notice>,
    /// What differs for some people; the first that names somebody applies.
    #[n(10)]
    pub groups: Option<Vec<Group>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the {kind} is not signed with {signer} ({source}). Ask the security team for one that is")]
    Signature { kind: &'static str, signer: &'static str, source: CoseError },
    #[error("the {kind} is signed but cannot be decoded. It was made for another version of Sudare")]
    Malformed { kind: &'static str },
    #[error("the log's key in the host record cannot be used: {source}")]
    Log { source: NoteError },
    #[error("the {kind} is larger than {RECORD_MAX_BYTES} bytes. The security team must make a smaller one")]
    TooLarge { kind: &'static str },
    #[error(
        "the {kind} is not valid before {from}, but it is now {now}. Check this machine's clock",
        from = utc(*not_before_ms),
        now = utc(*now_ms)
    )]
    NotYet { kind: &'static str, not_before_ms: u64, now_ms: u64 },
    #[error(
        "the {kind} expired at {until}, and it is now {now}. Ask the security team to renew it",
        until = utc(*not_after_ms),
        now = utc(*now_ms)
    )]
    Expired { kind: &'static str, not_after_ms: u64, now_ms: u64 },
    #[error(
        "the policy names {0} different auditors, but {AUDITORS_MIN} to {AUDITORS_MAX} are required. The security team must add or remove some"
    )]
    Auditors(usize),
    #[error("the policy cannot be used: {0}")]
    Timing(#[from] TimingError),
    #[error("the policy cannot be used: {0}")]
    Rules(#[from] RulesError),
    #[error("the policy cannot be used: {0}")]
    Eyes(#[from] EyesError),
    #[error("the policy cannot be used: {0}")]
    Notice(#[from] NoticeError),
    #[error(
        "a text in the {kind} is empty, longer than {TEXT_MAX_BYTES} bytes, or has characters that are not seen. The security team must correct it"
    )]
    Text { kind: &'static str },
    #[error(
        "an enroller record names {0} users, but 1 to {ENROLLER_USERS_MAX} are possible. Name groups (`@staff`), or everybody (`*`)"
    )]
    Users(usize),
    #[error(
        "the policy has {0} groups, and at most {GROUPS_MAX} are possible. The security team must merge some"
    )]
    Groups(usize),
    #[error("the policy has two groups {0:?}. The security team must give one another name")]
    GroupTwice(String),
    #[error(
        "the policy's group {name:?} names {count} members, but 1 to {GROUP_MEMBERS_MAX} are possible. Name groups of the hosts (`@staff`) instead"
    )]
    GroupMembers { name: String, count: usize },
    #[error(
        "the policy's group {0:?} is observed for more than 30 days. The security team must choose an earlier end: a pilot ends"
    )]
    ObservedTooLong(String),
    #[error(
        "the policy's group {name:?} sets {timing}, which is the same for everybody. The security team must set it outside of groups"
    )]
    GroupTiming { name: String, timing: String },
    #[error("the policy has no group {0:?}. Compare the versions of client and host")]
    NoGroup(String),
    #[error(
        "the invitation has the number {number}, and its enroller may invite {most} devices. Ask the security team for a record with more"
    )]
    BeyondNumber { number: u32, most: u32 },
    #[error(
        "the invitation is for somebody whom its enroller may not invite. Ask the security team for a record that names that user"
    )]
    BeyondUsers,
}

/// A record that is signed, mostly by the organisation. Only types of this module and of `enrol` are records.
pub trait Record: Sized + Encode<()> + for<'b> Decode<'b, ()> {
    /// For people, in errors.
    const KIND: &'static str;
    /// The COSE `external_aad`.
    const CONTEXT: &'static [u8];
    /// Whose signature it needs, for people.
    const SIGNER: &'static str = "this organisation's key";
    fn validity_ms(&self) -> (u64, u64);
    fn check(&self) -> Result<(), RecordError>;
}

/// A record whose signature, form and validity were checked. Only `Signed::verify` makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<R> {
    record: R,
    bytes: Vec<u8>,
}

impl<R: Record> Signed<R> {
    /// Signs a record with the organisation key; refuses one that could not be used.
    pub fn sign(organisation: &SigningKey, record: &R) -> Result<Vec<u8>, RecordError> {
        record.check()?;
        let payload = minicbor::to_vec(record).map_err(|_| RecordError::Malformed { kind: R::KIND })?;
        let bytes = cose::sign1(organisation, R::CONTEXT, &payload);
        if bytes.len() > RECORD_MAX_BYTES {
            return Err(RecordError::TooLarge { kind: R::KIND });
        }
        Ok(bytes)
    }

    /// Checks signature, form and validity at `now_ms` (Unix milliseconds).
    pub fn verify(organisation: &VerifyingKey, bytes: &[u8], now_ms: u64) -> Result<Self, RecordError> {
        let signed = Self::verify_any_time(organisation, bytes)?;
        signed.check_time(now_ms)?;
        Ok(signed)
    }

    /// Whether it is valid at `now_ms`.
    pub fn check_time(&self, now_ms: u64) -> Result<(), RecordError> {
        let (not_before_ms, not_after_ms) = self.record.validity_ms();
        if now_ms < not_before_ms {
            return Err(RecordError::NotYet { kind: R::KIND, not_before_ms, now_ms });
        }
        if now_ms > not_after_ms {
            return Err(RecordError::Expired { kind: R::KIND, not_after_ms, now_ms });
        }
        Ok(())
    }

    /// As `verify`, at any time: for auditors who read old records.
    pub fn verify_any_time(organisation: &VerifyingKey, bytes: &[u8]) -> Result<Self, RecordError> {
        let kind = R::KIND;
        if bytes.len() > RECORD_MAX_BYTES {
            return Err(RecordError::TooLarge { kind });
        }
        let payload = cose::verify1(organisation, R::CONTEXT, bytes)
            .map_err(|source| RecordError::Signature { kind, signer: R::SIGNER, source })?;
        let record: R = cbor::read(payload).map_err(|_| RecordError::Malformed { kind })?;
        record.check()?;
        Ok(Signed { record, bytes: bytes.to_vec() })
    }

    pub fn record(&self) -> &R {
        &self.record
    }

    /// The signed form, as it is sent and stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the signed form: how messages and the log name this record.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

impl Record for HostRecord {
    const KIND: &'static str = "host record";
    const CONTEXT: &'static [u8] = b"sudare/v1 host record";
    fn validity_ms(&self) -> (u64, u64) {
        (self.not_before_ms, self.not_after_ms)
    }
    fn check(&self) -> Result<(), RecordError> {
        key_of(&self.host_key, Self::KIND)?;
        text(&self.host_id, Self::KIND)?;
        self.log().map(|_| ())
    }
}

impl HostRecord {
    pub fn key(&self) -> Result<VerifyingKey, RecordError> {
        key_of(&self.host_key, Self::KIND)
    }

    /// The log's public key, if the record names one.
    pub fn log(&self) -> Result<Option<VerifierKey>, RecordError> {
        let parse = |line: &String| line.parse().map_err(|source| RecordError::Log { source });
        self.log.as_ref().map(parse).transpose()
    }
}

impl Record for DeviceRecord {
    const KIND: &'static str = "device record";
    const CONTEXT: &'static [u8] = b"sudare/v1 device record";
    fn validity_ms(&self) -> (u64, u64) {
        (self.not_before_ms, self.not_after_ms)
    }
    fn check(&self) -> Result<(), RecordError> {
        key_of(&self.device_key, Self::KIND)?;
        text(&self.user, Self::KIND)
    }
}

impl DeviceRecord {
    pub fn key(&self) -> Result<VerifyingKey, RecordError> {
        key_of(&self.device_key, Self::KIND)
    }
}

impl Record for Policy {
    const KIND: &'static str = "policy";
    const CONTEXT: &'static [u8] = b"sudare/v1 policy";
    fn validity_ms(&self) -> (u64, u64) {
        (self.not_before_ms, self.not_after_ms)
    }
    fn check(&self) -> Result<(), RecordError> {
        text(&self.organisation, Self::KIND)?;
        let mut different = self.auditors.clone();
        different.sort();
        different.dedup();
        if different.len() != self.auditors.len() || !(AUDITORS_MIN..=AUDITORS_MAX).contains(&different.len())
        {
            return Err(RecordError::Auditors(different.len()));
        }
        for auditor in &self.auditors {
            text(auditor, Self::KIND)?;
        }
        self.rules().check()?;
        self.eyes().check()?;
        self.notice.as_ref().map_or(Ok(()), Notice::check)?;
        self.check_groups()?;
        self.in_force(None).map(|_| ())
    }
}

impl Policy {
    /// The rules in force about evidence.
    pub fn rules(&self) -> EvidenceRules {
        self.rules.clone().unwrap_or_default()
    }

    /// The rules in force about the eyes.
    pub fn eyes(&self) -> EyesRules {
        self.eyes.unwrap_or_default()
    }
}

pub(crate) fn key_of(bytes: &[u8; 32], kind: &'static str) -> Result<VerifyingKey, RecordError> {
    VerifyingKey::from_bytes(bytes).map_err(|_| RecordError::Malformed { kind })
}

pub(crate) fn text(text: &str, kind: &'static str) -> Result<(), RecordError> {
    if text.is_empty() || text.len() > TEXT_MAX_BYTES || !is_plain(text) {
        return Err(RecordError::Text { kind });
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn organisation() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    pub(crate) fn policy() -> Policy {
        Policy {
            organisation: "Example".into(),
            serial: 1,
            not_before_ms: 1_000,
            not_after_ms: 2_000,
            auditors: vec!["age1a".into(), "age1b".into()],
            evidence: EvidenceDuty::Required,
            timings: BTreeMap::from([("hold_ms".to_owned(), 500)]),
            rules: None,
            eyes: None,
            notice: None,
            groups: None,
        }
    }

    #[test]
    fn a_policy_is_accepted_only_signed_by_the_organisation_and_in_its_time() {
        let bytes = Signed::sign(&organisation(), &policy()).unwrap();
        let key = organisation().verifying_key();
        let signed = Signed::<Policy>::verify(&key, &bytes, 1_500).unwrap();
        assert_eq!(signed.record().in_force(None).unwrap().timings.hold_ms, 500);
        assert!(matches!(Signed::<Policy>::verify(&key, &bytes, 999), Err(RecordError::NotYet { .. })));
        assert!(matches!(Signed::<Policy>::verify(&key, &bytes, 2_001), Err(RecordError::Expired { .. })));
        let foreign = SigningKey::from_bytes(&[2; 32]).verifying_key();
        assert!(matches!(
            Signed::<Policy>::verify(&foreign, &bytes, 1_500),
            Err(RecordError::Signature { .. })
        ));
        // A policy is not a host record, even under the right key.
        assert!(matches!(
            Signed::<HostRecord>::verify(&key, &bytes, 1_500),
            Err(RecordError::Signature { .. })
        ));
    }

    #[test]
    fn a_policy_nobody_could_use_is_not_signed() {
        let one_auditor = Policy { auditors: vec!["age1a".into()], ..policy() };
        assert_eq!(Signed::sign(&organisation(), &one_auditor), Err(RecordError::Auditors(1)));
        let twice = Policy { auditors: vec!["age1a".into(), "age1a".into()], ..policy() };
        assert_eq!(Signed::sign(&organisation(), &twice), Err(RecordError::Auditors(1)));
        let wild = Policy { timings: BTreeMap::from([("hold_ms".to_owned(), 60_000)]), ..policy() };
        assert!(matches!(Signed::sign(&organisation(), &wild), Err(RecordError::Timing(_))));
        let sunny = EyesRules { liveness: crate::eyes::Liveness::LightRequired, ..EyesRules::default() };
        let sunny = Policy { eyes: Some(sunny), ..policy() };
        assert!(matches!(Signed::sign(&organisation(), &sunny), Err(RecordError::Eyes(_))));
    }

    #[test]
    fn a_policy_that_asks_for_more_than_this_reader_knows_is_refused_as_a_whole() {
        let eyes = Some(EyesRules { recognition: crate::eyes::Recognition::Strict, ..EyesRules::default() });
        let mut payload = minicbor::to_vec(Policy { eyes, ..policy() }).unwrap();
        let read = |payload: &[u8]| {
            let bytes = cose::sign1(&organisation(), Policy::CONTEXT, payload);
            Signed::<Policy>::verify(&organisation().verifying_key(), &bytes, 1_500)
        };
        assert_eq!(read(&payload).unwrap().record().eyes, eyes);
        assert_eq!(payload[payload.len() - 2..], [5, 1], "the key of recognition, and strict");
        // What must not happen is that the rules are left out, and everything has its default.
        *payload.last_mut().unwrap() = 9;
        assert_eq!(read(&payload), Err(RecordError::Malformed { kind: Policy::KIND }));
    }
}
