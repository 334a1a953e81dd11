//! Whom a client believes: the host's record and policy, under the key that was pinned or that the pairing code names.

use ed25519_dalek::VerifyingKey;

use super::Setup;
use crate::cose;
use crate::enrol::{PairingCode, fingerprint};
use crate::error::{Code, Fault, Refusal};
use crate::message::{self, Digest, Hello, kind};
use crate::notice::Notice;
use crate::records::{HostRecord, Policy, RecordError, Signed};
use crate::session::HELLO_CONTEXT;

/// Reads HELLO, whose signing key is named in the record that it carries.
pub(super) fn check_hello(
    trust: &Trust<'_>,
    hello: &[u8],
) -> Result<(VerifyingKey, Hello, HostRecord, VerifyingKey), Refusal> {
    let (claimed_kind, _, claimed_body) = message::split(cose::unverified_payload(hello)?)?;
    if claimed_kind != kind::HELLO {
        return Err(Refusal::peer(Code::Unexpected));
    }
    let claimed: Hello = message::body(claimed_body)?;
    let unknown = |e: RecordError| Refusal::new(Code::HostUnknown, Fault::Peer, e.to_string());
    let organisation = organisation(trust, &claimed)?;
    let host =
        Signed::<HostRecord>::verify(&organisation, &claimed.host_record, trust.wall_ms).map_err(unknown)?;
    let host_key = host.record().key().map_err(unknown)?;
    // Nothing in HELLO may be relied on before this line.
    cose::verify1(&host_key, HELLO_CONTEXT, hello)?;
    if !claimed.versions.contains(&message::VERSION) {
        return Err(Refusal::peer(Code::Version));
    }
    Ok((organisation, claimed, host.record().clone(), host_key))
}

/// What a client goes by before it believes a host.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'t> {
    /// What was pinned.
    pub organisation: Option<VerifyingKey>,
    /// What was typed.
    pub code: Option<&'t PairingCode>,
    /// As in [`Setup`].
    pub tls_cert_sha256: Option<Digest>,
    pub wall_ms: u64,
}

/// What HELLO says of the host, once it is proved.
#[derive(Debug, Clone)]
pub struct Look {
    pub host_id: String,
    /// The organisation's name, for people.
    pub organisation: String,
    pub notice: Option<Notice>,
}

impl Setup {
    pub(super) fn trust(&self) -> Trust<'_> {
        Trust {
            organisation: self.organisation,
            code: self.pairing.as_ref().map(|pairing| &pairing.code),
            tls_cert_sha256: self.tls_cert_sha256,
            wall_ms: self.wall_ms,
        }
    }
}

/// Looks at HELLO, and answers nothing.
pub fn look(trust: &Trust<'_>, hello: &[u8]) -> Result<Look, Refusal> {
    let (organisation, greeting, host, _) = check_hello(trust, hello)?;
    let policy = policy(&organisation, &greeting, trust.wall_ms)?;
    let Policy { organisation, notice, .. } = policy.record().clone();
    Ok(Look { host_id: host.host_id, organisation, notice })
}

/// Whether what was typed is for this connection: a device may meet hosts that know it while it waits for another one.
pub(super) fn code_for<'t>(trust: &Trust<'t>, claimed: &Hello) -> Result<Option<&'t PairingCode>, Refusal> {
    let Some(code) = trust.code else { return Ok(None) };
    // Where the RDP client does not tell, HELLO says which certificate it is, and the host's key signs that.
    match code.is_certificate(&trust.tls_cert_sha256.unwrap_or(claimed.tls_cert_sha256)) {
        true => Ok(Some(code)),
        false if trust.organisation.is_some() => Ok(None),
        // The code brings the pin along: before anything is sent, and before anybody is believed.
        false => Err(Refusal::new(Code::CertificateMismatch, Fault::Surroundings, "")),
    }
}

/// Whose signatures count: the pinned key's, or those of the one that the pairing code names.
fn organisation(trust: &Trust<'_>, claimed: &Hello) -> Result<VerifyingKey, Refusal> {
    let Some(code) = code_for(trust, claimed)? else {
        let none = "this device has no organisation";
        return trust.organisation.ok_or_else(|| Refusal::new(Code::HostUnknown, Fault::Us, none));
    };
    let other = |detail| Refusal::new(Code::OtherOrganisation, Fault::Peer, detail);
    let told = claimed.organisation.ok_or_else(|| Refusal::peer(Code::Version))?;
    let told = VerifyingKey::from_bytes(&told).map_err(|_| Refusal::peer(Code::Malformed))?;
    if fingerprint(&told) != code.organisation {
        return Err(other("the code is for another one"));
    }
    if trust.organisation.is_some_and(|pinned| pinned != told) {
        return Err(other("this device belongs to another one"));
    }
    Ok(told)
}

pub(super) fn policy(
    organisation: &VerifyingKey,
    hello: &Hello,
    wall_ms: u64,
) -> Result<Signed<Policy>, Refusal> {
    Signed::<Policy>::verify(organisation, &hello.policy, wall_ms)
        .map_err(|e| Refusal::new(Code::PolicyRefused, Fault::Organisation, e.to_string()))
}
