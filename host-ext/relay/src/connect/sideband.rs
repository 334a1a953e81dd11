//! The message channel: measurements and heartbeats pass, other transports do not.
//!
//! Auto-detection ([MS-RDPBCGR] 2.2.14), heartbeats (2.2.16.1), and the request to open another transport
//! (2.2.15.1), which would lead past the gate.

use crate::error::Fault;
use crate::limits::AUTODETECT_MAX_BYTES;
use crate::wire::Reader;

const TRANSPORT_REQUEST: u16 = 0x0002;
const TRANSPORT_RESPONSE: u16 = 0x0004;
const ENCRYPT: u16 = 0x0008;
const AUTODETECT_REQUEST: u16 = 0x1000;
const AUTODETECT_RESPONSE: u16 = 0x2000;
const HEARTBEAT: u16 = 0x4000;

/// Whether the host's message passes.
pub(crate) fn host(data: &[u8]) -> Result<bool, Fault> {
    match flags(data)? {
        flags if flags & (AUTODETECT_REQUEST | HEARTBEAT) != 0 => Ok(true),
        flags if flags & TRANSPORT_REQUEST != 0 => Ok(false),
        _ => Err(Fault::Unknown),
    }
}

/// Whether the client's message passes.
pub(crate) fn client(data: &[u8]) -> Result<bool, Fault> {
    match flags(data)? {
        flags if flags & AUTODETECT_RESPONSE != 0 => Ok(true),
        flags if flags & TRANSPORT_RESPONSE != 0 => Ok(false),
        _ => Err(Fault::Unknown),
    }
}

fn flags(data: &[u8]) -> Result<u16, Fault> {
    if data.len() > AUTODETECT_MAX_BYTES {
        return Err(Fault::TooMuch);
    }
    let mut reader = Reader::new(data);
    let (flags, _high) = (reader.u16()?, reader.u16()?);
    if flags & ENCRYPT != 0 { Err(Fault::Encrypted) } else { Ok(flags) }
}
