//! Everything that the organisation signed for a fleet of hosts, in one signed file that only gets newer.
//!
//! ```text
//!  policy · host records · device records · revocations ── serial ── hosts ──► one COSE_Sign1
//! ```
//! Each record inside is signed by itself, too, so that a host need not believe the bundle once it is taken apart. The
//! bundle's own signature says that they belong together, and its serial that nothing older follows.

use ed25519_dalek::{SigningKey, VerifyingKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::cbor;
use crate::cose::{self, CoseError};
use crate::enrol::Revocation;
use crate::limits::{
    BUNDLE_DEVICES_MAX, BUNDLE_HOSTS_MAX, BUNDLE_MAX_BYTES, BUNDLE_REVOCATIONS_MAX, RECORD_MAX_BYTES,
};
use crate::message::{Digest, Id};
use crate::records::{DeviceRecord, HostRecord, Policy, Record, RecordError, Signed};

/// The COSE `external_aad`.
pub const CONTEXT: &[u8] = b"sudare/v1 bundle";

/// What is in one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Bundle {
    /// A later one replaces an earlier one, and never the other way round.
    #[n(0)]
    pub serial: u64,
    #[n(1)]
    pub made_ms: u64,
    /// Ids of the hosts for which it is; empty: all of the organisation's.
    #[n(2)]
    pub hosts: Vec<String>,
    /// The signed `Policy`.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub policy: Vec<u8>,
    /// Signed `HostRecord`s.
    #[n(4)]
    pub host_records: Vec<ByteVec>,
    /// Signed `DeviceRecord`s.
    #[n(5)]
    pub devices: Vec<ByteVec>,
    /// Signed `Revocation`s. A host forgets none of them.
    #[n(6)]
    pub revocations: Vec<ByteVec>,
}

/// Why a bundle is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error(
        "the bundle has {0} bytes, and at most {BUNDLE_MAX_BYTES} are read. The security team must split the fleet"
    )]
    TooLarge(usize),
    #[error(
        "the bundle is not signed with this organisation's key, or is torn ({0}). Ask the security team for one that is"
    )]
    Signature(#[from] CoseError),
    #[error("the bundle is signed but cannot be decoded. It was made for another version of Sudare")]
    Malformed,
    #[error(
        "the bundle has {devices} devices, {hosts} hosts and {revocations} revocations, and at most {BUNDLE_DEVICES_MAX}, {BUNDLE_HOSTS_MAX} and {BUNDLE_REVOCATIONS_MAX} are possible. The security team must split the fleet"
    )]
    TooMany { devices: usize, hosts: usize, revocations: usize },
    #[error("a record in the bundle cannot be used: {0}")]
    Record(#[from] RecordError),
    #[error("the bundle is for other hosts than {0:?}. Give this host the bundle that names it")]
    OtherHost(String),
    #[error(
        "the bundle has the serial {serial}, and this host has {ours}. Somebody offers an old one: the security team must look at who writes the place it comes from"
    )]
    Older { serial: u64, ours: u64 },
    #[error(
        "the bundle has the serial {0}, which this host has of another bundle. Two were made with one serial: the security team must make the next one"
    )]
    SameSerial(u64),
}

/// Which bundle a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub serial: u64,
    pub digest: Digest,
}

/// A bundle whose signature and form were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBundle {
    bundle: Bundle,
    digest: Digest,
}

impl Bundle {
    /// Signs it; refuses one of which something could not be used at `now_ms`.
    pub fn sign(&self, organisation: &SigningKey, now_ms: u64) -> Result<Vec<u8>, BundleError> {
        let key = organisation.verifying_key();
        self.check_counts()?;
        Signed::<Policy>::verify(&key, &self.policy, now_ms)?;
        all::<HostRecord>(&key, &self.host_records)?;
        all::<DeviceRecord>(&key, &self.devices)?;
        all::<Revocation>(&key, &self.revocations)?;
        let payload = minicbor::to_vec(self).map_err(|_| BundleError::Malformed)?;
        let bytes = cose::sign1(organisation, CONTEXT, &payload);
        if bytes.len() > BUNDLE_MAX_BYTES { Err(BundleError::TooLarge(bytes.len())) } else { Ok(bytes) }
    }

    fn check_counts(&self) -> Result<(), BundleError> {
        let (devices, revocations) = (self.devices.len(), self.revocations.len());
        let hosts = self.hosts.len().max(self.host_records.len());
        let fits = devices <= BUNDLE_DEVICES_MAX
            && hosts <= BUNDLE_HOSTS_MAX
            && revocations <= BUNDLE_REVOCATIONS_MAX;
        if fits { Ok(()) } else { Err(BundleError::TooMany { devices, hosts, revocations }) }
    }
}

impl SignedBundle {
    /// Checks signature and form. The records inside are checked where they are used.
    pub fn verify(organisation: &VerifyingKey, bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > BUNDLE_MAX_BYTES {
            return Err(BundleError::TooLarge(bytes.len()));
        }
        let payload = cose::verify1(organisation, CONTEXT, bytes)?;
        let bundle: Bundle = cbor::read(payload).map_err(|_| BundleError::Malformed)?;
        bundle.check_counts()?;
        Ok(SignedBundle { bundle, digest: Sha256::digest(bytes).into() })
    }

    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub fn mark(&self) -> Mark {
        Mark { serial: self.bundle.serial, digest: self.digest }
    }

