//! A device that an invitation lets in: OPEN names the invitation, ENROL brings the operator's template.
//!
//! ```text
//!  OPEN ─ enrolment, signed by the code's key ─ invitation ─ enroller ─ organisation?  ─► AwaitEnrol
//!  ENROL ─ template, sealed to this connection ─► kept ─► Live, as if it had always been enrolled
//! ```
//! Nothing of the device is kept before ENROL, which its own key signs: an OPEN that somebody has overheard uses nothing up.

use crate::cose;
use crate::enrol::{Admission, Invited};
use crate::error::{Code, Fault, Refusal, Refused};
use crate::keyfile;
use crate::limits::ENROL_MAX_BYTES;
use crate::message::{self, Enrol, Open, kind};
use crate::records::{HostRecord, RecordError, Signed};
use crate::session::{OPEN_CONTEXT, Sealer, transcript};
use crate::template::{self, OperatorTemplate};

use super::{AwaitOpen, Devices, Fresh, Live, Opened};

/// What became of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    Kept,
    /// The host's admin has to look at it first.
    Waiting,
}

/// Why a device was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// The invitation was used for another device.
    Used,
    /// The device is enrolled for another user.
    OtherUser,
    /// The enroller may not invite this user, or was revoked.
    NotAllowed,
    /// The folder or the disk.
    NotKept,
}

/// OPEN of a new device was accepted.
#[derive(Debug)]
pub struct AwaitEnrol {
    opening: AwaitOpen,
    claimed: Open,
    open: Vec<u8>,
    admission: Admission,
    sealer: Sealer,
}

impl AwaitOpen {
    /// Whether this OPEN is that of a device that wants to be let in: `enrol` takes it, `handle` does not.
    pub fn is_enrolling(open: &[u8]) -> bool {
        claimed(open).is_ok_and(|claimed| claimed.enrolment.is_some())
    }

    /// Takes such an OPEN.
    pub fn enrol(self, open: &[u8], devices: &dyn Devices, now_ms: u64) -> Result<AwaitEnrol, Refused> {
        let mut teller = self.teller(open);
        self.invited(open, devices, now_ms)
            .map_err(|refusal| Refused { reply: teller.refuse(&refusal), refusal })
    }

    fn invited(self, open: &[u8], devices: &dyn Devices, now_ms: u64) -> Result<AwaitEnrol, Refusal> {
        self.check_open(open, now_ms)?;
        let claimed = claimed(open)?;
        let enrolment = claimed.enrolment.as_ref().ok_or(Refusal::peer(Code::Unexpected))?;
        let unknown = || Refusal::peer(Code::InvitationUnknown);
        let invited = devices.invitation(&cose::claimed_key_id(enrolment)?).map_err(refused)?;
        let invited: Invited = invited.ok_or_else(unknown)?;
        // A key id has eight bytes: another key may have the same.
        let admission = Admission::new(invited, enrolment).map_err(|error| match error {
            RecordError::Signature { .. } => unknown(),
            other => refused(other),
        })?;
        // A copy of the host's folder must not make one code good for several hosts.
        let organisation = &self.setup.organisation;
        let host = Signed::<HostRecord>::verify_any_time(organisation, &self.setup.host_record);
        if host.map_err(refused)?.record().host_id != admission.invited().invitation().host_id {
            return Err(Refusal::peer(Code::InvitationUnknown));
        }
        let device = admission.device();
        let key = device.key().map_err(refused)?;
        if claimed.device_id != keyfile::device_id(&key) {
            return Err(Refusal::peer(Code::InvitationUnknown));
        }
        cose::verify1(&key, OPEN_CONTEXT, open)?;
        admission.invited().check_time(self.setup.wall_ms).map_err(|error| match error {
            RecordError::Expired { kind: "invitation", .. } => {
                Refusal::new(Code::InvitationEnded, Fault::Peer, "")
            }
            other => refused(other),
        })?;
        self.check_session(&claimed)?;
        let sealer = Sealer::new(self.setup.host_key.clone(), key, transcript(&self.hello, open));
        Ok(AwaitEnrol { claimed, open: open.to_vec(), admission, sealer, opening: self })
    }
}

