//! X.224 Connection Request and Confirm ([MS-RDPBCGR] 2.2.1.1, 2.2.1.2): which protocols both legs use.
//!
//! Each leg has its own. The host is asked only for what the gate can speak to it, the client is told what the
//! gate wants of it, and both find in their later settings what they themselves have said.

use super::info::Credential;
use crate::error::{Broken, Fault, Side, Stage};
use crate::policy::Policy;
use crate::wire::{Reader, patch};

const TPKT_VERSION: u8 = 3;
const CONNECTION_REQUEST: u8 = 0xE0;
const CONNECTION_CONFIRM: u8 = 0xD0;
/// TPKT, X.224's length, and its fixed part.
const HEADER_BYTES: usize = 11;
const NEGOTIATION_REQUEST: u8 = 1;
const NEGOTIATION_RESPONSE: u8 = 2;
const NEGOTIATION_FAILURE: u8 = 3;
const NEGOTIATION_BYTES: usize = 8;
const CORRELATION_INFO: u8 = 6;
const CORRELATION_BYTES: usize = 36;
/// Restricted Admin and redirected authentication (Remote Credential Guard).
const FLAGS_WITHOUT_PASSWORD: u8 = 0x01 | 0x02;
const FLAG_CORRELATION: u8 = 0x08;
/// The host reads the client's longer settings.
const RESPONSE_EXTENDED: u8 = 0x01;
/// The host can do RDPGFX.
const RESPONSE_GRAPHICS: u8 = 0x02;
/// It can do Restricted Admin, Remote Credential Guard.
const RESPONSE_FLAGS_CLEARED: u8 = 0x08 | 0x10;
const USER_HINT: &str = "Cookie: mstshash=";

/// Why a client is refused, for [`failure`].
pub mod failure_code {
    /// It does not offer TLS.
    pub const TLS_REQUIRED: u32 = 1;
    /// It does not offer CredSSP.
    pub const HYBRID_REQUIRED: u32 = 5;
}

/// Before anything has been said.
#[derive(Debug, Clone)]
pub struct Negotiate {
    policy: Policy,
}

/// The client has asked, the host has not answered.
#[derive(Debug, Clone)]
pub struct Asked {
    policy: Policy,
    requested: u32,
    /// A routing token or the beginning of a user name, which may choose the host: without its line end.
    pub routing: Option<String>,
}

/// What both legs use from here on.
#[derive(Debug, Clone)]
pub struct Agreed {
    pub(crate) policy: Policy,
    /// What the client had asked for, which it wants to read again later.
    pub(crate) requested: u32,
    /// The client's leg.
    pub client: u32,
    /// The host's leg.
    pub host: u32,
    /// Who logs on, where CredSSP has proved it; otherwise whoever the client says.
    pub logon: Option<Credential>,
}

impl Negotiate {
    /// Of a connection with this policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// Takes the client's request and gives the one for the host.
    ///
    /// # Errors
    /// If it offers no security that the gate can end, or asks for a log-on that leaves no password.
    pub fn request(self, frame: &[u8]) -> Result<(Asked, Vec<u8>), Broken> {
        self.read_request(frame).map_err(|fault| fault.of(Side::Client, Stage::Negotiation))
    }

    fn read_request(self, frame: &[u8]) -> Result<(Asked, Vec<u8>), Fault> {
        let (mut reader, code) = header(frame)?;
        if code != CONNECTION_REQUEST {
            return Err(Fault::OutOfTurn);
        }
        let routing = routing(&mut reader)?;
        let at = HEADER_BYTES.saturating_add(reader.at());
        if reader.left() == 0 {
            return Err(Fault::NoTls);
        }
        let [flags, requested] = negotiation(&mut reader, NEGOTIATION_REQUEST)?;
        let flags = u8::try_from(flags).map_err(|_| Fault::Unknown)?;
        if flags & FLAGS_WITHOUT_PASSWORD != 0 {
            return Err(Fault::NoPassword);
        }
        if flags & FLAG_CORRELATION != 0 {
            reader.expect(&[CORRELATION_INFO, 0])?;
            if usize::from(reader.u16()?) != CORRELATION_BYTES {
                return Err(Fault::Length);
            }
            reader.take(CORRELATION_BYTES.saturating_sub(4))?;
        }
        if reader.left() != 0 {
            return Err(Fault::Length);
        }
        if requested & self.policy.client_protocol == 0 {
            return Err(Fault::NoTls);
        }
        let mut to_host = frame.to_vec();
        patch(&mut to_host, at.saturating_add(1), &[flags & FLAG_CORRELATION])?;
        patch(&mut to_host, at.saturating_add(4), &self.policy.host_protocols.to_le_bytes())?;
        Ok((Asked { policy: self.policy, requested, routing }, to_host))
    }
}

