//! Pixels to fast-path bitmap updates (MS-RDPBCGR 2.2.9.1.2.1.2).
//!
//! The desktop is sent as 64x64 tiles of RDP 6.0 planar bitmaps at 32 bits per pixel (MS-RDPEGDI 2.2.2.5.1), several per
//! PDU. The black frame uses interleaved RLE at 16 bits per pixel instead (MS-RDPBCGR 2.2.9.1.1.3.1.2.4), where one
//! order of three bytes blackens up to 65,535 pixels. A black 1280x720 screen takes less than 1 kB, rather than 90 kB
//! with the planar codec, so that even on a slow network a cover fits into one packet.

use ironrdp_core::{WriteBuf, encode_buf, encode_vec};
use ironrdp_graphics::rdp6::{BgrAChannels, BitmapStreamEncoder};
use ironrdp_pdu::bitmap::{BitmapData, BitmapUpdateData, CompressedDataHeader, Compression};
use ironrdp_pdu::fast_path::{EncryptionFlags, FastPathHeader, FastPathUpdatePdu, Fragmentation, UpdateCode};
use ironrdp_pdu::geometry::InclusiveRectangle;
use sudare_guard::cover::canvas::Rect;
use sudare_guard::screen::Screenshot;

/// Width and height of a tile in pixels.
pub(super) const TILE: u16 = 64;
/// Size of a tile that does not compress at all: three planes and one control byte per 15 pixels.
const MAX_TILE_BYTES: usize = 16 * 1024;
/// The `MEGA_MEGA_BG_RUN` order; in the first row, the background is black.
const BACKGROUND_RUN: u8 = 0xF0;
/// The `MEGA_MEGA_COLOR_RUN` order: this many pixels of one colour.
const COLOR_RUN: u8 = 0xF3;
/// The field `uncompressed_size` of a bitmap has 16 bits.
const MAX_BITMAP_BYTES: u16 = u16::MAX;

/// A picture or size that cannot be encoded; always a bug in this program.
#[derive(Debug, thiserror::Error)]
#[error("a screen update could not be encoded: {0}. This is a bug in sudare-embedded: report it")]
pub(super) struct EncodeError(String);

/// One compressed tile with its place on the screen.
pub(super) struct Tile {
    rect: Rect,
    bits_per_pixel: u16,
    data: Vec<u8>,
}

impl Tile {
    /// Compresses one rectangle (at most 64x64) of the picture.
    pub(super) fn encode(picture: &Screenshot, rect: Rect) -> Result<Self, EncodeError> {
        let row = |y: u16| {
            let start = (usize::from(y) * usize::from(picture.width) + usize::from(rect.x)) * 4;
            picture.bgra.get(start..start + usize::from(rect.width) * 4).unwrap_or_default()
        };
        // Bitmaps in RDP are stored from the bottom row to the top row.
        let pixels = (rect.y..rect.y + rect.height).rev().flat_map(|y| row(y).chunks_exact(4));
        let mut data = vec![0; MAX_TILE_BYTES];
        let length = BitmapStreamEncoder::new(rect.width.into(), rect.height.into())
            .encode_pixels_stream::<_, BgrAChannels>(pixels, &mut data, true)
            .map_err(|error| EncodeError(error.to_string()))?;
        data.truncate(length);
        Ok(Self { rect, bits_per_pixel: 32, data })
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    fn black(rect: Rect) -> Self {
        let mut data = Vec::new();
        let mut left = u32::from(rect.width) * u32::from(rect.height);
        while let Some(run) = u16::try_from(left.min(u32::from(u16::MAX))).ok().filter(|run| *run > 0) {
            data.push(BACKGROUND_RUN);
            data.extend_from_slice(&run.to_le_bytes());
            left -= u32::from(run);
        }
        Self { rect, bits_per_pixel: 16, data }
    }

    /// Exact for the colours of `sudare_protocol::light`, which have no more bits than this.
    fn flat(rect: Rect, rgb: [u8; 3]) -> Self {
        if rgb == [0; 3] {
            return Self::black(rect);
        }
        let [r, g, b] = rgb.map(u16::from);
        let pixel = ((r >> 3) << 11) | ((g >> 2) << 5) | (b >> 3);
        let mut data = Vec::new();
        let mut left = u32::from(rect.width) * u32::from(rect.height);
        while let Some(run) = u16::try_from(left.min(u32::from(u16::MAX))).ok().filter(|run| *run > 0) {
            data.push(COLOR_RUN);
            data.extend_from_slice(&run.to_le_bytes());
            data.extend_from_slice(&pixel.to_le_bytes());
            left -= u32::from(run);
        }
        Self { rect, bits_per_pixel: 16, data }
    }

    fn bitmap(&self) -> Result<BitmapData<'_>, EncodeError> {
        let Rect { x, y, width, height } = self.rect;
        let too_large = || EncodeError(format!("a bitmap of {width}x{height} is too large"));
        let uncompressed = u32::from(width) * u32::from(height) * u32::from(self.bits_per_pixel / 8);
        Ok(BitmapData {
            rectangle: InclusiveRectangle {
                left: x,
                top: y,
                right: x + width.saturating_sub(1),
                bottom: y + height.saturating_sub(1),
            },
            width,
            height,
            bits_per_pixel: self.bits_per_pixel,
            compression_flags: Compression::BITMAP_COMPRESSION,
            compressed_data_header: Some(CompressedDataHeader {
                main_body_size: u16::try_from(self.data.len()).map_err(|_| too_large())?,
                // Both this and the size must be multiples of four (2.2.9.1.1.3.1.2.3).
                scan_width: width & !3,
                uncompressed_size: u16::try_from(uncompressed).map_err(|_| too_large())? & !3,
            }),
            bitmap_data: &self.data,
        })
    }
}