impl AwaitEnrol {
    /// Whether the client has taken too long.
    pub fn is_late(&self, now_ms: u64) -> bool {
        self.opening.is_late(now_ms)
    }

    /// Takes ENROL; has the device kept, and goes on as with one that was enrolled before.
    pub fn handle(
        mut self,
        enrol: &[u8],
        devices: &dyn Devices,
        fresh: &Fresh,
        now_ms: u64,
    ) -> Result<(Live, Vec<u8>, Opened), Refused> {
        if let Err(refusal) = self.admit(enrol, devices, now_ms) {
            return Err(Refused { reply: self.sealer.refuse(&refusal), refusal });
        }
        let AwaitEnrol { opening, claimed, open, sealer, .. } = self;
        let mut teller = opening.teller(&open);
        let device = opening.device_of(&claimed, &open, devices).and_then(|device| {
            let in_force = opening.in_force(&device.record, devices)?;
            Ok((device, in_force))
        });
        device
            .and_then(|device| opening.go_live(claimed, &open, device, sealer, fresh, now_ms))
            .map_err(|refusal| Refused { reply: teller.refuse(&refusal), refusal })
    }

    fn admit(&mut self, enrol: &[u8], devices: &dyn Devices, now_ms: u64) -> Result<(), Refusal> {
        if self.is_late(now_ms) {
            return Err(Refusal::new(Code::Timeout, Fault::Surroundings, ""));
        }
        if enrol.len() > ENROL_MAX_BYTES {
            return Err(Refusal::peer(Code::TooLarge));
        }
        let (got, body) = self.sealer.open(enrol)?;
        if got != kind::ENROL {
            return Err(Refusal::peer(Code::Unexpected));
        }
        let enrol: Enrol = message::body(body)?;
        let secret = &self.opening.setup.enrol_secret;
        let unseal = |sealed: &Vec<u8>| template::unseal(sealed, self.sealer.transcript(), secret);
        let template: Option<OperatorTemplate> = Some(&enrol.template)
            .filter(|sealed| !sealed.is_empty())
            .map(unseal)
            .transpose()
            .map_err(|error| Refusal::new(Code::Template, Fault::Peer, error.to_string()))?;
        let recognises = self.opening.in_force(&self.admission.device(), devices)?.recognises();
        if recognises && template.is_none() {
            return Err(Refusal::new(Code::Template, Fault::Peer, "the device brought none"));
        }
        // What nobody compares is not kept.
        let template = template.filter(|_| recognises);
        match devices.admit(&self.admission, template.as_ref()) {
            Ok(Admitted::Kept) => Ok(()),
            Ok(Admitted::Waiting) => Err(Refusal::new(Code::ApprovalPending, Fault::Organisation, "")),
            Err(NotAdmitted::Used) => Err(Refusal::peer(Code::InvitationUsed)),
            Err(NotAdmitted::OtherUser) => Err(Refusal::peer(Code::WrongUser)),
            Err(NotAdmitted::NotAllowed) => {
                Err(Refusal::new(Code::InvitationRefused, Fault::Organisation, ""))
            }
            Err(NotAdmitted::NotKept) => Err(Refusal::new(Code::NotKept, Fault::Us, "")),
        }
    }
}

pub(super) fn claimed(open: &[u8]) -> Result<Open, Refusal> {
    let (claimed_kind, _, body) = message::split(cose::unverified_payload(open)?)?;
    if claimed_kind == kind::OPEN { message::body(body) } else { Err(Refusal::peer(Code::Unexpected)) }
}

/// What was signed does not let this device in.
fn refused(error: RecordError) -> Refusal {
    Refusal::new(Code::InvitationRefused, Fault::Organisation, error.to_string())
}
