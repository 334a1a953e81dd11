//! Fast-path output ([MS-RDPBCGR] 2.2.9.1.2): updates, which may be fragmented over frames, and pointers.

use super::{Reader, length_u16};
use crate::error::Fault;
use crate::frames;
use crate::limits::PDUS_PER_FRAME_MAX;
use crate::table::{self, Class};

/// Drawing orders.
pub const ORDERS: u8 = 0;
/// Bitmaps.
pub const BITMAP: u8 = 1;
/// A palette.
pub const PALETTE: u8 = 2;
/// Synchronize, which says nothing.
pub const SYNCHRONIZE: u8 = 3;
/// Surface commands: RemoteFX and NSCodec among others.
pub const SURFACE: u8 = 4;
/// No pointer.
pub const POINTER_HIDDEN: u8 = 5;
/// The system's own pointer.
pub const POINTER_DEFAULT: u8 = 6;
/// The host moves the pointer.
pub const POINTER_POSITION: u8 = 8;
/// A pointer with pixels, in 24 bits.
pub const POINTER_COLOR: u8 = 9;
/// A pointer that the client has.
pub const POINTER_CACHED: u8 = 10;
/// A pointer with pixels, in any depth.
pub const POINTER_NEW: u8 = 11;
/// A pointer of up to 384x384.
pub const POINTER_LARGE: u8 = 12;

const ENCRYPTION_MASK: u8 = 0xC0;
const COMPRESSION_USED: u8 = 2;
const COMPRESSED: u8 = 0x20;
/// Of a header with a length of two bytes, and of one update in it.
const HEADER_BYTES: usize = 6;

/// How an update is spread over frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// Not at all.
    Single,
    /// Its end.
    Last,
    /// Its beginning.
    First,
    /// In between.
    Next,
}

/// One update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update<'a> {
    /// One of the constants above.
    pub code: u8,
    /// Whole or a piece.
    pub fragment: Fragment,
    /// What it draws.
    pub data: &'a [u8],
}

impl Update<'_> {
    /// Whether it is a pointer.
    #[must_use]
    pub fn is_pointer(&self) -> bool {
        table::fast_path(self.code) == Some(Class::Pointer)
    }
}

/// The part of a fast-path frame behind its header, and the header's first byte.
///
/// # Errors
/// If it is encrypted, or its length is another than it says.
pub fn body(frame: &[u8]) -> Result<(u8, &[u8]), Fault> {
    let first = *frame.first().ok_or(Fault::Short)?;
    if frames::kind(first)? != frames::Kind::FastPath {
        return Err(Fault::NoFrame);
    }
    if first & ENCRYPTION_MASK != 0 {
        return Err(Fault::Encrypted);
    }
    if frames::length(frame)? != Some(frame.len()) {
        return Err(Fault::Length);
    }
    let header = if frame.get(1).is_some_and(|length| length & 0x80 != 0) { 3 } else { 2 };
    Ok((first, frame.get(header..).ok_or(Fault::Short)?))
}

/// All updates of a host's frame.
///
/// # Errors
/// If one is cut, compressed or of an unknown kind.
pub fn updates(frame: &[u8]) -> Result<Vec<Update<'_>>, Fault> {
    let (_, body) = body(frame)?;
    let mut reader = Reader::new(body);
    let mut found = Vec::new();
    while reader.left() > 0 {
        let header = reader.u8()?;
        let code = header & 0xF;
        table::fast_path(code).ok_or(Fault::Unknown)?;
        if header >> 6 == COMPRESSION_USED && reader.u8()? & COMPRESSED != 0 {
            return Err(Fault::Compressed);
        }
        let fragment = match (header >> 4) & 3 {
            0 => Fragment::Single,
            1 => Fragment::Last,
            2 => Fragment::First,
            _ => Fragment::Next,
        };
        let length = reader.u16()?;
        found.push(Update { code, fragment, data: reader.take(length.into())? });
        if found.len() > PDUS_PER_FRAME_MAX {
            return Err(Fault::TooMuch);
        }
    }
    Ok(found)
}

/// A frame with one whole update.
///
/// # Errors
/// If it does not fit.
pub fn write(code: u8, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let total = length_u16(data.len().saturating_add(HEADER_BYTES))?;
    if total & 0x8000 != 0 {
        return Err(Fault::TooMuch);
    }
    let mut frame = Vec::with_capacity(total.into());
    frame.push(0);
    frame.extend_from_slice(&(total | 0x8000).to_be_bytes());
    frame.push(code & 0xF);
    frame.extend_from_slice(&length_u16(data.len())?.to_le_bytes());
    frame.extend_from_slice(data);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use ironrdp_pdu::fast_path::{FastPathHeader, FastPathUpdatePdu, UpdateCode};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_implementation_reads_what_is_written() {
        let frame = write(BITMAP, &[1, 2, 3]).unwrap();
        let mut cursor = ironrdp_core::ReadCursor::new(&frame);
        let header: FastPathHeader = ironrdp_core::decode_cursor(&mut cursor).unwrap();
        assert_eq!(header.data_length, 6);
        let update: FastPathUpdatePdu<'_> = ironrdp_core::decode_cursor(&mut cursor).unwrap();
        assert_eq!((update.update_code, update.data), (UpdateCode::Bitmap, &[1, 2, 3][..]));
    }

    #[test]
    fn encrypted_compressed_and_unknown_frames_end() {
        let good = write(BITMAP, &[7; 9]).unwrap();
        for (at, value, fault) in [
            (0, 0x80, Fault::Encrypted),
            (0, 0x40, Fault::Encrypted),
            (3, 7, Fault::Unknown),
            (3, 13, Fault::Unknown),
            (4, 200, Fault::Short),
            (2, 14, Fault::Length),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(updates(&bad), Err(fault), "{value:#x} at {at}");
        }
        assert_eq!(updates(&[0, 6, 0x81, 0x20, 0, 0]), Err(Fault::Compressed));
        // The flag that nothing is compressed is no reason to end.
        assert_eq!(updates(&[0, 6, 0x81, 0, 0, 0]).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_updates_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            updates(&bytes).ok();
            if let Ok(length) = u8::try_from(bytes.len() + 2) {
                updates(&[&[0, length][..], &bytes].concat()).ok();
            }
        }

        #[test]
        fn what_is_written_reads_back(code in 0_u8..7, data in prop::collection::vec(any::<u8>(), 0..300)) {
            let frame = write(code, &data).unwrap();
            prop_assert_eq!(updates(&frame).unwrap(), [Update { code, fragment: Fragment::Single, data: &data }]);
        }
    }
}
