//! A device whose consent is taken back: nothing of its operators stays, and nobody is let in.
//!
//! A device that was revoked, or whose time is over, may take its consent back as well.

use crate::cose;
use crate::error::{Code, Fault, Refusal, Refused};
use crate::limits::{OPEN_MAX_BYTES, WITHDRAWAL_MAX_BYTES};
use crate::message::{Digest, Open, Withdrawn, kind};
use crate::records::{HostRecord, Signed};
use crate::session::{OPEN_CONTEXT, Sealer, transcript};
use crate::withdrawal::{Receipt, Withdrawal};

use super::{AwaitOpen, Devices};

/// What was proved, for the log, and the framed WITHDRAWN.
#[derive(Debug)]
pub struct TakenBack {
    pub reply: Vec<u8>,
    pub device_key: [u8; 32],
    pub device_record_sha256: Digest,
    /// Both signed handshake messages; the second carries the withdrawal.
    pub hello: Vec<u8>,
    pub open: Vec<u8>,
}

impl AwaitOpen {
    /// Whether this OPEN takes consent back: `withdraw` takes it, `handle` does not.
    pub fn is_withdrawing(open: &[u8]) -> bool {
        super::enrol::claimed(open).is_ok_and(|claimed| claimed.withdrawal.is_some())
    }

    /// Takes such an OPEN, and has the device's templates erased.
    pub fn withdraw(self, open: &[u8], devices: &dyn Devices, now_ms: u64) -> Result<TakenBack, Refused> {
        let mut teller = self.teller(open);
        self.take_back(open, devices, now_ms)
            .map_err(|refusal| Refused { reply: teller.refuse(&refusal), refusal })
    }

    fn take_back(self, open: &[u8], devices: &dyn Devices, now_ms: u64) -> Result<TakenBack, Refusal> {
        self.check_open(open, now_ms)?;
        let claimed: Open = super::enrol::claimed(open)?;
        let bytes = claimed.withdrawal.as_ref().ok_or(Refusal::peer(Code::Unexpected))?;
        let unknown = |detail: String| Refusal::new(Code::DeviceUnknown, Fault::Organisation, detail);
        let device = devices.find(&claimed.device_id).map_err(|e| unknown(e.to_string()))?;
        let device = device.ok_or_else(|| unknown(String::new()))?;
        let key = device.record.key().map_err(|e| unknown(e.to_string()))?;
        cose::verify1(&key, OPEN_CONTEXT, open)?;
        self.check_session(&claimed)?;
        let signed = Signed::<Withdrawal>::verify_any_time(&key, bytes)
            .map_err(|e| Refusal::new(Code::Signature, Fault::Peer, e.to_string()))?;
        if signed.record().device_key != device.record.device_key {
            return Err(Refusal::new(Code::Signature, Fault::Peer, "it is another device's"));
        }
        let erased = devices
            .withdraw(&claimed.device_id, &signed)
            .map_err(|_| Refusal::new(Code::NotKept, Fault::Us, ""))?;
        let refused = |e: crate::records::RecordError| {
            Refusal::new(Code::HostUnknown, Fault::Organisation, e.to_string())
        };
        let host = Signed::<HostRecord>::verify_any_time(&self.setup.organisation, &self.setup.host_record);
        let receipt = Receipt {
            withdrawal: signed.digest(),
            host_id: host.map_err(refused)?.record().host_id.clone(),
            at_ms: self.setup.wall_ms,
            erased,
        };
        let receipt = Signed::sign(&self.setup.host_key, &receipt).map_err(refused)?;
        let mut sealer = Sealer::new(self.setup.host_key.clone(), key, transcript(&self.hello, open));
        Ok(TakenBack {
            reply: sealer.seal(kind::WITHDRAWN, &Withdrawn { receipt })?,
            device_key: device.record.device_key,
            device_record_sha256: device.record_sha256,
            hello: self.hello,
            open: open.to_vec(),
        })
    }
}

// What the log keeps has room for it.
const _: () = assert!(WITHDRAWAL_MAX_BYTES + 3 * 1024 <= OPEN_MAX_BYTES);