    /// Whether it brings anything to this host, which has `ours`.
    ///
    /// # Errors
    /// It is not for this host, or older than what it has.
    pub fn is_news(&self, host_id: &str, ours: Option<Mark>) -> Result<bool, BundleError> {
        let hosts = &self.bundle.hosts;
        if !hosts.is_empty() && !hosts.iter().any(|host| host == host_id) {
            return Err(BundleError::OtherHost(host_id.to_owned()));
        }
        let (theirs, Some(ours)) = (self.mark(), ours) else { return Ok(true) };
        match theirs.serial.cmp(&ours.serial) {
            std::cmp::Ordering::Greater => Ok(true),
            std::cmp::Ordering::Less => Err(BundleError::Older { serial: theirs.serial, ours: ours.serial }),
            std::cmp::Ordering::Equal if theirs == ours => Ok(false),
            std::cmp::Ordering::Equal => Err(BundleError::SameSerial(ours.serial)),
        }
    }
}

/// The device of a record that a bundle brings, before its signature is looked at.
pub fn claimed_device(record: &[u8]) -> Option<Id> {
    let payload = cose::unverified_payload(record).ok().filter(|_| record.len() <= RECORD_MAX_BYTES)?;
    Some(cbor::read::<DeviceRecord>(payload).ok()?.device_id)
}

fn all<R: Record>(key: &VerifyingKey, records: &[ByteVec]) -> Result<(), RecordError> {
    records.iter().try_for_each(|bytes| Signed::<R>::verify_any_time(key, bytes).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests as records;

    const NOW_MS: u64 = 5_000;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn policy(by: &SigningKey) -> Vec<u8> {
        Signed::sign(by, &Policy { not_before_ms: 0, not_after_ms: 10_000, ..records::policy() }).unwrap()
    }

    fn device(n: u8) -> ByteVec {
        let device_key = SigningKey::from_bytes(&[n; 32]).verifying_key();
        let record = DeviceRecord {
            device_id: crate::keyfile::device_id(&device_key),
            device_key: device_key.to_bytes(),
            user: "alice".into(),
            not_before_ms: 0,
            not_after_ms: 10_000,
        };
        Signed::sign(&key(), &record).unwrap().into()
    }

    fn bundle(serial: u64) -> Bundle {
        Bundle {
            serial,
            made_ms: NOW_MS,
            hosts: vec![],
            policy: policy(&key()),
            host_records: vec![],
            devices: vec![device(7), device(8)],
            revocations: vec![],
        }
    }

    fn signed(bundle: &Bundle) -> SignedBundle {
        SignedBundle::verify(&key().verifying_key(), &bundle.sign(&key(), NOW_MS).unwrap()).unwrap()
    }

    #[test]
    fn only_what_the_organisation_signed_whole_is_read() {
        let bytes = bundle(1).sign(&key(), NOW_MS).unwrap();
        let read = |bytes: &[u8]| SignedBundle::verify(&key().verifying_key(), bytes);
        assert_eq!(read(&bytes).unwrap().bundle(), &bundle(1));
        for torn in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(read(&bytes[..torn]), Err(BundleError::Signature(_))), "{torn}");
        }
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        assert!(read(&changed).is_err());
        let stranger = SigningKey::from_bytes(&[2; 32]).verifying_key();
        assert!(matches!(SignedBundle::verify(&stranger, &bytes), Err(BundleError::Signature(_))));
        assert!(matches!(read(&vec![0; BUNDLE_MAX_BYTES + 1]), Err(BundleError::TooLarge(_))));
    }

    #[test]
    fn nothing_older_and_no_second_one_of_a_serial_is_news() {
        let (first, second) = (signed(&bundle(5)), signed(&bundle(6)));
        assert_eq!(first.is_news("vdi-1", None), Ok(true));
        assert_eq!(second.is_news("vdi-1", Some(first.mark())), Ok(true));
        assert_eq!(first.is_news("vdi-1", Some(first.mark())), Ok(false));
        let older = BundleError::Older { serial: 5, ours: 6 };
        assert_eq!(first.is_news("vdi-1", Some(second.mark())), Err(older));
        let other = signed(&Bundle { made_ms: 1, ..bundle(5) });
        assert_eq!(other.is_news("vdi-1", Some(first.mark())), Err(BundleError::SameSerial(5)));
    }

    #[test]
    fn it_is_for_the_hosts_that_it_names() {
        let some = signed(&Bundle { hosts: vec!["vdi-1".into()], ..bundle(1) });
        assert_eq!(some.is_news("vdi-1", None), Ok(true));
        assert_eq!(some.is_news("vdi-2", None), Err(BundleError::OtherHost("vdi-2".into())));
    }

    #[test]
    fn one_with_a_record_that_nobody_could_use_is_not_signed() {
        let sign = |bundle: Bundle| bundle.sign(&key(), NOW_MS).unwrap_err();
        let stranger = SigningKey::from_bytes(&[2; 32]);
        assert!(matches!(sign(Bundle { policy: policy(&stranger), ..bundle(1) }), BundleError::Record(_)));
        let late = bundle(1).sign(&key(), 10_001).unwrap_err();
        assert!(matches!(late, BundleError::Record(RecordError::Expired { .. })));
        let swapped = Bundle { devices: vec![policy(&key()).into()], ..bundle(1) };
        assert!(matches!(sign(swapped), BundleError::Record(_)));
        let many =
            Bundle { revocations: vec![ByteVec::from(vec![]); BUNDLE_REVOCATIONS_MAX + 1], ..bundle(1) };
        assert!(matches!(sign(many), BundleError::TooMany { .. }));
    }

    #[test]
    fn devices_are_named_by_their_records() {
        let id = crate::keyfile::device_id(&SigningKey::from_bytes(&[7; 32]).verifying_key());
        assert_eq!(claimed_device(&device(7)), Some(id));
        assert_eq!(claimed_device(b"torn"), None);
    }
}
