//! Share control and share data PDUs ([MS-RDPBCGR] 2.2.8.1.1.1), what both sides say on the I/O channel.
//!
//! ```text
//!  totalLength u16 │ pduType u16 │ pduSource u16 │ shareId u32 │ pad │ stream │ length u16 │ pduType2 u8 │ compression u8 │ …
//!  └ share control ──────────────────────────────┘ └ share data: only behind pduType 7 ────────────────────────────────────┘
//! ```
//! One MCS frame may carry several of them: some clients walk through all, so an update behind a harmless PDU
//! would be shown.

use super::{Reader, length_u16};
use crate::error::Fault;
use crate::limits::PDUS_PER_FRAME_MAX;

/// Demand Active: the host says what it can do (2.2.1.13.1).
pub const DEMAND_ACTIVE: u8 = 1;
/// Confirm Active: the client answers (2.2.1.13.2).
pub const CONFIRM_ACTIVE: u8 = 3;
/// Deactivate All: everything up to Font Map begins anew (2.2.3.1).
pub const DEACTIVATE_ALL: u8 = 6;
/// A share data PDU.
pub const DATA: u8 = 7;
/// Enhanced Security Server Redirection (2.2.13.3).
pub const REDIRECTION: u8 = 10;

/// Types of share data that the gate tells apart.
pub mod data {
    /// Orders, bitmaps, palette (2.2.9.1.1.3).
    pub const UPDATE: u8 = 2;
    /// Control (2.2.1.15).
    pub const CONTROL: u8 = 20;
    /// A pointer, which is a picture (2.2.9.1.1.4).
    pub const POINTER: u8 = 27;
    /// Keys and mouse (2.2.8.1.1.3).
    pub const INPUT: u8 = 28;
    /// Synchronize (2.2.1.14).
    pub const SYNCHRONIZE: u8 = 31;
    /// The client asks for a repaint (2.2.11.2).
    pub const REFRESH_RECT: u8 = 33;
    /// A beep (2.2.9.1.1.5).
    pub const PLAY_SOUND: u8 = 34;
    /// The client asks for silence of the display (2.2.11.3).
    pub const SUPPRESS_OUTPUT: u8 = 35;
    /// Shutdown Request, from the client.
    pub const SHUTDOWN_REQUEST: u8 = 36;
    /// Shutdown Request denied, from the host.
    pub const SHUTDOWN_DENIED: u8 = 37;
    /// Save Session Info.
    pub const SAVE_SESSION_INFO: u8 = 38;
    /// Font List, from the client.
    pub const FONT_LIST: u8 = 39;
    /// Font Map: the host's last word of an activation (2.2.1.22).
    pub const FONT_MAP: u8 = 40;
    /// Set Keyboard Indicators.
    pub const KEYBOARD_INDICATORS: u8 = 41;
    /// Bitmap Cache Persistent List, from the client.
    pub const PERSISTENT_LIST: u8 = 43;
    /// Bitmap Cache Error, from the client.
    pub const BITMAP_CACHE_ERROR: u8 = 44;
    /// Set Keyboard IME Status.
    pub const KEYBOARD_IME: u8 = 45;
    /// Offscreen Cache Error, from the client.
    pub const OFFSCREEN_CACHE_ERROR: u8 = 46;
    /// Set Error Info.
    pub const ERROR_INFO: u8 = 47;
    /// DrawNineGrid Error, from the client.
    pub const NINE_GRID_ERROR: u8 = 48;
    /// GDI+ Error, from the client.
    pub const GDI_PLUS_ERROR: u8 = 49;
    /// Auto-Reconnect Status.
    pub const RECONNECT_STATUS: u8 = 50;
    /// Server Status Info.
    pub const STATUS_INFO: u8 = 54;
    /// Monitor Layout.
    pub const MONITOR_LAYOUT: u8 = 55;
    /// Frame Acknowledge, from the client ([MS-RDPRFX] 2.2.3.1).
    pub const FRAME_ACKNOWLEDGE: u8 = 56;
}

/// A flow PDU, which says so instead of its length (2.2.8.1.1.1.1).
const FLOW: u16 = 0x8000;
const TYPE_MASK: u16 = 0xF;
const VERSION: u16 = 0x10;
const HEADER_BYTES: usize = 6;
/// Windows leaves pduSource out of a Deactivate All.
const SHORT_HEADER_BYTES: usize = 4;
const DATA_HEADER_BYTES: usize = 18;
const COMPRESSED: u8 = 0x20;
const STREAM_LOW: u8 = 1;

/// One share control PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control<'a> {
    /// The whole PDU, header included.
    pub bytes: &'a [u8],
    /// What it is: one of the constants above.
    pub kind: u8,
    /// Behind the header; of share data, behind that header as well.
    pub body: &'a [u8],
    /// Of share data: which.
    pub data: Option<Data>,
}

/// The header of share data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    /// The share that it is about; changes with each activation.
    pub share: u32,
    /// One of [`data`].
    pub kind: u8,
}

/// All PDUs of one MCS frame.
///
/// # Errors
/// If one is cut, compressed, a flow PDU, or there are too many.
pub fn split(user_data: &[u8]) -> Result<Vec<Control<'_>>, Fault> {
    let mut found = Vec::new();
    let mut rest = user_data;
    while !rest.is_empty() {
        let length = Reader::new(rest).u16()?;
        if length == FLOW {
            return Err(Fault::Unknown);
        }
        let (bytes, behind) = rest.split_at_checked(length.into()).ok_or(Fault::Length)?;
        found.push(control(bytes)?);
        if found.len() > PDUS_PER_FRAME_MAX {
            return Err(Fault::TooMuch);
        }
        rest = behind;
    }
    if found.is_empty() { Err(Fault::Short) } else { Ok(found) }
}

