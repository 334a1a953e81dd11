//! Everything that lets one device in, as one value: three signatures that lead from the organisation to it.

use ed25519_dalek::VerifyingKey;
use minicbor::bytes::ByteVec;
use sha2::{Digest as _, Sha256};

use super::records::{EnrollerRecord, Enrolment, Invitation};
use crate::cbor;
use crate::keyfile::device_id;
use crate::limits::RECORD_MAX_BYTES;
use crate::message::Digest;
use crate::records::{DeviceRecord, Record as _, RecordError, Signed};

const KIND: &str = "admission";

/// An invitation, and who may invite: what a host keeps until it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    enroller: Signed<EnrollerRecord>,
    invitation: Signed<Invitation>,
}

impl Invited {
    /// Reads `[enroller record, invitation]`, signed by the organisation and by the enroller.
    pub fn verify(organisation: &VerifyingKey, bytes: &[u8]) -> Result<Self, RecordError> {
        let [enroller, invitation] = parts(bytes)?;
        Self::of(organisation, &enroller, &invitation)
    }

    /// The same from its parts.
    pub fn of(organisation: &VerifyingKey, enroller: &[u8], invitation: &[u8]) -> Result<Self, RecordError> {
        let enroller = Signed::<EnrollerRecord>::verify_any_time(organisation, enroller)?;
        let invitation = Signed::<Invitation>::verify_any_time(&enroller.record().key()?, invitation)?;
        let (by, invited) = (enroller.record(), invitation.record());
        if !(1..=by.devices_max).contains(&invited.number) {
            return Err(RecordError::BeyondNumber { number: invited.number, most: by.devices_max });
        }
        // Members of groups are the host's to know.
        if !by.names_groups() && !by.allows(&invited.user, &|_| false) {
            return Err(RecordError::BeyondUsers);
        }
        Ok(Invited { enroller, invitation })
    }

    pub fn enroller(&self) -> &EnrollerRecord {
        self.enroller.record()
    }

    pub fn invitation(&self) -> &Invitation {
        self.invitation.record()
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        join(&[self.enroller.bytes(), self.invitation.bytes()])
    }

    /// Whether it can be used now (Unix milliseconds).
    pub fn check_time(&self, now_ms: u64) -> Result<(), RecordError> {
        self.enroller.check_time(now_ms)?;
        self.invitation.check_time(now_ms)
    }
}

/// A device that an invitation was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    invited: Invited,
    device: VerifyingKey,
    bytes: Vec<u8>,
}

impl Admission {
    /// Puts an enrolment to the invitation whose key signed it.
    pub fn new(invited: Invited, enrolment: &[u8]) -> Result<Self, RecordError> {
        let signed = Signed::<Enrolment>::verify_any_time(&invited.invitation().key()?, enrolment)?;
        let device = crate::records::key_of(&signed.record().device_key, Enrolment::KIND)?;
        let bytes = join(&[invited.enroller.bytes(), invited.invitation.bytes(), enrolment]);
        if bytes.len() > RECORD_MAX_BYTES {
            return Err(RecordError::TooLarge { kind: KIND });
        }
        Ok(Admission { invited, device, bytes })
    }

    /// Reads `[enroller record, invitation, enrolment]`.
    pub fn verify(organisation: &VerifyingKey, bytes: &[u8]) -> Result<Self, RecordError> {
        let [enroller, invitation, enrolment] = parts(bytes)?;
        Self::new(Invited::of(organisation, &enroller, &invitation)?, &enrolment)
    }

    /// Whether these bytes are one, and not a record that the organisation signed itself.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.first() == Some(&0x83)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How the log names it.
    pub fn digest(&self) -> Digest {
        Sha256::digest(&self.bytes).into()
    }

    pub fn invited(&self) -> &Invited {
        &self.invited
    }

    /// What a record of the organisation would say of this device. It ends with the enroller.
    pub fn device(&self) -> DeviceRecord {
        let (by, invitation) = (self.invited.enroller(), self.invited.invitation());
        DeviceRecord {
            device_id: device_id(&self.device),
            device_key: self.device.to_bytes(),
            user: invitation.user.clone(),
            not_before_ms: invitation.not_before_ms.max(by.not_before_ms),
            not_after_ms: invitation.device_until_ms.min(by.not_after_ms),
        }
    }
}

