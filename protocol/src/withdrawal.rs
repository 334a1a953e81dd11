//! Consent that is taken back: what the device signs, and what each host signs once it has acted on it.
//!
//! ```text
//!  device ── OPEN with a Withdrawal ──► host: templates erased, device refused, OPEN kept in the log
//!  device ◄── WITHDRAWN with a Receipt ── host
//! ```
//! Both can be read by anybody who has the keys, long after the connection.

use ed25519_dalek::VerifyingKey;
use minicbor::{Decode, Encode};

use crate::message::Digest;
use crate::records::{Record, RecordError, key_of, text};

/// Signed by the device's key: nothing may look at its operators any more, anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Withdrawal {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub device_key: [u8; 32],
    #[n(1)]
    pub at_ms: u64,
}

/// Signed by the host's key: what it has done.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// SHA-256 of the signed withdrawal.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub withdrawal: Digest,
    #[n(1)]
    pub host_id: String,
    #[n(2)]
    pub at_ms: u64,
    /// Whether every template of the device is gone. Otherwise none is used any more, and a service of the host erases
    /// what is left: another receipt says so.
    #[n(3)]
    pub erased: bool,
}

impl Record for Withdrawal {
    const KIND: &'static str = "withdrawal";
    const CONTEXT: &'static [u8] = b"sudare/v1 withdrawal";
    const SIGNER: &'static str = "the device's key";
    fn validity_ms(&self) -> (u64, u64) {
        // Until somebody agrees again.
        (0, u64::MAX)
    }
    fn check(&self) -> Result<(), RecordError> {
        key_of(&self.device_key, Self::KIND).map(|_| ())
    }
}

impl Withdrawal {
    pub fn key(&self) -> Result<VerifyingKey, RecordError> {
        key_of(&self.device_key, Self::KIND)
    }
}

impl Record for Receipt {
    const KIND: &'static str = "receipt of a withdrawal";
    const CONTEXT: &'static [u8] = b"sudare/v1 withdrawal receipt";
    const SIGNER: &'static str = "the host's key";
    fn validity_ms(&self) -> (u64, u64) {
        (0, u64::MAX)
    }
    fn check(&self) -> Result<(), RecordError> {
        text(&self.host_id, Self::KIND)
    }
}
