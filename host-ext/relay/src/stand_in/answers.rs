//! What a host says from the licence to Font Map ([MS-RDPBCGR] 2.2.1.12 to 2.2.1.22).

use super::HOST;
use crate::error::Fault;
use crate::live::Size;
use crate::wire::length_u16;
use crate::wire::share::{self, data};

/// The number of the only share.
pub(super) const SHARE: u32 = 0x0001_03EA;
/// No licence is needed (2.2.1.12): SEC_LICENSE_PKT, an error alert that says STATUS_VALID_CLIENT, ST_NO_TRANSITION,
/// and an empty blob.
pub(super) const LICENCE_IS_VALID: [u8; 20] =
    [0x80, 0, 0, 0, 0xFF, 3, 16, 0, 7, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0];

/// Control PDUs (2.2.1.15.1).
const REQUEST_CONTROL: u8 = 1;
const GRANTED_CONTROL: u8 = 2;
const COOPERATE: u8 = 4;
/// FONTLIST_FIRST and FONTLIST_LAST, and entries of four bytes (2.2.1.22.1).
const FONT_MAP: [u8; 8] = [0, 0, 0, 0, 3, 0, 4, 0];

/// Capability sets (2.2.7).
const GENERAL: u16 = 1;
const BITMAP: u16 = 2;
const ORDER: u16 = 3;
const POINTER: u16 = 8;
const SHARED: u16 = 9;
const INPUT: u16 = 13;
const VIRTUAL_CHANNEL: u16 = 20;
/// FASTPATH_OUTPUT_SUPPORTED, LONG_CREDENTIALS_SUPPORTED, NO_BITMAP_COMPRESSION_HDR.
const GENERAL_FLAGS: u16 = 0x0001 | 0x0004 | 0x0400;
/// NEGOTIATEORDERSUPPORT, ZEROBOUNDSDELTASSUPPORT: every host has to set both.
const ORDER_FLAGS: u16 = 0x0002 | 0x0008;
const ORDER_SET_BYTES: usize = 88;
/// INPUT_FLAG_SCANCODES, INPUT_FLAG_UNICODE, INPUT_FLAG_FASTPATH_INPUT2.
const INPUT_FLAGS: u16 = 0x0001 | 0x0010 | 0x0020;
const INPUT_SET_BYTES: usize = 88;
/// A cover's bitmaps have no more.
const BITS_PER_PIXEL: u16 = 16;

/// What is said to share data of this kind.
pub(super) fn to(kind: u8, body: &[u8]) -> Option<(u8, Vec<u8>)> {
    match (kind, body.first()) {
        (data::SYNCHRONIZE, _) => {
            let user = HOST.to_le_bytes();
            Some((data::SYNCHRONIZE, [[1, 0], user].concat()))
        }
        (data::CONTROL, Some(&COOPERATE)) => Some((data::CONTROL, vec![COOPERATE, 0, 0, 0, 0, 0, 0, 0])),
        (data::CONTROL, Some(&REQUEST_CONTROL)) => {
            let granted = [[GRANTED_CONTROL, 0], HOST.to_le_bytes(), HOST.to_le_bytes(), [0, 0]];
            Some((data::CONTROL, granted.concat()))
        }
        (data::FONT_LIST, _) => Some((data::FONT_MAP, FONT_MAP.to_vec())),
        // Denied, so that the client closes the connection by itself.
        (data::SHUTDOWN_REQUEST, _) => Some((data::SHUTDOWN_DENIED, Vec::new())),
        _ => None,
    }
}

/// Demand Active of a host that draws nothing but bitmaps.
pub(super) fn demand_active(size: Size) -> Result<Vec<u8>, Fault> {
    let sets = [
        set(GENERAL, &[1, 3, 0x200, 0, 0, GENERAL_FLAGS, 0, 0, 0, 0x0101])?,
        set(BITMAP, &[BITS_PER_PIXEL, 1, 1, 1, size.width, size.height, 0, 1, 1, 0, 1, 0])?,
        padded(set(ORDER, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 20, 0, 1, 0, ORDER_FLAGS])?, ORDER_SET_BYTES)?,
        set(POINTER, &[1, 20, 20])?,
        set(SHARED, &[HOST, 0])?,
        padded(set(INPUT, &[INPUT_FLAGS])?, INPUT_SET_BYTES)?,
        set(VIRTUAL_CHANNEL, &[0, 0, 1600, 0])?,
    ];
    let count = length_u16(sets.len())?.to_le_bytes();
    let sets = sets.concat();
    // The count and its pad belong to it.
    let combined = length_u16(sets.len().saturating_add(4))?.to_le_bytes();
    let body =
        [&SHARE.to_le_bytes()[..], &[4, 0], &combined, b"RDP\0", &count, &[0, 0], &sets, &[0; 4]].concat();
    share::write_control(share::DEMAND_ACTIVE, HOST, &body)
}

fn set(kind: u16, fields: &[u16]) -> Result<Vec<u8>, Fault> {
    let length = length_u16(fields.len().saturating_mul(2).saturating_add(4))?;
    Ok([kind, length].iter().chain(fields).flat_map(|field| field.to_le_bytes()).collect())
}

/// The same with zeroes behind it up to this length.
fn padded(mut set: Vec<u8>, to: usize) -> Result<Vec<u8>, Fault> {
    set.resize(to, 0);
    crate::wire::patch(&mut set, 2, &length_u16(to)?.to_le_bytes())?;
    Ok(set)
}