fn parts<const N: usize>(bytes: &[u8]) -> Result<[Vec<u8>; N], RecordError> {
    if bytes.len() > RECORD_MAX_BYTES {
        return Err(RecordError::TooLarge { kind: KIND });
    }
    let malformed = |_| RecordError::Malformed { kind: KIND };
    let parts: Vec<ByteVec> = cbor::read(bytes).map_err(malformed)?;
    let parts: Vec<Vec<u8>> = parts.into_iter().map(Into::into).collect();
    parts.try_into().map_err(|_| RecordError::Malformed { kind: KIND })
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    let parts: Vec<ByteVec> = parts.iter().map(|part| part.to_vec().into()).collect();
    // Writing to a Vec cannot fail.
    minicbor::to_vec(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::groups::EVERYBODY;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn enroller(users: &[&str]) -> EnrollerRecord {
        EnrollerRecord {
            name: "help desk".into(),
            key: key(2).verifying_key().to_bytes(),
            users: users.iter().map(|user| (*user).to_owned()).collect(),
            devices_max: 3,
            not_before_ms: 100,
            not_after_ms: 1_000,
        }
    }

    fn invitation() -> Invitation {
        Invitation {
            key: key(3).verifying_key().to_bytes(),
            user: "alice".into(),
            host_id: "vdi-1".into(),
            number: 3,
            not_before_ms: 200,
            not_after_ms: 300,
            device_until_ms: 5_000,
            needs_approval: false,
        }
    }

    fn admitted(enroller: &EnrollerRecord, invitation: &Invitation) -> Result<Admission, RecordError> {
        let enroller = Signed::sign(&key(1), enroller)?;
        let invitation = Signed::sign(&key(2), invitation)?;
        let enrolment = Enrolment { device_key: key(4).verifying_key().to_bytes() };
        let enrolment = Signed::sign(&key(3), &enrolment)?;
        let bytes = join(&[&enroller, &invitation, &enrolment]);
        assert!(Admission::is_one(&bytes) && !Admission::is_one(&enroller));
        let admission = Admission::verify(&key(1).verifying_key(), &bytes)?;
        assert_eq!(admission.bytes(), bytes);
        Ok(admission)
    }

    #[test]
    fn three_signatures_let_a_device_in_for_as_long_as_the_enroller_counts() {
        let device = admitted(&enroller(&["bob", "alice"]), &invitation()).unwrap().device();
        assert_eq!(device.device_id, device_id(&key(4).verifying_key()));
        assert_eq!((device.user.as_str(), device.not_before_ms, device.not_after_ms), ("alice", 200, 1_000));
    }

    #[test]
    fn an_enroller_beyond_its_limits_lets_nobody_in() {
        let all = enroller(&[EVERYBODY]);
        assert_eq!(admitted(&enroller(&["bob"]), &invitation()), Err(RecordError::BeyondUsers));
        for number in [0, 4, u32::MAX] {
            let error = admitted(&all, &Invitation { number, ..invitation() });
            assert_eq!(error, Err(RecordError::BeyondNumber { number, most: 3 }));
        }
        // Who is in a group, the host says.
        let group = enroller(&["@staff"]);
        assert!(admitted(&group, &invitation()).is_ok());
        assert!(group.allows("alice", &|name| name == "staff") && !group.allows("alice", &|_| false));
    }

    #[test]
    fn each_signature_is_the_one_before_its_right() {
        let organisation = key(1).verifying_key();
        let (by, invited) = (enroller(&["*"]), invitation());
        let enroller = Signed::sign(&key(1), &by).unwrap();
        let invitation = Signed::sign(&key(2), &invited).unwrap();
        let enrolment = Enrolment { device_key: key(4).verifying_key().to_bytes() };
        let right = Signed::sign(&key(3), &enrolment).unwrap();
        let wrong = [
            [&Signed::sign(&key(9), &by).unwrap(), &invitation, &right],
            [&enroller, &Signed::sign(&key(9), &invited).unwrap(), &right],
            [&enroller, &invitation, &Signed::sign(&key(9), &enrolment).unwrap()],
            // One kind of record is never taken for another.
            [&enroller, &right, &right],
        ];
        for parts in wrong {
            let bytes = join(&parts.map(Vec::as_slice));
            let refused = Admission::verify(&organisation, &bytes);
            assert!(matches!(refused, Err(RecordError::Signature { .. })), "{refused:?}");
        }
        for bytes in [join(&[&enroller, &invitation]), join(&[]), vec![0x83], vec![0; RECORD_MAX_BYTES + 1]] {
            assert!(Admission::verify(&organisation, &bytes).is_err());
        }
    }

    #[test]
    fn an_invitation_is_used_in_its_time_and_in_that_of_its_enroller() {
        let invited = |enroller: &EnrollerRecord, invitation: &Invitation| {
            let enroller = Signed::sign(&key(1), enroller).unwrap();
            let invitation = Signed::sign(&key(2), invitation).unwrap();
            Invited::of(&key(1).verifying_key(), &enroller, &invitation).unwrap()
        };
        let usual = invited(&enroller(&["*"]), &invitation());
        let at = |now_ms| usual.check_time(now_ms).is_ok();
        assert_eq!([199, 200, 300, 301].map(at), [false, true, true, false]);
        let ended = EnrollerRecord { not_after_ms: 250, ..enroller(&["*"]) };
        assert!(invited(&ended, &invitation()).check_time(260).is_err());
        assert_eq!(Invited::verify(&key(1).verifying_key(), &usual.to_bytes()).unwrap(), usual);
    }
}