/// Encodes tiles as one fast-path PDU, including its header.
pub(super) fn update(tiles: &[Tile]) -> Result<Vec<u8>, EncodeError> {
    let wrap = |error: ironrdp_core::EncodeError| EncodeError(error.to_string());
    let rectangles = tiles.iter().map(Tile::bitmap).collect::<Result<Vec<_>, _>>()?;
    let body = encode_vec(&BitmapUpdateData { rectangles }).map_err(wrap)?;
    let update = FastPathUpdatePdu {
        fragmentation: Fragmentation::Single,
        update_code: UpdateCode::Bitmap,
        compression_flags: None,
        compression_type: None,
        data: &body,
    };
    let mut pdu = WriteBuf::new();
    let header = FastPathHeader::new(EncryptionFlags::empty(), ironrdp_core::Encode::size(&update));
    encode_buf(&header, &mut pdu).map_err(wrap)?;
    encode_buf(&update, &mut pdu).map_err(wrap)?;
    Ok(pdu.filled().to_vec())
}

/// One PDU that blackens the whole screen.
pub(super) fn black_frame(width: u16, height: u16) -> Result<Vec<u8>, EncodeError> {
    let bands: Vec<Tile> = bands(Rect { x: 0, y: 0, width, height }).map(Tile::black).collect();
    update(&bands)
}

/// One PDU that fills these parts of the screen with one colour.
pub(super) fn light_frame(parts: &[Rect], rgb: [u8; 3]) -> Result<Vec<u8>, EncodeError> {
    let bands: Vec<Tile> =
        parts.iter().flat_map(|part| bands(*part)).map(|rect| Tile::flat(rect, rgb)).collect();
    update(&bands)
}

/// Whole rows, as many at once as the 16-bit size field of a bitmap allows.
fn bands(part: Rect) -> impl Iterator<Item = Rect> {
    let rows = (MAX_BITMAP_BYTES / 2 / part.width.max(1)).max(1);
    let height = if part.width == 0 { 0 } else { part.height };
    (0..height).step_by(rows.into()).map(move |y| Rect {
        y: part.y + y,
        height: rows.min(height - y),
        ..part
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ironrdp_graphics::rdp6::BitmapStreamDecoder;
    use ironrdp_graphics::rle;
    use sudare_protocol::light::{Shade, Strength};

    use super::*;

    fn noise(width: u16, height: u16) -> Screenshot {
        let bytes = usize::from(width) * usize::from(height) * 4;
        let bgra: Vec<u8> =
            (0..bytes).map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0]).collect();
        Screenshot { width, height, bgra: Arc::from(bgra) }
    }

    #[test]
    fn a_tile_decodes_to_the_same_pixels_even_if_it_does_not_compress() {
        let picture = noise(100, 90);
        let rect = Rect { x: 30, y: 20, width: 64, height: 64 };
        let tile = Tile::encode(&picture, rect).unwrap();
        let mut rgb = Vec::new();
        BitmapStreamDecoder::default().decode_bitmap_stream_to_rgb24(&tile.data, &mut rgb, 64, 64).unwrap();
        for (row, decoded) in rgb.chunks(64 * 3).rev().enumerate() {
            for (column, pixel) in decoded.chunks(3).enumerate() {
                let at = ((20 + row) * 100 + 30 + column) * 4;
                let expected = [picture.bgra[at + 2], picture.bgra[at + 1], picture.bgra[at]];
                assert_eq!(pixel, expected);
            }
        }
        assert!(update(&[tile]).unwrap().len() < MAX_TILE_BYTES);
    }

    #[test]
    fn black_is_black_and_small() {
        for (width, height) in [(1280_u16, 720_u16), (3840, 2160), (201, 203), (8192, 1)] {
            assert!(black_frame(width, height).unwrap().len() < 8 * 1024, "{width}x{height}");
        }
        assert!(black_frame(1280, 720).unwrap().len() < 1024);
        let tile = Tile::black(Rect { x: 0, y: 0, width: 400, height: 200 });
        let mut pixels = vec![1];
        rle::decompress(&tile.data, &mut pixels, 400, 200, 16).unwrap();
        assert_eq!(pixels.len(), 400 * 200 * 2);
        assert!(pixels.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn every_light_is_exact_and_small() {
        let all = Shade::ALL.into_iter().flat_map(|shade| Strength::ALL.map(|strength| shade.rgb(strength)));
        for light in all {
            let rect = Rect { x: 0, y: 0, width: 100, height: 30 };
            let tile = Tile::flat(rect, light);
            let mut pixels = Vec::new();
            rle::decompress(&tile.data, &mut pixels, 100, 30, 16).unwrap();
            assert_eq!(pixels.len(), 100 * 30 * 2);
            for pixel in pixels.chunks_exact(2) {
                let code = u16::from_le_bytes([pixel[0], pixel[1]]);
                let wide = |code: u16, bits: u32| (code << (8 - bits)) | (code >> (2 * bits - 8));
                let rgb = [wide(code >> 11, 5), wide((code >> 5) & 63, 6), wide(code & 31, 5)];
                assert_eq!(rgb, light.map(u16::from));
            }
        }
        let parts =
            [Rect { x: 0, y: 0, width: 3840, height: 540 }, Rect { x: 0, y: 540, width: 9, height: 0 }];
        assert!(light_frame(&parts, [255, 186, 107]).unwrap().len() < 4 * 1024);
    }

    #[test]
    fn what_does_not_fit_is_an_error_not_a_cut() {
        let tile = Tile::black(Rect { x: 0, y: 0, width: 1280, height: 720 });
        assert!(update(&[tile]).is_err());
    }
}
