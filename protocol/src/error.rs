//! Refusals: what was rejected, who is at fault, and what to do about it.
//!
//! The texts of the codes go over the wire in ERROR and are part of the test vectors.

/// Who has to fix it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The other end of the channel.
    Peer,
    /// This end.
    Us,
    /// Neither end: the network or the machine's clock.
    Surroundings,
    /// Whoever enrols devices and signs records.
    Organisation,
}

macro_rules! codes {
    ($($n:literal $name:ident $text:literal;)*) => {
        /// Numbers of refusals, as sent in ERROR.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($name,)* }
        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];
            pub fn number(self) -> u16 { match self { $(Code::$name => $n,)* } }
            /// One sentence on what happened, a second on what to do.
            pub fn text(self) -> &'static str { match self { $(Code::$name => $text,)* } }
        }
    };
}

codes! {
    1 Malformed "A message cannot be read. Compare the versions of client and host.";
    2 Signature "A signature is wrong. Somebody changed the message on the way, or it belongs to another session.";
    3 Sequence "A message came twice or out of order. Somebody replays messages, or the channel is faulty.";
    4 Unexpected "A message came that does not belong here. Compare the versions of client and host.";
    5 Version "Client and host have no protocol version in common. Update the older one.";
    6 HostUnknown "The host's record is not signed by this organisation, or has ended. Ask the VDI administrator to install a valid host record.";
    7 PolicyRefused "The policy is not signed by this organisation, or cannot be used. Ask the security team for a valid policy.";
    8 CertificateMismatch "The RDP connection shows another TLS certificate than the host signed. Somebody may sit between client and host: do not log on, and tell the security team.";
    9 DeviceUnknown "This device is not enrolled on this host. Ask the VDI administrator to enrol it.";
    10 DeviceRevoked "This device was revoked. Ask the VDI administrator.";
    11 WrongUser "This device is enrolled for another user. Log on as that user, or have it enrolled for this one.";
    12 WrongSession "The answer names another session or policy. Connect again; if it repeats, tell the security team.";
    13 NonceUnknown "An attestation echoes a nonce that this host did not send lately. The network is too slow, or somebody replays messages.";
    14 Timeout "The handshake took too long. Check the network and connect again.";
    15 Flood "Too many messages came in one second. The client is at fault: restart it.";
    16 TooLarge "A message is larger than allowed. The sender is at fault: compare versions.";
    17 NoCredit "Evidence was sent without credit. The client is at fault: compare versions.";
    18 EvidenceMismatch "Evidence does not fit its manifest. The client is at fault, or its memory is; the incident is kept as incomplete.";
    19 TooManyIncidents "Too many incidents are open at once. The client must finish one first.";
    20 Template "An operator template cannot be used. Enrol the operator again on this device.";
    21 ClockJump "The machine's clock jumped or the machine slept. Connect again.";
    22 EvidenceStore "The host cannot store evidence. The VDI administrator must free its disk.";
    23 PeerEnded "The other end reported an error and ended. Its text says why.";
    24 InvitationUnknown "The host does not know this pairing code. Look whether it is this host's, or ask the VDI administrator for a new one.";
    25 InvitationEnded "The pairing code has expired. Ask the VDI administrator for a new one.";
    26 InvitationUsed "The pairing code was used for another device already. Ask the VDI administrator for a new one; if nobody of yours used it, tell the security team.";
    27 ApprovalPending "The VDI administrator has to approve this device first (`sudare-host approve`). Connect again afterwards.";
    28 InvitationRefused "Whoever made this pairing code may not invite this device, or no longer. Ask the VDI administrator.";
    29 OtherOrganisation "The host is not of the organisation that this pairing code, or this device, belongs to. Do not log on, and tell the security team.";
    30 ConsentMissing "The notice about Sudare was not accepted on this device. Read it, and accept it with `sudare consent`.";
    31 NotKept "The host could not keep this device. The VDI administrator must look at its folder `seats` and at its disk.";
    32 RulesUnclear "The host cannot determine which rules apply to this user. The VDI administrator must look at its directory.";
    33 ConsentWithdrawn "Consent was taken back on this device, so nothing looks, and nothing is shown. Whoever wants to agree again pairs the device with a new code (`sudare pair`); the VDI administrator knows the alternative.";
}

impl Code {
    pub fn from_number(number: u16) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.number() == number)
    }
}

/// Why a message, a record or a connection was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", code.text(), detail_text(detail))]
pub struct Refusal {
    pub code: Code,
    pub fault: Fault,
    /// Numbers and record kinds only: never names, pictures or key material.
    pub detail: String,
}

/// A refused handshake, and the framed ERROR that tells the other end why.
#[derive(Debug)]
pub struct Refused {
    pub refusal: Refusal,
    pub reply: Option<Vec<u8>>,
}

fn detail_text(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({detail})") }
}

impl Refusal {
    pub fn new(code: Code, fault: Fault, detail: impl Into<String>) -> Self {
        Refusal { code, fault, detail: detail.into() }
    }

    /// The other end is at fault, and the code needs no detail.
    pub fn peer(code: Code) -> Self {
        Refusal::new(code, Fault::Peer, "")
    }

    /// As a number in ERROR, seen from the receiver: our peer is "you" to them.
    pub(crate) fn fault_number(&self) -> u8 {
        match self.fault {
            Fault::Us => 0,
            Fault::Peer => 1,
            Fault::Surroundings => 2,
            Fault::Organisation => 3,
        }
    }
}

impl From<crate::cose::CoseError> for Refusal {
    fn from(error: crate::cose::CoseError) -> Self {
        let code = match error {
            crate::cose::CoseError::Malformed => Code::Malformed,
            _ => Code::Signature,
        };
        Refusal::new(code, Fault::Peer, error.to_string())
    }
}

impl From<crate::frame::FrameError> for Refusal {
    fn from(error: crate::frame::FrameError) -> Self {
        let code = match error {
            crate::frame::FrameError::TooLarge(_) => Code::TooLarge,
            _ => Code::Malformed,
        };
        Refusal::new(code, Fault::Peer, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_each_says_what_to_do() {
        for (i, a) in Code::ALL.iter().enumerate() {
            assert_eq!(Code::from_number(a.number()), Some(*a));
            assert!(a.text().matches(". ").count() >= 1, "{a:?} has no second sentence");
            assert!(Code::ALL[i + 1..].iter().all(|b| a.number() != b.number()));
        }
    }
}
