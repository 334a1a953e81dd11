//! What is signed on the way from the organisation to a device, and how it is taken back.

use ed25519_dalek::VerifyingKey;
use minicbor::{Decode, Encode};

use crate::groups::{EVERYBODY, OF_HOST};
use crate::limits::ENROLLER_USERS_MAX;
use crate::records::{Record, RecordError, key_of, text};

/// Who may invite devices: for whom, how many, until when. Signed by the organisation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrollerRecord {
    /// For people, such as "help desk Tokyo".
    #[n(0)]
    pub name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// User names, `@group` for those of a group of the host, or `*`.
    #[n(2)]
    pub users: Vec<String>,
    /// Invitations are numbered from 1 to this.
    #[n(3)]
    pub devices_max: u32,
    #[n(4)]
    pub not_before_ms: u64,
    /// Its devices are refused from then on. The same key may be given a later record.
    #[n(5)]
    pub not_after_ms: u64,
}

/// One device of one user may be let in, once. Signed by the enroller's key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Invitation {
    /// One-time: its secret half is made from what the code holds.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    #[n(1)]
    pub user: String,
    /// The only host that takes it.
    #[n(2)]
    pub host_id: String,
    /// Which of the enroller's invitations it is. Two devices with one number are one too many.
    #[n(3)]
    pub number: u32,
    #[n(4)]
    pub not_before_ms: u64,
    /// The last moment at which it can be used.
    #[n(5)]
    pub not_after_ms: u64,
    /// Until when the device is let in.
    #[n(6)]
    pub device_until_ms: u64,
    /// Whether the host's admin looks at it before it counts.
    #[n(7)]
    pub needs_approval: bool,
}

/// The device for which an invitation is used. Signed by the invitation's key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Enrolment {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub device_key: [u8; 32],
}

/// A key of an enroller or a device that counts no more, whatever else was signed. Signed by the organisation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Revocation {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub key: [u8; 32],
    #[n(1)]
    pub at_ms: u64,
}

impl Record for EnrollerRecord {
    const KIND: &'static str = "enroller record";
    const CONTEXT: &'static [u8] = b"sudare/v1 enroller record";
    fn validity_ms(&self) -> (u64, u64) {
        (self.not_before_ms, self.not_after_ms)
    }
    fn check(&self) -> Result<(), RecordError> {
        key_of(&self.key, Self::KIND)?;
        text(&self.name, Self::KIND)?;
        if self.users.is_empty() || self.users.len() > ENROLLER_USERS_MAX {
            return Err(RecordError::Users(self.users.len()));
        }
        self.users.iter().try_for_each(|user| text(user, Self::KIND))
    }
}

impl EnrollerRecord {
    pub fn key(&self) -> Result<VerifyingKey, RecordError> {
        key_of(&self.key, Self::KIND)
    }

    /// Whether it may invite this user, who is in some groups of the host.
    pub fn allows(&self, user: &str, is_in_group: &dyn Fn(&str) -> bool) -> bool {
        self.users.iter().any(|allowed| match allowed.strip_prefix(OF_HOST) {
            Some(group) => is_in_group(group),
            None => allowed == EVERYBODY || allowed == user,
        })
    }

    /// Whether it names groups, whose members only the host knows.
    pub(super) fn names_groups(&self) -> bool {
        self.users.iter().any(|allowed| allowed.starts_with(OF_HOST))
    }
}

impl Record for Invitation {
    const KIND: &'static str = "invitation";
    const CONTEXT: &'static [u8] = b"sudare/v1 invitation";
    const SIGNER: &'static str = "the enroller's key";
    fn validity_ms(&self) -> (u64, u64) {
        (self.not_before_ms, self.not_after_ms)
    }
    fn check(&self) -> Result<(), RecordError> {
        key_of(&self.key, Self::KIND)?;
        text(&self.user, Self::KIND)?;
        text(&self.host_id, Self::KIND)
    }
}

impl Invitation {
    pub fn key(&self) -> Result<VerifyingKey, RecordError> {
        key_of(&self.key, Self::KIND)
    }
}

impl Record for Enrolment {
    const KIND: &'static str = "enrolment";
    const CONTEXT: &'static [u8] = b"sudare/v1 enrolment";
    const SIGNER: &'static str = "the pairing code's key";
    fn validity_ms(&self) -> (u64, u64) {
        // As long as what it belongs to.
        (0, u64::MAX)
    }
    fn check(&self) -> Result<(), RecordError> {
        key_of(&self.device_key, Self::KIND).map(|_| ())
    }
}

impl Record for Revocation {
    const KIND: &'static str = "revocation";
    const CONTEXT: &'static [u8] = b"sudare/v1 revocation";
    fn validity_ms(&self) -> (u64, u64) {
        // For good, and at once: whoever signs it with a clock that is ahead means now.
        (0, u64::MAX)
    }
    fn check(&self) -> Result<(), RecordError> {
        key_of(&self.key, Self::KIND).map(|_| ())
    }
}
