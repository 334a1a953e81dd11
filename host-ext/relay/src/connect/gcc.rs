//! Blocks of settings in an MCS Connect PDU ([MS-RDPBCGR] 2.2.1.3, 2.2.1.4), found without understanding the rest.
//!
//! ```text
//!  BER: Connect Initial / Response { …, userData OCTET STRING }
//!    PER: ConnectData { object, connectPDU { … "Duca" or "McDn", length
//!      blocks: type u16 │ length u16 │ …
//! ```
//! Only lengths are written anew, because a block was taken out. A decoder and encoder of whole settings would
//! drop the blocks that it does not know, and put the others into its own order.

use crate::error::Fault;
use crate::wire::Reader;

/// The generic conference control's object identifier, as every connect PDU has it.
const OBJECT: [u8; 7] = [0, 5, 0, 0x14, 0x7C, 0, 1];
/// What stands between the client's two lengths: a conference without name, and one set of user data, "Duca".
const CREATE_REQUEST: [u8; 12] = [0, 8, 0, 0x10, 0, 1, 0xC0, 0, b'D', b'u', b'c', b'a'];
/// The same of the host: a node, a tag, success, and one set of user data, "McDn".
const CREATE_RESPONSE: [u8; 13] = [0x14, 0x76, 0x0A, 1, 1, 0, 1, 0xC0, 0, b'M', b'c', b'D', b'n'];
/// Success, a connection id, and what an MCS domain may have ([T125] 7).
const ACCEPTED: [u8; 34] = [
    ENUMERATED, 1, 0, INTEGER, 1, 0, SEQUENCE, 26, INTEGER, 1, 34, INTEGER, 1, 3, INTEGER, 1, 0, INTEGER, 1,
    1, INTEGER, 1, 0, INTEGER, 1, 1, INTEGER, 3, 0, 0xFF, 0xF8, INTEGER, 1, 2,
];
const INITIAL: [u8; 2] = [0x7F, 0x65];
const RESPONSE: [u8; 2] = [0x7F, 0x66];
const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
const ENUMERATED: u8 = 10;
const SEQUENCE: u8 = 0x30;
const HOST_KEY: &[u8] = b"McDn";
const BLOCK_HEADER_BYTES: usize = 4;

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) kind: u16,
    /// Its header included.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Block<'a> {
    pub(crate) fn body(&self) -> Reader<'a> {
        Reader::new(self.bytes.get(BLOCK_HEADER_BYTES..).unwrap_or_default())
    }
}

/// Where a field of a block's body is, counted from the block's beginning.
pub(crate) const fn in_block(at: usize) -> usize {
    at.saturating_add(BLOCK_HEADER_BYTES)
}

/// The blocks, one behind the other.
pub(crate) fn blocks(bytes: &[u8]) -> Result<Vec<Block<'_>>, Fault> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut header = Reader::new(rest);
        let (kind, length) = (header.u16()?, usize::from(header.u16()?));
        if length < BLOCK_HEADER_BYTES {
            return Err(Fault::Length);
        }
        let (bytes, behind) = rest.split_at_checked(length).ok_or(Fault::Length)?;
        found.push(Block { kind, bytes });
        rest = behind;
    }
    Ok(found)
}

/// Connect Initial: what stands before the user data, which is kept as it is, and the blocks in it.
pub(crate) fn read_initial(pdu: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let mut outer = Reader::new(pdu);
    let content = ber(&mut outer, &INITIAL)?;
    let mut reader = Reader::new(content);
    for tag in [OCTETS, OCTETS, BOOLEAN, SEQUENCE, SEQUENCE, SEQUENCE] {
        ber(&mut reader, &[tag])?;
    }
    let before = content.get(..reader.at()).ok_or(Fault::Short)?;
    let user_data = ber(&mut reader, &[OCTETS])?;
    if outer.left() != 0 || reader.left() != 0 {
        return Err(Fault::Length);
    }
    let mut reader = Reader::new(user_data);
    reader.expect(&OBJECT)?;
    // Some clients leave the next length out of this one; nobody looks at it.
    per(&mut reader)?;
    reader.expect(&CREATE_REQUEST)?;
    if per(&mut reader)? != reader.left() {
        return Err(Fault::Length);
    }
    Ok((before, reader.rest()))
}