fn control(bytes: &[u8]) -> Result<Control<'_>, Fault> {
    let mut reader = Reader::new(bytes);
    let (_, pdu_type) = (reader.u16()?, reader.u16()?);
    let kind = u8::try_from(pdu_type & TYPE_MASK).map_err(|_| Fault::Unknown)?;
    if pdu_type & !TYPE_MASK != VERSION {
        return Err(Fault::Unknown);
    }
    if !(kind == DEACTIVATE_ALL && bytes.len() == SHORT_HEADER_BYTES) {
        reader.u16()?;
    }
    if kind != DATA {
        return Ok(Control { bytes, kind, body: reader.rest(), data: None });
    }
    let share = reader.u32()?;
    // A pad, the stream, and a length that implementations count differently; the one outside was compared.
    reader.take(4)?;
    let (of_data, compression) = (reader.u8()?, reader.u8()?);
    reader.u16()?;
    if compression & COMPRESSED != 0 {
        return Err(Fault::Compressed);
    }
    Ok(Control { bytes, kind, body: reader.rest(), data: Some(Data { share, kind: of_data }) })
}

/// A share data PDU, ready for [`send_data`](super::mcs::send_data).
///
/// # Errors
/// If the body does not fit.
pub fn write_data(share: u32, source: u16, kind: u8, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let total = length_u16(body.len().saturating_add(DATA_HEADER_BYTES))?;
    if total >= FLOW {
        return Err(Fault::TooMuch);
    }
    // "Uncompressed length" counts from pduType2 on.
    let length = length_u16(body.len().saturating_add(4))?;
    let mut pdu = Vec::with_capacity(total.into());
    pdu.extend_from_slice(&total.to_le_bytes());
    pdu.extend_from_slice(&(VERSION | u16::from(DATA)).to_le_bytes());
    pdu.extend_from_slice(&source.to_le_bytes());
    pdu.extend_from_slice(&share.to_le_bytes());
    pdu.extend_from_slice(&[0, STREAM_LOW]);
    pdu.extend_from_slice(&length.to_le_bytes());
    pdu.extend_from_slice(&[kind, 0, 0, 0]);
    pdu.extend_from_slice(body);
    Ok(pdu)
}

/// A share control PDU that is not share data, ready for [`send_data`](super::mcs::send_data).
///
/// # Errors
/// If the body does not fit.
pub fn write_control(kind: u8, source: u16, body: &[u8]) -> Result<Vec<u8>, Fault> {
    let total = length_u16(body.len().saturating_add(HEADER_BYTES))?;
    if total >= FLOW {
        return Err(Fault::TooMuch);
    }
    let kind = (VERSION | u16::from(kind)).to_le_bytes();
    Ok([&total.to_le_bytes()[..], &kind, &source.to_le_bytes(), body].concat())
}

/// Where the body of a PDU that is not share data begins.
pub const CONTROL_BODY_AT: usize = HEADER_BYTES;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data_pdu(kind: u8) -> Vec<u8> {
        write_data(0x1000A, 1002, kind, &[1, 2, 3]).unwrap()
    }

    #[test]
    fn every_pdu_of_a_frame_is_found() {
        let frame = [data_pdu(data::CONTROL), data_pdu(data::UPDATE)].concat();
        let found = split(&frame).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].data, Some(Data { share: 0x1000A, kind: data::UPDATE }));
        assert_eq!((found[1].body, found[1].bytes.len()), (&[1, 2, 3][..], 21));
    }

    #[test]
    fn flow_compressed_and_cut_pdus_end() {
        assert_eq!(split(&[0, 0x80, 0x41, 0, 0, 0, 0, 0]), Err(Fault::Unknown));
        let mut compressed = data_pdu(data::UPDATE);
        compressed[15] = 0x21;
        assert_eq!(split(&compressed), Err(Fault::Compressed));
        for cut in 0..data_pdu(data::UPDATE).len() {
            assert!(split(&data_pdu(data::UPDATE)[..cut]).is_err(), "{cut}");
        }
        // A second one that is cut is found as well.
        let frame = [&data_pdu(data::CONTROL)[..], &[9]].concat();
        assert_eq!(split(&frame), Err(Fault::Short));
        assert_eq!(split(&[5, 0, 0x16, 0, 0]), Err(Fault::Short));
    }

    #[test]
    fn windows_leaves_the_source_of_a_deactivation_out() {
        let found = split(&[4, 0, 0x16, 0]).unwrap();
        assert_eq!((found[0].kind, found[0].body), (DEACTIVATE_ALL, &[][..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_pdus_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(found) = split(&bytes) {
                let all: Vec<u8> = found.iter().flat_map(|pdu| pdu.bytes).copied().collect();
                prop_assert_eq!(all, bytes);
            }
        }

        #[test]
        fn what_is_written_reads_back(share: u32, source: u16, kind: u8, body in prop::collection::vec(any::<u8>(), 0..99)) {
            let pdu = write_data(share, source, kind, &body).unwrap();
            let found = split(&pdu).unwrap();
            prop_assert_eq!(found[0].data, Some(Data { share, kind }));
            prop_assert_eq!(found[0].body, &body[..]);
        }
    }
}