impl Asked {
    /// Takes the host's answer and gives the one for the client.
    ///
    /// # Errors
    /// If the host refuses, or chose what it was not asked for.
    pub fn confirm(self, frame: &[u8]) -> Result<(Agreed, Vec<u8>), Broken> {
        self.read_confirm(frame).map_err(|fault| fault.of(Side::Host, Stage::Negotiation))
    }

    fn read_confirm(self, frame: &[u8]) -> Result<(Agreed, Vec<u8>), Fault> {
        let (mut reader, code) = header(frame)?;
        if code != CONNECTION_CONFIRM {
            return Err(Fault::OutOfTurn);
        }
        match reader.rest().first() {
            // A host without negotiation has RDP's own security only.
            None => return Err(Fault::NoTls),
            Some(&NEGOTIATION_FAILURE) => {
                let [_, code] = negotiation(&mut reader, NEGOTIATION_FAILURE)?;
                return Err(Fault::Refused(code));
            }
            Some(_) => {}
        }
        let [flags, host] = negotiation(&mut reader, NEGOTIATION_RESPONSE)?;
        let flags = u8::try_from(flags).map_err(|_| Fault::Unknown)?;
        if reader.left() != 0 {
            return Err(Fault::Length);
        }
        if host.count_ones() != 1 || host & self.policy.host_protocols == 0 {
            return Err(Fault::NoTls);
        }
        let client = self.policy.client_protocol;
        let mut to_client = frame.to_vec();
        let graphics = if self.policy.graphics { 0 } else { RESPONSE_GRAPHICS };
        let flags = flags & !(RESPONSE_FLAGS_CLEARED | graphics);
        patch(&mut to_client, HEADER_BYTES.saturating_add(1), &[flags])?;
        patch(&mut to_client, HEADER_BYTES.saturating_add(4), &client.to_le_bytes())?;
        Ok((Agreed { policy: self.policy, requested: self.requested, client, host, logon: None }, to_client))
    }
}

impl Asked {
    /// The answer for a client that has to prove who it is before the host is asked.
    #[must_use]
    pub fn answer(&self) -> Vec<u8> {
        let graphics = if self.policy.graphics { RESPONSE_GRAPHICS } else { 0 };
        confirm(RESPONSE_EXTENDED | graphics, self.policy.client_protocol)
    }
}

/// A Connection Confirm that refuses the client with one of [`failure_code`].
#[must_use]
pub fn failure(code: u32) -> Vec<u8> {
    let fixed = [TPKT_VERSION, 0, 0, 19, 14, CONNECTION_CONFIRM, 0, 0, 0, 0, 0, NEGOTIATION_FAILURE, 0, 8, 0];
    [&fixed[..], &code.to_le_bytes()].concat()
}

/// A Connection Confirm of a host that chose this one of [`protocol`](crate::policy::protocol).
#[must_use]
pub fn confirmation(protocol: u32) -> Vec<u8> {
    confirm(0, protocol)
}

fn confirm(flags: u8, protocol: u32) -> Vec<u8> {
    let fixed =
        [TPKT_VERSION, 0, 0, 19, 14, CONNECTION_CONFIRM, 0, 0, 0, 0, 0, NEGOTIATION_RESPONSE, flags, 8, 0];
    [&fixed[..], &protocol.to_le_bytes()].concat()
}

/// The variable part and the code of an X.224 TPDU.
fn header(frame: &[u8]) -> Result<(Reader<'_>, u8), Fault> {
    let mut reader = Reader::new(frame);
    reader.expect(&[TPKT_VERSION, 0])?;
    if usize::from(reader.u16_be()?) != frame.len() {
        return Err(Fault::Length);
    }
    let length = usize::from(reader.u8()?);
    if length != reader.left() {
        return Err(Fault::Length);
    }
    let code = reader.u8()?;
    // Two references and the class.
    reader.take(5)?;
    Ok((Reader::new(reader.rest()), code))
}

/// Flags and value of a negotiation structure of this kind.
fn negotiation(reader: &mut Reader<'_>, kind: u8) -> Result<[u32; 2], Fault> {
    if reader.u8()? != kind {
        return Err(Fault::Unknown);
    }
    let flags = u32::from(reader.u8()?);
    if usize::from(reader.u16()?) != NEGOTIATION_BYTES {
        return Err(Fault::Length);
    }
    Ok([flags, reader.u32()?])
}

/// A line before the negotiation: a cookie or a routing token, if it begins like one.
fn routing(reader: &mut Reader<'_>) -> Result<Option<String>, Fault> {
    let rest = reader.rest();
    if rest.is_empty() || rest.first() == Some(&NEGOTIATION_REQUEST) {
        return Ok(None);
    }
    let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(Fault::Unknown)?;
    let line = reader.take(end)?;
    reader.take(2)?;
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

impl Asked {
    /// The beginning of the user's name, if the client tells it so early (at most nine characters of it).
    #[must_use]
    pub fn user_hint(&self) -> Option<&str> {
        self.routing.as_deref()?.strip_prefix(USER_HINT)
    }
}