/// Connect Initial with these blocks.
pub(super) fn write_initial(before: &[u8], blocks: &[u8]) -> Result<Vec<u8>, Fault> {
    let request = [&CREATE_REQUEST[..], &write_per(blocks.len())?, blocks].concat();
    let user_data = [&OBJECT[..], &write_per(request.len())?, &request].concat();
    let content = [before, &[OCTETS], &write_ber(user_data.len())?, &user_data].concat();
    Ok([&INITIAL[..], &write_ber(content.len())?, &content].concat())
}

/// Connect Response with these blocks: successful, with the domain of 4.1.4.
pub(crate) fn write_response(blocks: &[u8]) -> Result<Vec<u8>, Fault> {
    // Clients must ignore the length in front of the choice; 42 is what Windows writes there.
    let user_data = [&OBJECT[..], &[0x2A], &CREATE_RESPONSE, &write_per(blocks.len())?, blocks].concat();
    let content = [&ACCEPTED[..], &[OCTETS], &write_ber(user_data.len())?, &user_data].concat();
    Ok([&RESPONSE[..], &write_ber(content.len())?, &content].concat())
}

/// Connect Response: where its blocks begin, and these. They are patched where they are.
pub(super) fn read_response(pdu: &[u8]) -> Result<(usize, &[u8]), Fault> {
    let mut outer = Reader::new(pdu);
    let content = ber(&mut outer, &RESPONSE)?;
    let mut reader = Reader::new(content);
    if ber(&mut reader, &[ENUMERATED])? != [0] {
        return Err(Fault::NotAccepted);
    }
    for tag in [INTEGER, SEQUENCE] {
        ber(&mut reader, &[tag])?;
    }
    let user_data = ber(&mut reader, &[OCTETS])?;
    if outer.left() != 0 || reader.left() != 0 {
        return Err(Fault::Length);
    }
    let mut reader = Reader::new(user_data);
    reader.expect(&OBJECT)?;
    // Clients must ignore this length (2.2.1.4, 4.1.4): hosts write what they like.
    per(&mut reader)?;
    // The choice, a node, and a tag with a length of its own.
    reader.take(3)?;
    let tag = reader.u8()?;
    reader.take(tag.into())?;
    if reader.u8()? != 0 {
        return Err(Fault::NotAccepted);
    }
    reader.expect(&[1, 0xC0, 0])?;
    reader.expect(HOST_KEY)?;
    if per(&mut reader)? != reader.left() {
        return Err(Fault::Length);
    }
    Ok((pdu.len().saturating_sub(reader.left()), reader.rest()))
}

/// The content of a BER value with this tag.
fn ber<'a>(reader: &mut Reader<'a>, tag: &[u8]) -> Result<&'a [u8], Fault> {
    reader.expect(tag)?;
    let length = match reader.u8()? {
        0x81 => reader.u8()?.into(),
        0x82 => reader.u16_be()?.into(),
        short if short < 0x80 => short.into(),
        _ => return Err(Fault::Length),
    };
    reader.take(length)
}

fn write_ber(length: usize) -> Result<Vec<u8>, Fault> {
    let length = u16::try_from(length).map_err(|_| Fault::TooMuch)?;
    let [high, low] = length.to_be_bytes();
    Ok(if length < 0x80 { vec![low] } else { vec![0x82, high, low] })
}

fn per(reader: &mut Reader<'_>) -> Result<usize, Fault> {
    let first = reader.u8()?;
    if first & 0x80 == 0 {
        return Ok(first.into());
    }
    Ok(u16::from_be_bytes([first & 0x7F, reader.u8()?]).into())
}

fn write_per(length: usize) -> Result<Vec<u8>, Fault> {
    let length = u16::try_from(length).map_err(|_| Fault::TooMuch)?;
    let [high, low] = length.to_be_bytes();
    match length {
        ..0x80 => Ok(vec![low]),
        0x80..0x4000 => Ok(vec![high | 0x80, low]),
        _ => Err(Fault::TooMuch),
    }
}
