//! Bitmaps in an update ([MS-RDPBCGR] 2.2.9.1.1.3.1.2): where they are and how they are coded, not what they show.
//!
//! Behind their headers, updates are the same whether they came slowly or fast.

use super::Reader;
use crate::error::Fault;
use crate::limits::PDUS_PER_FRAME_MAX;

/// What an update is (2.2.9.1.1.3.1): its first field.
pub mod kind {
    /// Drawing orders.
    pub const ORDERS: u16 = 0;
    /// Bitmaps.
    pub const BITMAP: u16 = 1;
    /// A palette.
    pub const PALETTE: u16 = 2;
    /// Nothing.
    pub const SYNCHRONIZE: u16 = 3;
}

const COMPRESSED: u16 = 1;
const NO_COMPRESSION_HEADER: u16 = 0x0400;
const COMPRESSION_HEADER_BYTES: usize = 8;
/// A place on the screen before its bitmap's pixels: two corners.
type Corners = [u16; 4];

/// One bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bitmap<'a> {
    /// Left, top, right and bottom on the screen, all four inside.
    pub corners: Corners,
    /// Pixels in a row of the data, of which some may be padding.
    pub width: u16,
    /// Rows in the data.
    pub height: u16,
    /// Bits of a pixel.
    pub bits: u16,
    /// Whether the data are compressed.
    pub compressed: bool,
    /// The pixels, without a header.
    pub data: &'a [u8],
}

/// All bitmaps of an update, from its first field on.
///
/// # Errors
/// If it is something else or cut, or there are too many.
pub fn read(update: &[u8]) -> Result<Vec<Bitmap<'_>>, Fault> {
    let mut reader = Reader::new(update);
    if reader.u16()? != kind::BITMAP {
        return Err(Fault::Unknown);
    }
    let count = usize::from(reader.u16()?);
    if count > PDUS_PER_FRAME_MAX {
        return Err(Fault::TooMuch);
    }
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        let corners = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let (width, height, bits, flags) = (reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?);
        let length = reader.u16()?;
        let mut data = Reader::new(reader.take(length.into())?);
        let compressed = flags & COMPRESSED != 0;
        if compressed && flags & NO_COMPRESSION_HEADER == 0 {
            data.take(COMPRESSION_HEADER_BYTES)?;
        }
        found.push(Bitmap { corners, width, height, bits, compressed, data: data.rest() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use ironrdp_pdu::bitmap::{BitmapUpdateData, Compression};

    use super::*;

    fn update(flags: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap();
        let fields = [1, 1, 10, 20, 13, 21, 4, 2, 16, flags, length];
        [&fields.iter().flat_map(|field: &u16| field.to_le_bytes()).collect::<Vec<_>>(), data].concat()
    }

    #[test]
    fn another_implementation_reads_the_same() {
        for (flags, skipped) in [(0, 0), (1, 8), (0x401, 0)] {
            // Data that begin like a header: no first row, eight bytes in all, rows of four pixels.
            let update = update(flags, &[0, 0, 8, 0, 4, 0, 16, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
            let found = read(&update).unwrap();
            assert_eq!(found[0].corners, [10, 20, 13, 21]);
            assert_eq!((found[0].width, found[0].height, found[0].bits), (4, 2, 16));
            assert_eq!((found[0].compressed, found[0].data.len()), (flags & 1 == 1, 16 - skipped));
            let theirs: BitmapUpdateData<'_> = ironrdp_core::decode(&update).unwrap();
            let theirs = &theirs.rectangles[0];
            assert_eq!(theirs.bitmap_data, found[0].data);
            assert_eq!(theirs.compression_flags.contains(Compression::BITMAP_COMPRESSION), flags & 1 == 1);
            assert_eq!((theirs.rectangle.right, theirs.rectangle.bottom), (13, 21));
        }
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused() {
        let whole = update(1, &[7; 16]);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
        assert_eq!(read(&[0, 0, 1, 0]), Err(Fault::Unknown));
        assert_eq!(read(&[1, 0, 0xFF, 0xFF]), Err(Fault::TooMuch));
    }
}
